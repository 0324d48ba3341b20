/**
 * The console of a machine, line by line, with a place up to which it was looked through.
 * Promise: bounded memory: beyond its limit the oldest lines are dropped and counted; a line longer than the
 * limit comes in parts; control characters are made visible. What was found once is not found again.
 * Leaves to others: waiting (adapters/console.ts).
 */
import { boardLimits, machineLimits } from '../../core/limits.ts'

export interface ConsoleLog {
  /** @returns the lines that have ended with it */
  feed(bytes: Uint8Array): readonly string[]
  /** What is kept, oldest first, with the line that has not ended, such as a prompt. */
  lines(): readonly string[]
  /** Lines that are no longer kept. */
  dropped(): number
  /** Lines that have ended since the start. */
  ended(): number
  /**
   * Looks from where the last find ended.
   * @param from a number that `ended` gave: the lines before it are not looked at again
   * @returns the line that matches, or null
   */
  find(pattern: RegExp, from?: number): string | null
  /** The next find looks only at what comes from now on. */
  skip(): void
}

export function consoleLog(linesMax: number = machineLimits.consoleLinesKept): ConsoleLog {
  const decoder = new TextDecoder()
  const kept: string[] = []
  let open = ''
  let dropped = 0
  // Line by its number since the start, and the first character in it that is not looked through.
  let line = 0
  let column = 0
  const end = (text: string): void => {
    kept.push(text)
    if (kept.length <= linesMax) return
    kept.shift()
    dropped += 1
  }
  /** @returns the rest of a line whose beginning has become lines of their own */
  const cutOff = (text: string): string => {
    let rest = text
    while (rest.length > boardLimits.consoleLineBytesMax) {
      end(rest.slice(0, boardLimits.consoleLineBytesMax))
      rest = rest.slice(boardLimits.consoleLineBytesMax)
    }
    return rest
  }
  return {
    feed(bytes) {
      const parts = `${open}${visible(decoder.decode(bytes, { stream: true }))}`.split('\n')
      open = parts.pop() ?? ''
      const lines = parts.map(cutOff)
      for (const it of lines) end(it)
      open = cutOff(open)
      return lines
    },
    lines: () => (open === '' ? kept.slice() : [...kept, open]),
    dropped: () => dropped,
    ended: () => dropped + kept.length,
    find(pattern, first = 0) {
      const form = new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, ''))
      for (let number = Math.max(line, dropped, first); number <= dropped + kept.length; number += 1) {
        const text = kept[number - dropped] ?? open
        const from = number === line ? column : 0
        const hit = form.exec(text.slice(from))
        if (hit === null) continue
        line = number
        column = from + hit.index + hit[0].length
        return text
      }
      return null
    },
    skip() {
      line = dropped + kept.length
      column = open.length
    },
  }
}

function visible(text: string): string {
  return text.replace(/\r/g, '').replace(/[^\P{Cc}\t\n]/gu, '\u00b7')
}
