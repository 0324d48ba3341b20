/**
 * The hub without its adapters: takes messages one at a time, runs their effects.
 * Promise: a message's commit is on the disk before its acknowledgement or wish goes out and before its
 * asker hears; effects of one message never overtake those of an earlier one. A commit that fails ends the
 * core: what it holds in memory may not be on the disk. `hub/main.ts` and simulations build it alike.
 * Leaves to others: sockets (../broker, ../http) and the disk (../store).
 */
import { EverbootError, type Fault, fault, faultOf } from '../../core/errors.ts'
import type { Clock, Events, LinkMessage } from '../../core/ports.ts'
import { fail, ok, type Result } from '../../core/result.ts'
import { decodePresence, decodeStatus, encodeMessage } from '../../core/wire/messages.ts'
import { type DeviceTopic, deviceTopic } from '../../core/wire/topics.ts'
import { forgetPresence } from '../fleet/presence.ts'
import type { Snapshot, Store } from '../store/port.ts'
import { republishAll } from './desired.ts'
import type { Answer, Effect, HubMessage, HubState } from './model.ts'
import { reduce } from './reduce.ts'
import { Shelf } from './shelf.ts'

/** What the hub says to devices. */
export interface Outlet {
  /** Resolves when a retained message is kept, or a fleeting one handed to the device if it is connected. */
  publish(message: LinkMessage): Promise<void>
  /** Ends the device's connection, if it has one. */
  cut(deviceId: string): void
}

export interface HubPorts {
  readonly store: Store
  readonly clock: Pick<Clock, 'wallMs'>
  readonly events: Events
  readonly outlet: Outlet
  /** Called once, when a commit failed and the process must end. */
  readonly fatal: (it: Fault) => void
}

export interface HubCore {
  state(): HubState
  /** Resolves after the commit. Rejects only when the core has ended. */
  handle(message: HubMessage): Promise<Result<Answer, Fault>>
  /** A message of a device. `changed` is false when it was void or known. */
  receive(deviceId: string, kind: DeviceTopic, payload: Uint8Array): Promise<Result<Answer, Fault>>
  /** Publishes every wish again. To be called once the outlet stands. */
  republish(): Promise<void>
}

/** @param snapshot what `store.load()` gave */
export function createHubCore(ports: HubPorts, snapshot: Omit<Snapshot, 'retained'>): HubCore {
  const { store, clock } = ports
  let state = forgetPresence({
    devices: Shelf.from(snapshot.devices, (it) => it.id),
    releases: Shelf.from(snapshot.releases, (it) => it.id),
    rollouts: Shelf.from(snapshot.rollouts, (it) => it.id),
  })
  let ended: Fault | null = null

  /** Nothing that follows a failed write may be told to anybody. */
  const orEnd = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work
    } catch (caught) {
      const it = faultOf(caught)
      if (ended === null) ports.fatal(it)
      ended ??= it
      throw caught
    }
  }
  const handle = async (message: HubMessage): Promise<Result<Answer, Fault>> => {
    if (ended !== null) throw new EverbootError(ended)
    const step = reduce(state, message)
    state = step.state
    if (step.effects.length > 0) {
      const writes = step.effects.flatMap((it) => (it.kind === 'commit' ? it.writes : []))
      await orEnd(store.commit(writes))
      await orEnd(Promise.all(step.effects.map((it) => run(it, ports))))
    }
    return step.answer
  }
  return {
    state: () => state,
    handle,
    async receive(device, kind, payload) {
      const message = decoded(device, kind, payload, clock.wallMs())
      if (message.ok)
        return message.value === null ? ok({ id: device, changed: true }) : handle(message.value)
      ports.events.emit({ event: 'message-refused', device, what: message.error.what })
      return message
    },
    async republish() {
      await orEnd(Promise.all(republishAll(state).map((it) => run(it, ports))))
    },
  }
}

/** @returns null for what has no keeper here, which is telemetry. */
function decoded(
  device: string,
  kind: DeviceTopic,
  payload: Uint8Array,
  atMs: number,
): Result<HubMessage | null, Fault> {
  if (kind === 'telemetry') return ok(null)
  if (kind === 'status') {
    const status = decodeStatus(payload)
    return status.ok ? ok({ kind, device, status: status.value, atMs }) : status
  }
  if (kind === 'presence') {
    const presence = decodePresence(payload)
    return presence.ok ? ok({ kind, device, presence: presence.value, atMs }) : presence
  }
  return fail(fault('EB-MESSAGE', `device ${device} sent ${kind}, which only the hub sends`))
}

/** Every call is made before the first wait, so that no later message comes between. */
async function run(effect: Effect, { outlet, events }: HubPorts): Promise<void> {
  switch (effect.kind) {
    case 'commit':
      return
    case 'publish-desired':
      return outlet.publish({
        topic: deviceTopic(effect.device, 'desired'),
        payload: encodeMessage(effect.desired),
        qos: 1,
        retain: true,
      })
    case 'send-ack':
      return outlet.publish({
        topic: deviceTopic(effect.device, 'ack'),
        payload: encodeMessage({ v: 1, bootId: effect.bootId, seq: effect.seq }),
        qos: 1,
        retain: false,
      })
    case 'cut-session':
      return outlet.cut(effect.device)
    case 'log':
      return events.emit(effect.event)
  }
}
