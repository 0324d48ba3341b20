/**
 * Filling the clip cache at once: it is then as if each clip had been put in its turn, also in all that happens to it
 * later; and it is done whenever nothing has to be refused and nobody has to leave.
 */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { clipLimits } from '../../../core/clip-limits.ts'
import type { CacheLimits, KnownRows, NewClip } from '../../../device/clips/cache-types.ts'
import { createClipCache } from '../../../device/clips/clip-cache.ts'
import { ClipPair, hearing, type Step } from './clip-pair.ts'

/** The first three fall into one chain. */
const contents = ['same1', 'same2', 'same3', 'd', 'e', 'f', '\xff'].map((it) => it.padEnd(32, '.'))
const sizeOf = (content: string): number => 5 + contents.indexOf(content)
const skills = ['news', 'song', 'game']
const clips = Array.from({ length: 12 }, (_, at) => `clip-${at}`)
const nowMs = 1_000_000

const known = fc.record({
  clip: fc.constantFrom(...clips),
  content: fc.constantFrom(...contents),
  pinned: fc.integer({ min: 0, max: 3 }).map((it) => it === 0),
  addedMs: fc.integer({ min: nowMs - 10_000, max: nowMs + 200 }),
  lifeMs: fc.oneof(
    { weight: 3, arbitrary: fc.constant(Infinity) },
    { weight: 3, arbitrary: fc.integer({ min: 10_001, max: 5_000_000 }) },
    { weight: 1, arbitrary: fc.integer({ min: 7_000, max: 10_500 }) },
  ),
  accessedMs: fc.integer({ min: nowMs - 10_000, max: nowMs + 200 }),
  accesses: fc.nat(5),
})
type Known = typeof known extends fc.Arbitrary<infer T> ? T : never

const limits: fc.Arbitrary<CacheLimits> = fc.record({
  bytes: fc.oneof(fc.constant(1_000), fc.integer({ min: 10, max: 60 })),
  items: fc.oneof(fc.constant(100), fc.integer({ min: 1, max: 12 })),
  ttlMs: fc.constant(5_000),
  pinnedBytes: fc.oneof(fc.constant(100), fc.nat(30)),
  quotas: fc.oneof(fc.constant(new Map<string, number>()), fc.constant(new Map([['news', 20]]))),
  quotaDefault: fc.oneof({ weight: 3, arbitrary: fc.constant(Infinity) }, fc.integer({ min: 5, max: 60 })),
})

const skillOf = (clip: string): string => skills[Number(clip.slice(5)) % skills.length] ?? ''

function newClip({ clip, content, lifeMs, ...it }: Known): NewClip {
  const { pinned, addedMs, accessedMs, accesses } = it
  const expiresMs = lifeMs === Infinity ? null : addedMs + lifeMs
  const times = { addedMs, expiresMs, accessedMs, accesses }
  return { skill: skillOf(clip), content, bytes: sizeOf(content), pinned, ...times }
}

/** Clips and contents in rows of another order than their turns, with void rows between. */
function rowsOf(list: readonly Known[], gap: number, contentTwice: boolean): KnownRows {
  const rowOf = (turn: number): number => (list.length - turn) * gap
  const turnOf = new Map(list.map((_, turn) => [rowOf(turn), turn]))
  const at = (row: number): Known => list[turnOf.get(row) ?? -1] ?? expect.unreachable(`row ${row} is void`)
  const names = [...new Set(list.map(({ content }) => content))]
  const contentRow = (row: number): number => {
    const first = names.indexOf(at(row).content) * gap
    return contentTwice && turnOf.get(row) === list.length - 1 ? names.length * gap : first
  }
  const name = (content: number): string =>
    content === names.length * gap ? (list.at(-1)?.content ?? '') : (names[content / gap] ?? '')
  const contentRows = (names.length + 1) * gap
  const packed = Array.from({ length: contentRows }, (_, content) => name(content).padEnd(32))
  return {
    ids: Array.from({ length: (list.length + 1) * gap }, (_, row) => list[turnOf.get(row) ?? -1]?.clip ?? ''),
    names: Buffer.from(packed.join(''), 'latin1'),
    contentRows,
    turns: 2 * list.length,
    at: (turn) => (turn % 2 === 0 ? -1 : rowOf((turn - 1) / 2)),
    skill: (row) => skillOf(at(row).clip),
    content: contentRow,
    pinned: (row) => at(row).pinned,
    addedMs: (row) => at(row).addedMs,
    expiresMs: (row) => at(row).addedMs + at(row).lifeMs,
    accessedMs: (row) => at(row).accessedMs,
    accesses: (row) => at(row).accesses,
    bytes: (content) => sizeOf(name(content)),
  }
}

const step: fc.Arbitrary<Step> = fc.oneof(
  known.map((it): Step => ({ do: 'put', clip: it.clip, it: newClip(it) })),
  fc.constantFrom(...clips).map((clip): Step => ({ do: 'get', clip })),
  fc.record({ do: fc.constant('pin' as const), clip: fc.constantFrom(...clips), pinned: fc.boolean() }),
  fc.constantFrom(...clips).map((clip): Step => ({ do: 'remove', clip })),
  fc.constantFrom(...skills).map((skill): Step => ({ do: 'invalidateSkill', skill })),
  fc.nat(40).map((bytes): Step => ({ do: 'giveWay', bytes })),
  limits.map((it): Step => ({ do: 'setLimits', limits: it })),
  fc.nat(4_000_000).map((ms): Step => ({ do: 'wait', ms })),
  fc.constant<Step>({ do: 'expire', max: Infinity }),
)

test('what is loaded at once is what putting clip by clip gives, then and later', () => {
  let atOnce = 0
  let oneByOne = 0
  const twice = fc.integer({ min: 0, max: 9 }).map((it) => it === 0)
  const list = fc.oneof(
    fc.array(known, { maxLength: 12 }),
    fc.uniqueArray(known, { selector: ({ clip }) => clip, maxLength: 12 }),
  )
  fc.assert(
    fc.property(
      limits,
      list,
      fc.integer({ min: 1, max: 3 }),
      twice,
      fc.array(step, { maxLength: 30, size: 'max' }),
      (limits, list, gap, twice, steps) => {
        const pair = new ClipPair(limits)
        const puts = list.map((it) => [it.clip, newClip(it)] as const)
        const others = list.slice(0, -1).map(({ content }) => content)
        const isOnce = !twice || !others.includes(list.at(-1)?.content ?? '')
        if (pair.load(puts, rowsOf(list, gap, twice), isOnce)) atOnce += 1
        else oneByOne += 1
        for (const it of steps) pair.step(it, true)
      },
    ),
    { numRuns: 400 },
  )
  expect(atOnce).toBeGreaterThan(60)
  expect(oneByOne).toBeGreaterThan(60)
})

const one: Known = {
  ...{ clip: 'clip-0', content: contents[4] ?? '', pinned: false, addedMs: nowMs, lifeMs: Infinity },
  ...{ accessedMs: nowMs, accesses: 0 },
}
const wide: CacheLimits = {
  ...{ bytes: 1e9, items: 1e6, ttlMs: 0, pinnedBytes: 1e9, quotas: new Map(), quotaDefault: Infinity },
}

test('rows that were void are used before new ones', () => {
  const cache = createClipCache(wide, hearing())
  expect(cache.load(rowsOf([one], 3, false), nowMs)).toBe(true)
  expect([cache.row('clip-0'), cache.contentRow(one.content)]).toEqual([3, 0])
  for (const it of clips.slice(1, 6)) {
    cache.put(it, { skill: skillOf(it), content: it.padEnd(32), bytes: 5 }, nowMs)
  }
  expect(clips.slice(0, 6).map((it) => cache.row(it))).toEqual([3, 0, 1, 2, 4, 5])
  expect(clips.slice(1, 7).map((it) => cache.contentRow(it.padEnd(32)))).toEqual([1, 2, 3, 4, 5, -1])
})

test('more skills than there may be are not loaded', () => {
  for (const more of [0, 1]) {
    const list = Array.from({ length: clipLimits.skillsMax + more }, (_, at) => ({
      ...one,
      clip: `clip-${at}`,
    }))
    const rows = { ...rowsOf(list, 1, false), skill: (row: number) => `skill-${row}` }
    expect(createClipCache(wide, hearing()).load(rows, nowMs)).toBe(more === 0)
  }
})

test('a cache that something was done with is not loaded', () => {
  const cache = createClipCache(wide, hearing())
  cache.missed('news')
  expect(() => cache.load(rowsOf([one], 1, false), nowMs)).toThrow('before anything else')
})
