/**
 * Takes what the index knew into the empty cache after a start.
 * Promise: clips and contents agree afterwards; a clip that has no room any more, has expired or lost its file is not
 * there, and the index is to hear of it. All at once, mostly; one by one where one of them may have to give way.
 * Leaves to others: reading the index (recovery.ts).
 */
import { fileOf } from './contents.ts'
import type { Found, Row } from './found.ts'
import type { RowContent } from './found-rows.ts'
import type { IndexKeeper } from './index-keeper.ts'
import type { ClipRecord } from './index-record.ts'
import { isRefusal } from './placing.ts'
import type { StoreState } from './store-types.ts'

export interface Restored {
  /** Clips whose content has no file. */
  readonly missing: number
  /** Files of contents that no clip referred to. */
  readonly strays: readonly string[]
}

/** @param found with the files that there are */
export function restore(state: StoreState, index: IndexKeeper, found: Found): Restored {
  const { cache, contents, clips, age } = state
  const nowMs = age.nowMs()
  const { missing, expired, left, unused } = found.sift(nowMs)
  if (cache.load(found.known(), nowMs)) {
    clips.adopt(found.columns.clips)
    contents.adopt(found.columns.contents)
  } else {
    cache.reserve(found.size, found.files)
    contents.reserve(found.files)
    clips.reserve(found.size)
    for (const row of found.rows()) enter(state, index, row, nowMs)
  }
  for (const clip of expired) index.note({ kind: 'gone', clip })
  for (const content of left) {
    // Another content may be the same, and its file is another one.
    contents.orphan(content)
  }
  return { missing, strays: [...unused.map(fileOf), ...twice(state, found)] }
}

/** A clip that may not be taken, or may make others leave. */
function enter(state: StoreState, index: IndexKeeper, { clip, content }: Row, nowMs: number): void {
  const { cache, contents, clips } = state
  if (content === null) return
  const record = put(state, index, clip, content, nowMs)
  if (record !== null) {
    if (!contents.has(content.key)) contents.add(content.record())
    clips.set(clip.id, record)
    return
  }
  index.note({ kind: 'gone', clip: clip.number })
  // Another clip may have brought it already, or may still come.
  if (cache.contentBytes(content.key) === null) contents.orphan(content.record())
}

/** @returns the record of the clip as it is now; null: it is not there */
function put(
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

/** Files of contents that the cache does not have: what another has brought, or what has left just now. */
function twice({ cache, contents }: StoreState, found: Found): readonly string[] {
  if (found.files === cache.stats().contents) return []
  const files: string[] = []
  for (const record of found.withFiles()) {
    if (contents.get(record.key)?.nonce !== record.nonce) files.push(fileOf(record))
  }
  return files
}
