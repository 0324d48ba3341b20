/**
 * The time in front of a line: none, the clock, or seconds since the console was opened.
 * Leaves to others: what a clock's milliseconds look like as a date.
 */
import { raise } from '../core/errors.ts'
import type { Clock } from '../core/ports.ts'

export const timeForms = ['none', 'clock', 'since-start'] as const
export type TimeForm = (typeof timeForms)[number]

/** Text to put before a line that began at `atMs` of `Clock.monotonicMs()`. */
export type TimeStamp = (atMs: number) => string

/** @throws EverbootError EB-USAGE */
export function timeForm(text: string): TimeForm {
  const found = timeForms.find((it) => it === text)
  return found ?? raise('EB-USAGE', `--time is ${JSON.stringify(text)}, not ${timeForms.join(', ')}`)
}

/** @param dateText milliseconds since 1970 for people */
export function timeStamp(
  form: TimeForm,
  clock: Pick<Clock, 'monotonicMs' | 'wallMs'>,
  dateText: (wallMs: number) => string,
): TimeStamp {
  const startMs = clock.monotonicMs()
  if (form === 'none') return () => ''
  if (form === 'clock') return (atMs) => `${dateText(clock.wallMs() - (clock.monotonicMs() - atMs))} `
  return (atMs) => `[${((atMs - startMs) / 1000).toFixed(3).padStart(9)}] `
}

/**
 * The same for a terminal, which gets the bytes as they come: each line is preceded by its time.
 * @returns the bytes with times put in
 */
export function rawStamps(stamp: TimeStamp): (bytes: Uint8Array, atMs: number) => Uint8Array {
  let lineBegins = true
  return (bytes, atMs) => {
    const parts: Uint8Array[] = []
    let from = 0
    for (let at = 0; at < bytes.length; at += 1) {
      const byte = bytes[at]
      // A return in front of a line belongs to the end of the one before.
      if (lineBegins && byte !== 0x0d) {
        parts.push(bytes.subarray(from, at), Buffer.from(stamp(atMs)))
        from = at
        lineBegins = false
      }
      if (byte === 0x0a) lineBegins = true
    }
    return Buffer.concat([...parts, bytes.subarray(from)])
  }
}
