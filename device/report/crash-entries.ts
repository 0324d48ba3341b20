/**
 * What the kernel kept of a crash (pstore), as one text for the hub: newest first, each entry under a line that
 * names it, so that the same entries can be found again once the hub has them.
 * Promise: pure; within the limit of the wire; of an entry that is too long the end is kept, where a panic shows.
 * Leaves to others: reading and removing files (adapters/pstore.ts).
 */
import { wireLimits } from '../../core/limits.ts'
import { crashLimits } from '../../core/service-limits.ts'

export interface CrashEntry {
  /** Path of the file. */
  readonly path: string
  readonly bytes: number
  /** Time of its last change, ms since 1970. */
  readonly atMs: number
}

/** @param entries with the ends of their texts. @returns null when there are none */
export function crashText(entries: readonly (CrashEntry & { readonly text: string })[]): string | null {
  let all = ''
  for (const it of [...entries].sort((a, b) => b.atMs - a.atMs || (a.path < b.path ? -1 : 1))) {
    const end = it.text.slice(-crashLimits.entryBytesMax).replace(/[^\n\t\x20-\x7e]/g, '?')
    const part = `${headOf(it)}\n${end.trimEnd()}\n`
    if (all.length + part.length > wireLimits.evidenceBytesMax) break
    all += part
  }
  return all === '' ? null : all
}

/** Those of `entries` that the text holds, unchanged since. */
export function entriesIn<T extends CrashEntry>(text: string, entries: readonly T[]): readonly T[] {
  const lines = new Set(text.split('\n'))
  return entries.filter((it) => lines.has(headOf(it)))
}

function headOf({ path, bytes, atMs }: CrashEntry): string {
  return `--- ${path} (${bytes} bytes, ${Math.floor(atMs)}) ---`
}
