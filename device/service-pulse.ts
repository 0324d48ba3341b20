/**
 * The agent's signs of life to the service manager that started it.
 * Promise: "ready" only once the agent answers; a sign of life only while the event loop turns and the agent's queue
 * has answered lately, so that an agent that hangs is started anew. It never touches the hardware watchdog: that
 * one is about the trial (agent.ts), this one about the process.
 * Leaves to others: how the manager is reached (adapters/systemd-notify.ts).
 */

import type { Clock } from '../core/ports.ts'
import { serviceLimits } from '../core/service-limits.ts'
import { bytesText } from '../core/units.ts'
import type { Agent } from './agent.ts'
import type { LocalStatus } from './local-request.ts'

export interface ServiceManager {
  /** It wants a sign of life at least this often, ms; null: it does not watch. */
  readonly watchdogMs: number | null
  /** Assignments in the language of sd_notify, such as `READY=1`. Resolves when they are told, whatever came of it. */
  tell(words: readonly string[]): Promise<void>
}

export interface Pulse {
  /** No sign of life after this; tells that the agent ends. */
  stop(): Promise<void>
}

/** Begins to tell the manager how the agent is. */
export function startPulse(
  clock: Pick<Clock, 'monotonicMs' | 'timer'>,
  agent: Pick<Agent, 'request'>,
  manager: ServiceManager,
): Pulse {
  const { watchdogMs } = manager
  let stopped = false
  let ready = false
  let asking = false
  let answeredMs = clock.monotonicMs()
  let petMs: number | null = null
  let text = ''
  let shown = ''
  let telling: Promise<void> | null = null
  let cancel = (): void => {}

  const ask = async (): Promise<void> => {
    if (asking) return
    asking = true
    const answer = await agent.request({ op: 'status' })
    asking = false
    answeredMs = clock.monotonicMs()
    // An agent that is still starting answers too, but with a fault.
    if (!answer.ok) return
    text = serviceText(answer.value)
    if (!ready) tell()
  }

  const tell = (): void => {
    if (stopped || telling !== null || text === '') return
    const words: string[] = []
    if (!ready) words.push('READY=1')
    if (text !== shown) words.push(`STATUS=${text}`)
    const nowMs = clock.monotonicMs()
    const due =
      watchdogMs !== null && (petMs === null || nowMs - petMs >= watchdogMs / serviceLimits.petsPerWatch)
    if (due && nowMs - answeredMs < serviceLimits.stuckMs) {
      words.push('WATCHDOG=1')
      petMs = nowMs
    }
    if (words.length === 0) return
    ready = true
    shown = text
    telling = manager.tell(words).finally(() => {
      telling = null
    })
  }

  const beat = (): void => {
    if (stopped) return
    void ask()
    tell()
    const share = watchdogMs === null ? serviceLimits.beatMs : watchdogMs / (2 * serviceLimits.petsPerWatch)
    cancel = clock.timer(ready ? Math.min(serviceLimits.beatMs, share) : serviceLimits.startBeatMs, beat)
  }
  beat()
  return {
    async stop() {
      stopped = true
      cancel()
      await telling
      await manager.tell(['STOPPING=1'])
    },
  }
}

/** One line for people: what `systemctl status` shows. */
export function serviceText({ status, hubConnected, settled }: LocalStatus): string {
  const { state, slot, slots, attempt, progress, inhibited } = status
  const runs = `${slots[slot].release ?? 'an unsealed system'} in slot ${slot}`
  const what = attempt === null ? '' : ` ${attempt.release}`
  const done =
    progress === null ? '' : ` ${bytesText(progress.bytesDone)} of ${bytesText(progress.bytesTotal)}`
  const waits =
    inhibited === undefined ? '' : `, waits to ${inhibited.step} (${inhibited.by}: ${inhibited.why})`
  const hub = hubConnected ? 'hub connected' : 'hub not connected'
  return `${state}${what}${done}${waits}; ${runs}${settled ? '' : ', not settled yet'}; ${hub}`
}
