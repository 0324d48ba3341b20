/**
 * The device's side of the MQTT contract: subscriptions, presence, and turning messages into calls.
 * Promise: only well-formed messages on the device's own topics get through; presence carries boot and
 * connection number, so that a late will cannot mark a newer connection as gone.
 * Leaves to others: what the messages lead to.
 */
import { backoffMs } from '../../core/backoff.ts'
import { servingLimits } from '../../core/clip-limits.ts'
import { faultOf } from '../../core/errors.ts'
import { wireLimits } from '../../core/limits.ts'
import type { LinkMessage } from '../../core/ports.ts'
import {
  type Ack,
  type Desired,
  decodeAck,
  decodeCommand,
  decodeDesired,
  encodeMessage,
} from '../../core/wire/messages.ts'
import { encodeTelemetry } from '../../core/wire/skills.ts'
import { allSkills, deviceTopic, parseDeviceTopic, parseSkillTopic } from '../../core/wire/topics.ts'
import type { Board } from '../board.ts'
import { atMost } from '../wait.ts'

export interface HubLinkHost {
  up(): void
  down(): void
  acknowledged(ack: Ack): void
  desired(desired: Desired): void
  refresh(): void
  reboot(): void
}

export interface HubLink {
  readonly connected: boolean
  open(): void
  close(): Promise<void>
}

/** Connections of one run of the agent are numbered from its own base. */
const connectionsPerRun = 1_000_000

export function createHubLink(board: Board, host: HubLinkHost): HubLink {
  const { link, events, clock, random, clips } = board.ports
  const { deviceId } = board.settings
  const { bootId } = board.handOver
  let connected = false
  let number = 0
  /** Counts ups and downs: what was begun in an earlier one is of no use any more. */
  let epoch = 0

  const presence = (online: boolean): LinkMessage => {
    const connection = board.journal.current.connection * connectionsPerRun + number
    const payload = encodeMessage({ v: 1, online, bootId, connection })
    return { topic: deviceTopic(deviceId, 'presence'), payload, qos: 1, retain: true }
  }
  const greet = async (mine: number): Promise<void> => {
    const topics = (['desired', 'ack', 'cmd'] as const).map((kind) => deviceTopic(deviceId, kind))
    await link.subscribe(clips === undefined ? topics : [...topics, allSkills])
    await link.publish(presence(true))
    if (mine !== epoch) return
    connected = true
    events.emit({ event: 'hub connected', connection: number })
    host.up()
    clips?.linkUp()
    tellFigures()
  }
  /** A lost one is replaced by the next. */
  let cancelFigures = (): void => {}
  const tellFigures = (): void => {
    if (clips === undefined) return
    cancelFigures()
    cancelFigures = clock.timer(servingLimits.telemetryMs, tellFigures)
    const figures = connected ? clips.newFigures() : null
    if (figures === null) return
    const payload = encodeTelemetry({ v: 1, bootId, clips: figures })
    link
      .publish({ topic: deviceTopic(deviceId, 'telemetry'), payload, qos: 0, retain: false })
      .catch((caught: unknown) => events.emit({ event: 'figures lost', what: faultOf(caught).what }))
  }
  /** A connection on which nothing can be subscribed is worth nothing: tried again while it stands. */
  const onUp = (mine: number, tries: number): void => {
    greet(mine).catch((caught: unknown) => {
      events.emit({ event: 'hub lost', what: faultOf(caught).what })
      const limits = { baseMs: wireLimits.reconnectBaseMs, ceilingMs: wireLimits.reconnectCeilingMs }
      clock.timer(backoffMs(tries, limits, random), () => {
        if (mine === epoch) onUp(mine, tries + 1)
      })
    })
  }
  const onMessage = (topic: string, payload: Uint8Array): void => {
    const skill = clips === undefined ? null : parseSkillTopic(topic)
    if (skill !== null) {
      clips?.announced(skill, payload)
      return
    }
    const parsed = parseDeviceTopic(topic)
    if (parsed === null || parsed.deviceId !== deviceId || payload.length === 0) return
    if (parsed.kind === 'ack') take(decodeAck(payload), host.acknowledged)
    else if (parsed.kind === 'desired') take(decodeDesired(payload), host.desired)
    else if (parsed.kind === 'cmd') {
      take(decodeCommand(payload), (command) => {
        if (command.expiresAtMs < clock.wallMs()) return
        if (command.command === 'refresh') host.refresh()
        else host.reboot()
      })
    }
  }
  const take = <T>(
    decoded: { ok: true; value: T } | { ok: false; error: { what: string } },
    use: (it: T) => void,
  ) => {
    if (decoded.ok) use(decoded.value)
    else events.emit({ event: 'message refused', what: decoded.error.what })
  }
  return {
    get connected() {
      return connected
    },
    open() {
      link.open(
        {
          up: () => {
            epoch += 1
            onUp(epoch, 1)
          },
          down: (reason) => {
            epoch += 1
            if (connected) events.emit({ event: 'hub lost', code: reason.code, what: reason.what })
            connected = false
            host.down()
          },
          message: onMessage,
        },
        () => {
          number += 1
          return presence(false)
        },
      )
    },
    async close() {
      epoch += 1
      cancelFigures()
      if (connected) await atMost(clock, wireLimits.lastWordMs, link.publish(presence(false)))
      connected = false
      await link.close()
    },
  }
}
