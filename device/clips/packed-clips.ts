/**
 * What the index knows of the clips that are there: records by id, packed, in the rows that the policy gives them.
 * Promise: nothing is known of a clip that the policy does not have.
 */
import { assert } from '../../core/assert.ts'
import type { ClipCache } from './cache-types.ts'
import { ClipColumns } from './clip-columns.ts'
import type { ClipRecord } from './index-record.ts'
import { none } from './ring.ts'

export class PackedClips {
  readonly #cache: Pick<ClipCache, 'row' | 'names'>
  #columns = new ClipColumns()

  constructor(cache: Pick<ClipCache, 'row' | 'names'>) {
    this.#cache = cache
  }

  /** So many clips are expected. */
  reserve(clips: number): void {
    this.#columns.reserve(clips)
  }

  /** Takes what is known of all clips that the policy has, in the rows that it has for them. */
  adopt(columns: ClipColumns): void {
    this.#columns = columns
  }

  has(id: string): boolean {
    const row = this.#cache.row(id)
    return row !== none && this.#columns.has(row)
  }

  get(id: string): ClipRecord | undefined {
    const row = this.#cache.row(id)
    return row !== none && this.#columns.has(row) ? this.#columns.read(row, id) : undefined
  }

  /** Of a clip that the policy has. */
  set(id: string, record: ClipRecord): void {
    const row = this.#cache.row(id)
    assert(row !== none, 'only of clips that are there something is known')
    this.#columns.write(row, record)
  }

  /** The policy has let the clip of that row go. @returns its record */
  take(row: number, id: string): ClipRecord {
    assert(this.#columns.has(row), 'a clip that leaves is known')
    const record = this.#columns.read(row, id)
    this.#columns.clear(row)
    return record
  }

  /** Ids, in no order. Clips may change meanwhile. */
  keys(): Generator<string> {
    return this.#cache.names()
  }
}
