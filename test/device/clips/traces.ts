/**
 * Requests for clips, made by seeded generators, and the obvious caches that a trace is also played to.
 * Promise: same arguments, same trace; each says how its clips are spread and what they share.
 * Leaves to others: what is compared (clip-cache-traces.test.ts) and measured (bench/clip-cache.ts).
 */
import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { SeededRandom } from '../../../core/prng.ts'
import { seededRandom } from '../../../core/prng.ts'
import { KiB } from '../../../core/units.ts'
import type { CacheLimits, ClipCache } from '../../../device/clips/cache-types.ts'

export interface Clip {
  readonly clip: string
  readonly skill: string
  readonly content: string
  readonly bytes: number
}

/** How much a cache holds in a trace. */
export interface Room {
  readonly items: number
  readonly bytes: number
}

export function limitsOf(room: Room): CacheLimits {
  return { ...room, ttlMs: 0, pinnedBytes: 0, quotas: new Map(), quotaDefault: Infinity }
}

/** Clips with contents of their own and one size, those of a skill one after the other. */
export function plainClips(count: number): readonly Clip[] {
  const each = Math.ceil(count / 20)
  return Array.from({ length: count }, (_, at) => ({
    clip: `skill-${Math.floor(at / each)}.clip-${at}`,
    skill: `skill-${Math.floor(at / each)}`,
    content: digest(`${at}`),
    bytes: 20 * KiB,
  }))
}

/**
 * Skills of as many clips each, between 4 KiB and 256 KiB, small ones more often. A share of all clips has the
 * content of a clip that came before, of whichever skill.
 * @param shared 0 to 1, in 256ths
 */
export function skillSet(skills: number, each: number, shared: number, seed: number): readonly Clip[] {
  const random = seededRandom(seed)
  const all: Clip[] = []
  for (let at = 0; at < skills * each; at += 1) {
    const copied = at > 0 && random.below(256) < shared * 256 ? all[random.below(at)] : undefined
    all.push({
      clip: `skill-${at % skills}.clip-${at}`,
      skill: `skill-${at % skills}`,
      content: copied?.content ?? digest(`${seed} ${at}`),
      bytes: copied?.bytes ?? Math.floor(4 * KiB * 64 ** fraction(random)),
    })
  }
  return all
}

/** The k-th clip is asked for in proportion to 1 / k^exponent. */
export function zipf(
  clips: readonly Clip[],
  length: number,
  exponent: number,
  seed: number,
): readonly Clip[] {
  const random = seededRandom(seed)
  const upTo = new Float64Array(clips.length)
  let total = 0
  for (let at = 0; at < clips.length; at += 1) {
    total += 1 / (at + 1) ** exponent
    upTo[at] = total
  }
  return Array.from({ length }, () => pick(clips, firstAbove(upTo, fraction(random) * total)))
}

/** One after the other, over and over. */
export function loop(clips: readonly Clip[], length: number): readonly Clip[] {
  return Array.from({ length }, (_, at) => pick(clips, at % clips.length))
}

/** A share of the requests is for the first clips, the rest for any. @param share 0 to 1, in 256ths */
export function hotSet(
  clips: readonly Clip[],
  length: number,
  hot: number,
  share: number,
  seed: number,
): readonly Clip[] {
  const random = seededRandom(seed)
  const draw = (): number => random.below(random.below(256) < share * 256 ? hot : clips.length)
  return Array.from({ length }, () => pick(clips, draw()))
}

/** The traces on which the cache has the hit rate of an exact LRU. */
export function comparedTraces(length: number): Readonly<Record<string, readonly [readonly Clip[], Room]>> {
  const plain = plainClips(10_000)
  const skills = skillSet(40, 200, 0.25, 11)
  return {
    'Zipf 0.9': [zipf(plain, length, 0.9, 1), { items: 1_000, bytes: 1e9 }],
    loop: [loop(plain.slice(0, 1_100), length), { items: 1_000, bytes: 1e9 }],
    'mixed sizes, shared contents': [zipf(skills, length, 0.7, 2), { items: 1e6, bytes: 40e6 }],
  }
}

/** Nine of ten requests and more are for clips that fit the cache. */
export function hotTrace(length: number): readonly [readonly Clip[], Room] {
  return [hotSet(plainClips(10_000), length, 600, 0.96, 3), { items: 1_000, bytes: 1e9 }]
}

/** @returns the share of the requests that found the clip; others put it */
export function play(cache: ClipCache, trace: readonly Clip[]): number {
  let nowMs = 1_000
  for (const { clip, ...it } of trace) {
    nowMs += 10
    if (cache.find(clip, nowMs) < 0) cache.put(clip, it, nowMs)
  }
  return cache.stats().hitRate
}

/** An exact LRU of contents by bytes, or of clips when each has a content of its own: a Map keeps the order. */
export function playToMap(trace: readonly Clip[], room: Room): number {
  const held = new Map<string, { bytes: number; clips: Set<string> }>()
  let [hits, bytes] = [0, 0]
  for (const it of trace) {
    const found = held.get(it.content)
    if (found?.clips.has(it.clip) === true) hits += 1
    const content = found ?? { bytes: it.bytes, clips: new Set<string>() }
    if (found === undefined) bytes += it.bytes
    content.clips.add(it.clip)
    held.delete(it.content)
    held.set(it.content, content)
    for (const [name, oldest] of held) {
      if (bytes <= room.bytes && held.size <= room.items) break
      held.delete(name)
      bytes -= oldest.bytes
    }
  }
  return hits / trace.length
}

/** The same by the library `lru-cache`. */
export function playToLibrary(trace: readonly Clip[], room: Room): number {
  const cache = new LRUCache<string, Set<string>>({ max: room.items, maxSize: room.bytes })
  let hits = 0
  for (const it of trace) {
    const found = cache.get(it.content)
    if (found?.has(it.clip) === true) hits += 1
    if (found === undefined) cache.set(it.content, new Set([it.clip]), { size: it.bytes })
    else found.add(it.clip)
  }
  return hits / trace.length
}

export function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function fraction(random: SeededRandom): number {
  return random.uint32() / 0x1_0000_0000
}

function pick(clips: readonly Clip[], at: number): Clip {
  const found = clips[at]
  if (found === undefined) throw new Error(`there is no clip ${at}`)
  return found
}

/** The first place whose value is above one, in rising values. */
function firstAbove(rising: Float64Array, value: number): number {
  let [low, high] = [0, rising.length - 1]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((rising[middle] ?? 0) > value) high = middle
    else low = middle + 1
  }
  return low
}
