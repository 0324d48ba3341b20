/**
 * The skills of the cache and their figures.
 * Promise: a skill whose clips have all left keeps its figures; when there are more skills than are allowed, the
 * one that has been without clips longest gives up its row.
 * Leaves to others: which clips a skill has (cache-books.ts).
 */
import { AssertionFailed } from '../../core/assert.ts'
import { clipLimits } from '../../core/clip-limits.ts'

/** What is known of a skill; the bytes are those of its clips in full, shared or not. */
export interface SkillRow {
  readonly id: string
  readonly number: number
  items: number
  bytes: number
  /** Of its pinned clips. */
  pinnedBytes: number
  quota: number
  hits: number
  misses: number
}

export class SkillTable {
  private readonly rows: SkillRow[] = []
  private readonly byId = new Map<string, SkillRow>()
  /** Without clips, the longest first. */
  private readonly empty = new Set<SkillRow>()
  private recent: SkillRow | undefined

  find(id: string): SkillRow | undefined {
    if (this.recent?.id === id) return this.recent
    const row = this.byId.get(id)
    if (row !== undefined) this.recent = row
    return row
  }

  at(number: number): SkillRow {
    const row = this.rows[number]
    if (row === undefined) throw new AssertionFailed(`there is no skill ${number}`)
    return row
  }

  all(): Iterable<SkillRow> {
    return this.byId.values()
  }

  /** A skill that is not there. @returns undefined when there are as many as there may be, all with clips */
  enter(id: string, quota: number): SkillRow | undefined {
    const isRoom = this.rows.length < clipLimits.skillsMax
    const [idle] = isRoom ? [] : this.empty
    if (!isRoom && idle === undefined) return undefined
    const number = idle?.number ?? this.rows.length
    const row = { id, number, items: 0, bytes: 0, pinnedBytes: 0, quota, hits: 0, misses: 0 }
    if (idle !== undefined) {
      this.empty.delete(idle)
      this.byId.delete(idle.id)
      if (this.recent === idle) this.recent = undefined
    }
    this.rows[number] = row
    this.byId.set(id, row)
    this.empty.add(row)
    return row
  }

  /** Counts a clip that comes. */
  arrived(row: SkillRow, bytes: number): void {
    if (row.items === 0) this.empty.delete(row)
    row.items += 1
    row.bytes += bytes
  }

  /** Counts a clip that has left. */
  departed(row: SkillRow, bytes: number): void {
    row.items -= 1
    row.bytes -= bytes
    if (row.items === 0) this.empty.add(row)
  }
}
