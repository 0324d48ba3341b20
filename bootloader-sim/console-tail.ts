/**
 * The end of a boot's console, as a board keeps it over a reset (pstore on real ones).
 * Promise: never holds more than its limit; whole lines only.
 */
import { trialLimits } from '../core/limits.ts'

export interface ConsoleTail {
  add(line: string): void
  text(): string
}

/** @param bytesMax as UTF-8 */
export function consoleTail(bytesMax: number = trialLimits.consoleTailBytesMax): ConsoleTail {
  const kept: string[] = []
  let bytes = 0
  return {
    add(line) {
      kept.push(line)
      bytes += Buffer.byteLength(line) + 1
      while (bytes > bytesMax) bytes -= Buffer.byteLength(kept.shift() ?? '') + 1
    },
    text: () => kept.map((it) => `${it}\n`).join(''),
  }
}
