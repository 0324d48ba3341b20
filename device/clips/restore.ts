/**
 * Takes what the index knew into the empty cache after a start.
 * Promise: clips and contents agree afterwards; a clip that has no room any more, has expired or lost its file is not
 * there, and the index is to hear of it.
 * Leaves to others: reading the index (recovery.ts).
 */
import type { PutResult } from './cache-types.ts'
import type { IndexKeeper } from './index-keeper.ts'
import type { ClipRecord, ContentRecord } from './index-record.ts'
import { isRefusal } from './placing.ts'
import type { StoreState } from './store-types.ts'

/** A clip of the index; `content` null: its file is not there. */
export interface Row {
  readonly clip: ClipRecord
  readonly content: ContentRecord | null
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
    if (contents.get(content.key) === undefined) contents.add(content)
    clips.set(clip.id, clip)
    if (!isRefusal(enter(state, index, clip, content, nowMs))) continue
    clips.delete(clip.id)
    index.note({ kind: 'gone', clip: clip.number })
    // Another clip may have brought it already, or may still come.
    if (cache.contentBytes(content.key) === null) contents.drop(content.key)
  }
  return missing
}

function enter(
  { cache, clips }: StoreState,
  index: IndexKeeper,
  clip: ClipRecord,
  { key, bytes }: ContentRecord,
  nowMs: number,
): PutResult {
  const { id, skill, pinned, addedMs, accesses } = clip
  const expiresMs = clip.expiresMs === 0 ? null : clip.expiresMs
  const accessedMs = clip.lastAccessMs === 0 ? addedMs : clip.lastAccessMs
  const it = { skill, content: key, bytes, addedMs, expiresMs, accessedMs, accesses }
  const how = cache.put(id, { ...it, pinned }, nowMs)
  if (how !== 'full' || !pinned) return how
  // Pins have less room than before.
  clips.set(id, { ...clip, pinned: false })
  index.note({ kind: 'pinned', clip: clip.number, pinned: false })
  return cache.put(id, { ...it, pinned: false }, nowMs)
}
