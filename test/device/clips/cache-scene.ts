/** A clip cache whose listener is heard, with limits wide enough for what a test does not look at. */
import type { CacheLimits, ClipCache, NewClip } from '../../../device/clips/cache-types.ts'
import { createClipCache } from '../../../device/clips/clip-cache.ts'
import { type Heard, hearing } from './clip-pair.ts'

export const wide: CacheLimits = {
  bytes: 1_000,
  items: 100,
  ttlMs: 0,
  pinnedBytes: 500,
  quotas: new Map(),
  quotaDefault: Infinity,
}
export const nowMs = 1_000_000

export function make(limits: Partial<CacheLimits> = {}): { cache: ClipCache; heard: Heard } {
  const heard = hearing()
  return { cache: createClipCache({ ...wide, ...limits }, heard), heard }
}

export function put(cache: ClipCache, clip: string, content: string, more: Partial<NewClip> = {}): string {
  return cache.put(clip, { skill: 'news', content, bytes: 10, ...more }, nowMs)
}

export const order = (cache: ClipCache): string => [...cache.entries()].map(({ clip }) => clip).join(' ')
