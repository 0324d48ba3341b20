/**
 * One chapter of the demonstration: what it came to, and how the closing table shows it.
 * Promise: pure; the table fits 80 columns.
 */
import { bytesText, type SlotId } from '../core/units.ts'

export interface Chapter {
  readonly name: string
  /** What became of it: `committed`, `fell back`, `refused`. */
  readonly outcome: string
  /** Code of the device's report or notice; null when nothing failed. */
  readonly code: string | null
  /** Slot and version that run at the end. */
  readonly slot: SlotId
  readonly version: string
  /** States that the update passed. */
  readonly states: readonly string[]
  /** Boots by slot, first to last. */
  readonly boots: readonly SlotId[]
  /** Bytes of release files that the hub sent. */
  readonly bytesSent: number
  /** Of these, bytes that it had sent before in the chapter. */
  readonly bytesResent: number
  readonly seconds: number
}

/** One request of a release file, as the hub logs it. */
export interface Sent {
  readonly path: string
  readonly start: number
  readonly sent: number
}

/** @returns bytes in all, and bytes of these that were sent more than once */
export function sumSent(requests: readonly Sent[]): {
  readonly bytesSent: number
  readonly bytesResent: number
} {
  const bytesSent = requests.reduce((sum, it) => sum + it.sent, 0)
  const files = Map.groupBy(requests, (it) => it.path)
  let distinct = 0
  for (const parts of files.values()) {
    let end = 0
    for (const { start, sent } of parts.toSorted((one, other) => one.start - other.start)) {
      distinct += Math.max(0, start + sent - Math.max(end, start))
      end = Math.max(end, start + sent)
    }
  }
  return { bytesSent, bytesResent: bytesSent - distinct }
}

const widths = [33, 4, 7, 9, 9, 6] as const

export function closingTable(chapters: readonly Chapter[]): readonly string[] {
  const cells = (row: readonly string[]): string =>
    row
      .map((cell, index) => (index === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[index] ?? 0)))
      .join(' ')
  const head = cells(['CHAPTER', 'SLOT', 'VERSION', 'SENT', 'RE-SENT', 'TIME'])
  const rows = chapters.flatMap((it) => {
    const { bytesSent, bytesResent, seconds } = it
    const numbers = [
      it.slot,
      it.version,
      bytesText(bytesSent),
      bytesText(bytesResent),
      `${seconds.toFixed(1)} s`,
    ]
    const states =
      it.states.length === 0 ? '' : `: ${it.states.map((name) => name.toLowerCase()).join(' > ')}`
    const boots = it.boots.length === 0 ? 'no boot' : `boots ${it.boots.join(' ')}`
    const result = it.code === null ? it.outcome : `${it.outcome} (${it.code})`
    return [
      cells([it.name, ...numbers]),
      ...wrapped(`${result}${states}; ${boots}`, 76).map((line) => `  ${line}`),
    ]
  })
  return [head, ...rows]
}

/** Lines of at most `width` characters; all but the first are indented by two. */
export function wrapped(text: string, width: number): readonly string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = '  '
    }
    line += line === '' || line === '  ' ? word : ` ${word}`
  }
  return [...lines, line]
}
