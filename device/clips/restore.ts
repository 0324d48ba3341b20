/**
 * Takes what the index knew into the empty cache after a start.
 * Promise: clips and contents agree afterwards; a clip that has no room any more, has expired or lost its file is not
 * there, and the index is to hear of it.
 * Leaves to others: reading the index (recovery.ts).
 */
import type { IndexKeeper } from './index-keeper.ts'
import type { ClipRecord, ContentRecord } from './index-record.ts'
import { isRefusal } from './placing.ts'
import { none } from './ring.ts'
import type { StoreState } from './store-types.ts'

/** A clip of the index; `content` null: its file is not there. */
export interface Row {
  readonly clip: ClipRecord
  readonly content: RowContent | null
}

export interface RowContent {
  readonly key: string
  readonly bytes: number
  record(): ContentRecord
}

/** @param rows the least recently used first. @returns clips whose content has no file */
export function restore(state: StoreState, index: IndexKeeper, rows: Iterable<Row>): number {
  const { cache, contents, clips } = state
  const nowMs = state.age.nowMs()
  let missing = 0
  for (const { clip, content } of rows) {
    if (content === null) {
      missing += 1
      continue
    }
    if (!contents.has(content.key)) contents.add(content.record())
    const record = enter(state, index, clip, content, nowMs)
    if (record !== null) {
      contents.settle(content.key)
      clips.set(clip.id, record)
      continue
    }
    index.note({ kind: 'gone', clip: clip.number })
    // Another clip may have brought it already, or may still come.
    if (cache.contentBytes(content.key) === null) contents.drop(content.key, none)
  }
  return missing
}

/** @returns the record of the clip as it is now; null: it is not there */
function enter(
  { cache }: StoreState,
  index: IndexKeeper,
  clip: ClipRecord,
  { key, bytes }: RowContent,
  nowMs: number,
): ClipRecord | null {
  const { id, skill, pinned, addedMs, accesses } = clip
  const expiresMs = clip.expiresMs === 0 ? null : clip.expiresMs
  const accessedMs = clip.lastAccessMs === 0 ? addedMs : clip.lastAccessMs
  const it = { skill, content: key, bytes, pinned, addedMs, expiresMs, accessedMs, accesses }
  const how = cache.put(id, it, nowMs)
  if (!isRefusal(how)) return clip
  if (how !== 'full' || !pinned) return null
  // Pins have less room than before.
  if (isRefusal(cache.put(id, { ...it, pinned: false }, nowMs))) return null
  index.note({ kind: 'pinned', clip: clip.number, pinned: false })
  return { ...clip, pinned: false }
}
