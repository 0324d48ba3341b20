/**
 * Time, chance and the log of the real machine, as ports.
 * Promise: log lines are JSON, one a line, with the wall clock; of one kind of event at most
 * `hubLimits.eventsPerSecond` a second are written, the next line says how many were left out.
 */
import { randomBytes } from 'node:crypto'
import { hubLimits } from '../../core/limits.ts'
import type { Clock, Entropy, Events } from '../../core/ports.ts'

export const systemClock: Pick<Clock, 'wallMs'> = { wallMs: () => Date.now() }

export const systemEntropy: Entropy = { bytes: (count) => new Uint8Array(randomBytes(count)) }

/** @param write takes one line without its end */
export function jsonEvents(write: (line: string) => void): Events {
  const windows = new Map<string, { startMs: number; written: number; leftOut: number }>()
  return {
    emit(event) {
      const now = Date.now()
      const window = windows.get(event.event) ?? { startMs: now, written: 0, leftOut: 0 }
      if (now - window.startMs >= 1_000) Object.assign(window, { startMs: now, written: 0 })
      windows.set(event.event, window)
      if (window.written >= hubLimits.eventsPerSecond) {
        window.leftOut += 1
        return
      }
      window.written += 1
      const more = window.leftOut > 0 ? { leftOut: window.leftOut } : {}
      window.leftOut = 0
      write(JSON.stringify({ at: new Date(now).toISOString(), ...event, ...more }))
    },
  }
}
