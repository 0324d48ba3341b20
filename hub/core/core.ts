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
import type { Digest } from '../../core/units.ts'
import { decodePresence, decodeStatus, encodeMessage } from '../../core/wire/messages.ts'
import { decodeTelemetry } from '../../core/wire/skills.ts'
import { type DeviceTopic, deviceTopic, skillTopic } from '../../core/wire/topics.ts'
import { clipsFrom } from '../clips/load.ts'
import { forgetPresence } from '../fleet/presence.ts'
import { republishSkills } from '../skills/skills.ts'
import type { Snapshot, Store } from '../store/port.ts'
import { type TelemetryKeeping, telemetryKeeping } from '../telemetry/keeping.ts'
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
  /** Told of contents that may leave the store, once that is committed. Absent: the hub has no store of clips. */
  readonly dropContent?: (sha256: Digest) => void
}

export interface HubCore {
  state(): HubState
  /** Resolves after the commit. Rejects only when the core has ended. */
  handle(message: HubMessage): Promise<Result<Answer, Fault>>
  /** A message of a device. `changed` is false when it was void or known. */
  receive(deviceId: string, kind: DeviceTopic, payload: Uint8Array): Promise<Result<Answer, Fault>>
  /** Publishes every wish and every skill again. To be called once the outlet stands. */
  republish(): Promise<void>
  /** Writes the telemetry that came since the last time; to be called now and then. Never rejects. */
  writeTelemetry(): Promise<void>
}

/** @param snapshot what `store.load()` gave */
export function createHubCore(ports: HubPorts, snapshot: Omit<Snapshot, 'retained'>): HubCore {
  const { store, clock } = ports
  const telemetry = telemetryKeeping(store, ports.events)
  let state = forgetPresence({
    devices: Shelf.from(snapshot.devices, (it) => it.id),
    releases: Shelf.from(snapshot.releases, (it) => it.id),
    rollouts: Shelf.from(snapshot.rollouts, (it) => it.id),
    clips: clipsFrom(snapshot),
    telemetry: Shelf.from(snapshot.telemetry, (it) => it.device),
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
      const commits = step.effects.filter((it) => it.kind === 'commit')
      // What has nothing to commit, such as telemetry, waits for no commit either.
      if (commits.length > 0) await orEnd(store.commit(commits.flatMap((it) => it.writes)))
      await orEnd(Promise.all(step.effects.map((it) => run(it, ports, telemetry))))
    }
    return step.answer
  }
  return {
    state: () => state,
    handle,
    async receive(device, kind, payload) {
      const message = decoded(device, kind, payload, clock.wallMs())
      if (message.ok) return handle(message.value)
      ports.events.emit({ event: 'message-refused', device, what: message.error.what })
      return message
    },
    async republish() {
      const effects = [...republishAll(state), ...republishSkills(state.clips)]
      await orEnd(Promise.all(effects.map((it) => run(it, ports, telemetry))))
    },
    writeTelemetry: () => telemetry.write(),
  }
}

function decoded(
  device: string,
  kind: DeviceTopic,
  payload: Uint8Array,
  atMs: number,
): Result<HubMessage, Fault> {
  if (kind === 'telemetry') {
    const telemetry = decodeTelemetry(payload)
    return telemetry.ok ? ok({ kind, device, telemetry: telemetry.value, atMs }) : telemetry
  }
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
async function run(effect: Effect, ports: HubPorts, telemetry: TelemetryKeeping): Promise<void> {
  const { outlet, events } = ports
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
    case 'publish-skill':
      return outlet.publish({
        topic: skillTopic(effect.skill.id),
        payload: Buffer.from(effect.skill.envelope, 'base64'),
        qos: 1,
        retain: true,
      })
    case 'drop-content':
      return ports.dropContent?.(effect.sha256)
    case 'keep-telemetry':
      return telemetry.add(effect.record)
    case 'log':
      return events.emit(effect.event)
  }
}
