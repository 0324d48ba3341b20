/**
 * What was asked of a disk: all operations counted, the last ones remembered, changes of named ranges counted.
 * Promise: memory stays within its limits however long the disk is used.
 */
import { assert } from '../../core/assert.ts'
import { diskServerLimits } from '../../core/limits.ts'
import type { NbdRequest } from './nbd-session.ts'

export interface ByteRange {
  readonly offset: number
  readonly bytes: number
}

/** One request, as it is remembered. */
export interface DiskOperation {
  /** From 0, over all kinds, since the disk was made. */
  readonly number: number
  readonly kind: NbdRequest['kind']
  readonly offset: number
  readonly length: number
  readonly fua: boolean
}

export interface DiskCounts {
  readonly operations: Readonly<Record<NbdRequest['kind'], number>>
  /** Writes that were durable at once. */
  readonly fua: number
  readonly readBytes: number
  readonly writtenBytes: number
  /** Writes that reached the medium because the cache was full. */
  readonly spilled: number
  /** Operations that were answered with an error. */
  readonly failed: number
}

export interface DiskTally {
  /** Takes down one request. */
  note(request: NbdRequest): DiskOperation
  noteFailure(): void
  counts(spilled: number): DiskCounts
  watch(name: string, range: ByteRange): void
  touched(name: string): number
  recent(): readonly DiskOperation[]
}

export function diskTally(): DiskTally {
  const operations: Record<NbdRequest['kind'], number> = { read: 0, write: 0, flush: 0, trim: 0, zeroes: 0 }
  const sums = { fua: 0, readBytes: 0, writtenBytes: 0, failed: 0 }
  const watched = new Map<string, { readonly range: ByteRange; count: number }>()
  const recent: DiskOperation[] = []
  let number = 0
  return {
    note({ kind, offset, length, fua }) {
      const operation = { number, kind, offset, length, fua }
      number += 1
      operations[kind] += 1
      if (kind === 'read') sums.readBytes += length
      if (changes(operation)) {
        sums.writtenBytes += length
        if (fua) sums.fua += 1
        for (const it of watched.values()) if (touches(operation, it.range)) it.count += 1
      }
      if (recent.length === diskServerLimits.operationsKept) recent.shift()
      recent.push(operation)
      return operation
    },
    noteFailure() {
      sums.failed += 1
    },
    counts: (spilled) => ({ operations: { ...operations }, ...sums, spilled }),
    watch(name, range) {
      assert(watched.size < diskServerLimits.rangesMax, `${name}: too many watched ranges`)
      watched.set(name, { range, count: 0 })
    },
    touched: (name) => watched.get(name)?.count ?? 0,
    recent: () => recent.slice(),
  }
}

export function changes({ kind }: DiskOperation): boolean {
  return kind === 'write' || kind === 'zeroes' || kind === 'trim'
}

export function touches({ offset, length }: DiskOperation, range: ByteRange): boolean {
  return offset < range.offset + range.bytes && range.offset < offset + length
}
