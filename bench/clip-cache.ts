/**
 * How fast the policy of the clip cache is beside `lru-cache` in the same run, by turns: a hit, a put that evicts,
 * a mix; how often it hits beside exact LRUs; what 100,000 clips take in memory; what sharing contents saves.
 * `ttl` is off for both; `setWithTtl` is a put with an hour to live, beside lru-cache without. Prints one JSON object.
 * Arguments: sizes in clips (default 1000 10000 100000).
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { LRUCache } from 'lru-cache'
import { hours } from '../core/units.ts'
import type { CacheListener, ClipCache } from '../device/clips/cache-types.ts'
import { createClipCache } from '../device/clips/clip-cache.ts'
import {
  type Clip,
  comparedTraces,
  digest,
  hotTrace,
  limitsOf,
  plainClips,
  play,
  playToLibrary,
  playToMap,
  skillSet,
  zipf,
} from '../test/device/clips/traces.ts'
import { median } from './ground.ts'

const rounds = 31
const warmUps = 6
const operations = 20_000
const traceLength = 200_000
const nowMs = 1_767_225_600_000
const silent: CacheListener = { left: () => {}, contentLeft: () => {}, full: () => {} }

type Rival = LRUCache<string, Clip>

function main(sizes: readonly number[]): void {
  const report = {
    name: 'clip-cache',
    node: process.version,
    rounds,
    operations,
    speed: sizes.map(speed),
    hitRates: hitRates(),
    memory: memory(100_000),
    sharing: sharing(),
  }
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
}

/** Operations per second, medians; ratios of neighbours in time, their median. */
function speed(clips: number) {
  const all = plainClips(4 * clips)
  const limits = limitsOf({ items: clips, bytes: 1e15 })
  const own = createClipCache(limits, silent)
  const mortal = createClipCache({ ...limits, ttlMs: hours(1) }, silent)
  const rival: Rival = new LRUCache({ max: clips })
  const set = compare(putter(own, all), setter(rival, all))
  const setWithTtl = compare(putter(mortal, all), setter(rival, all))
  const held = all.slice(0, clips)
  for (const it of held) own.put(it.clip, it, nowMs)
  for (const it of held) rival.set(it.clip, it)
  const asked = zipf(held, operations, 0, 7)
  const found = compare(finder(own, asked), getter(rival, asked))
  const entry = compare(entryGetter(own, asked), getter(rival, asked))
  const mix = zipf(all, 5 * operations, 0.9, 8)
  return {
    clips,
    find: found,
    get: entry,
    set,
    setWithTtl,
    mixed: compare(mixer(own, mix), rivalMixer(rival, mix)),
  }
}

interface Figure {
  readonly own: number
  readonly lruCache: number
  readonly ratio: number
}

function compare(own: () => void, rival: () => void): Figure {
  const seen: { own: number; rival: number }[] = []
  for (let round = 0; round < warmUps + rounds; round += 1) {
    const first = round % 2 === 0 ? seconds(own) : 0
    const taken = seconds(rival)
    seen.push({ own: first === 0 ? seconds(own) : first, rival: taken })
  }
  const counted = seen.slice(warmUps)
  return {
    own: Math.round(operations / median(counted.map((it) => it.own))),
    lruCache: Math.round(operations / median(counted.map((it) => it.rival))),
    ratio: round(median(counted.map((it) => it.rival / it.own))),
  }
}

function seconds(work: () => void): number {
  const began = process.hrtime.bigint()
  work()
  return Number(process.hrtime.bigint() - began) / 1e9
}

/** Puts one clip after the other, none of which is there any more. */
function putter(cache: ClipCache, clips: readonly Clip[]): () => void {
  let at = 0
  return () => {
    for (let done = 0; done < operations; done += 1) {
      const it = clips[at]
      at = at + 1 === clips.length ? 0 : at + 1
      if (it !== undefined) cache.put(it.clip, it, nowMs)
    }
  }
}

function setter(cache: Rival, clips: readonly Clip[]): () => void {
  let at = 0
  return () => {
    for (let done = 0; done < operations; done += 1) {
      const it = clips[at]
      at = at + 1 === clips.length ? 0 : at + 1
      if (it !== undefined) cache.set(it.clip, it)
    }
  }
}

function finder(cache: ClipCache, asked: readonly Clip[]): () => void {
  return () => {
    let bytes = 0
    for (const { clip } of asked) bytes += cache.bytesAt(cache.find(clip, nowMs))
    used(bytes)
  }
}

function entryGetter(cache: ClipCache, asked: readonly Clip[]): () => void {
  return () => {
    let bytes = 0
    for (const { clip } of asked) bytes += cache.get(clip, nowMs)?.bytes ?? 0
    used(bytes)
  }
}

function getter(cache: Rival, asked: readonly Clip[]): () => void {
  return () => {
    let bytes = 0
    for (const { clip } of asked) bytes += cache.get(clip)?.bytes ?? 0
    used(bytes)
  }
}

/** Asks, and puts what is not there. */
function mixer(cache: ClipCache, asked: readonly Clip[]): () => void {
  let at = 0
  return () => {
    for (let done = 0; done < operations; done += 1) {
      const it = asked[at]
      at = at + 1 === asked.length ? 0 : at + 1
      if (it !== undefined && cache.find(it.clip, nowMs) < 0) cache.put(it.clip, it, nowMs)
    }
  }
}

function rivalMixer(cache: Rival, asked: readonly Clip[]): () => void {
  let at = 0
  return () => {
    for (let done = 0; done < operations; done += 1) {
      const it = asked[at]
      at = at + 1 === asked.length ? 0 : at + 1
      if (it !== undefined && cache.get(it.clip) === undefined) cache.set(it.clip, it)
    }
  }
}

/** So that no compiler leaves out the work. */
function used(bytes: number): void {
  if (bytes === 0) throw new Error('nothing was found')
}

function hitRates(): Record<string, unknown> {
  const [hot, room] = hotTrace(traceLength)
  const rates = Object.entries(comparedTraces(traceLength)).map(([name, [trace, space]]) => {
    const own = play(createClipCache(limitsOf(space), silent), trace)
    return [name, { own, map: playToMap(trace, space), lruCache: playToLibrary(trace, space) }]
  })
  return { ...Object.fromEntries(rates), hot: { own: play(createClipCache(limitsOf(room), silent), hot) } }
}

/** Heap and arrays of a full cache of clips with contents of their own; the ids and digests that it holds apart. */
function memory(clips: number): Record<string, number> {
  const before = taken()
  const names = Array.from({ length: clips }, (_, at) => ({
    clip: `skill-1.clip-${at}`,
    content: digest(`${at}`),
  }))
  const named = taken()
  const cache = createClipCache({ ...limitsOf({ items: clips, bytes: 1e15 }), ttlMs: hours(1) }, silent)
  for (const { clip, content } of names) cache.put(clip, { skill: 'skill-1', content, bytes: 20_000 }, nowMs)
  const full = taken()
  if (cache.stats().items !== names.length) throw new Error('the cache is not full')
  return { clips, cacheMB: round((full - named) / 1e6), namesMB: round((named - before) / 1e6) }
}

function taken(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** 20 skills of 100 clips; each clip after the first has with a chance of 1 in 4 the content of an earlier one. */
function sharing(): Record<string, number> {
  const clips = skillSet(20, 100, 0.25, 5)
  const cache = createClipCache(limitsOf({ items: 1e6, bytes: 1e15 }), silent)
  for (const { clip, ...it } of clips) cache.put(clip, it, nowMs)
  const { sizeBytes, bytesSaved, dedupRatio, contents, items } = cache.stats()
  return {
    items,
    contents,
    sharedStated: 0.25,
    savedShare: round(bytesSaved / (sizeBytes + bytesSaved)),
    dedupRatio,
  }
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000
}

const sizes = process.argv.slice(2).map(Number)
main(sizes.length > 0 ? sizes : [1_000, 10_000, 100_000])
