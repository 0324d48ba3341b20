/** What an agent logs, found in the console of a board among everything else. */
import type { LogEvent } from '../../core/ports.ts'

/** @param line with or without words before the JSON. @returns the event, or null when the line is none */
export function logEventIn(line: string): LogEvent | null {
  const from = line.indexOf('{"')
  if (from < 0) return null
  try {
    const event: unknown = JSON.parse(line.slice(from))
    return typeof event === 'object' && event !== null && 'event' in event ? (event as LogEvent) : null
  } catch {
    return null
  }
}
