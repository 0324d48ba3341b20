/**
 * The rows of the clip cache: clips, contents and skills by name and by number, their figures in typed arrays.
 * Promise: a number stays the same while its row is there and is used again afterwards; room grows by doubling,
 * for clips and contents to the limit of items at first, so that a full cache has no empty rows.
 * Leaves to others: what refers to what (cache-books.ts).
 */
import { clipLimits } from '../../core/clip-limits.ts'
import { none, widerBytes, widerFloats, widerInts } from './ring.ts'

const rowsAtFirst = 64

/** Names with numbers. */
class Table {
  /** '' where there is no row. */
  readonly names: string[] = []
  capacity = rowsAtFirst
  private readonly numbers = new Map<string, number>()
  private readonly vacant: number[] = []

  get size(): number {
    return this.numbers.size
  }

  /** @returns the number of a name, or `none` */
  find(name: string): number {
    return this.numbers.get(name) ?? none
  }

  name(row: number): string {
    return this.names[row] ?? ''
  }

  /** @param usual rows that are expected at most. @returns the number; true when the room must grow first */
  enter(name: string): number {
    const row = this.vacant.length > 0 ? (this.vacant.pop() ?? none) : this.names.length
    this.names[row] = name
    this.numbers.set(name, row)
    return row
  }

  leave(row: number): void {
    this.numbers.delete(this.name(row))
    this.names[row] = ''
    this.vacant.push(row)
  }

  /** The room for one more row than there is; `usual` is not passed before it must be. */
  roomFor(usual: number): number {
    if (this.size < this.capacity) return this.capacity
    const doubled = 2 * this.capacity
    return this.capacity < usual ? Math.min(doubled, usual) : doubled
  }
}

export class ClipTable extends Table {
  contents = new Int32Array(rowsAtFirst)
  skills = new Int32Array(rowsAtFirst)
  /** 1: pinned. */
  pins = new Uint8Array(rowsAtFirst)
  addedMs = new Float64Array(rowsAtFirst)
  accessedMs = new Float64Array(rowsAtFirst)
  accesses = new Float64Array(rowsAtFirst)

  grow(capacity: number): void {
    this.contents = widerInts(this.contents, capacity)
    this.skills = widerInts(this.skills, capacity)
    this.pins = widerBytes(this.pins, capacity)
    this.addedMs = widerFloats(this.addedMs, capacity)
    this.accessedMs = widerFloats(this.accessedMs, capacity)
    this.accesses = widerFloats(this.accesses, capacity)
    this.capacity = capacity
  }

  content(clip: number): number {
    return this.contents[clip] ?? none
  }

  skill(clip: number): number {
    return this.skills[clip] ?? none
  }

  isPinned(clip: number): boolean {
    return this.pins[clip] === 1
  }
}

export class ContentTable extends Table {
  bytes = new Float64Array(rowsAtFirst)
  /** Clips that refer to it, and the pinned ones of them. */
  clips = new Int32Array(rowsAtFirst)
  pinned = new Int32Array(rowsAtFirst)
  /** Rises with each use: of two contents the one with the higher number was used later. */
  uses = new Float64Array(rowsAtFirst)
  /** Which ring of the order it lies in, or `none`. */
  rings = new Int32Array(rowsAtFirst)

  grow(capacity: number): void {
    this.bytes = widerFloats(this.bytes, capacity)
    this.clips = widerInts(this.clips, capacity)
    this.pinned = widerInts(this.pinned, capacity)
    this.uses = widerFloats(this.uses, capacity)
    this.rings = widerInts(this.rings, capacity)
    this.capacity = capacity
  }

  bytesOf(content: number): number {
    return this.bytes[content] ?? 0
  }

  clipsOf(content: number): number {
    return this.clips[content] ?? 0
  }

  pinnedOf(content: number): number {
    return this.pinned[content] ?? 0
  }
}

/** What is known of a skill; the bytes are those of its clips in full, shared or not. */
export interface SkillRow {
  id: string
  readonly number: number
  items: number
  bytes: number
  pinnedBytes: number
  quota: number
  hits: number
  misses: number
}

/**
 * The skills. A skill whose clips have all left keeps its figures; when there are too many skills, the one
 * that has been without clips longest gives up its row.
 */
export class SkillTable {
  readonly rows: SkillRow[] = []
  private readonly byId = new Map<string, SkillRow>()
  /** Without clips, the longest first. */
  private readonly empty = new Set<SkillRow>()
  private recent: SkillRow | undefined

  find(id: string): SkillRow | undefined {
    if (this.recent?.id === id) return this.recent
    this.recent = this.byId.get(id)
    return this.recent
  }

  at(number: number): SkillRow | undefined {
    return this.rows[number]
  }

  all(): Iterable<SkillRow> {
    return this.byId.values()
  }

  enter(id: string, quota: number): SkillRow {
    const [idle] = this.rows.length < clipLimits.skillsMax ? [] : this.empty
    const number = idle?.number ?? this.rows.length
    const row = { id, number, items: 0, bytes: 0, pinnedBytes: 0, quota, hits: 0, misses: 0 }
    if (idle !== undefined) {
      this.empty.delete(idle)
      this.byId.delete(idle.id)
    }
    this.rows[number] = row
    this.byId.set(id, row)
    this.empty.add(row)
    this.recent = row
    return row
  }

  count(row: SkillRow, items: number): void {
    if (row.items === 0) this.empty.delete(row)
    row.items += items
    if (row.items === 0) this.empty.add(row)
  }
}
