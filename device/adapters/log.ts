/**
 * The agent's log: one JSON object a line on standard output, where console, journald and pstore find it.
 */
import type { Events } from '../../core/ports.ts'

export function lineEvents(write: (line: string) => void): Events {
  return {
    emit(event) {
      write(`${JSON.stringify({ time: new Date().toISOString(), ...event })}\n`)
    },
  }
}
