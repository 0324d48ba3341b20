/**
 * The clip cache against its model: thousands of random steps, each compared in answer, callbacks, lists, figures.
 */
import * as fc from 'fast-check'
import { test } from 'vitest'
import { seededRandom } from '../../../core/prng.ts'
import type { CacheLimits, NewClip } from '../../../device/clips/cache-types.ts'
import { ClipPair, type Step } from './clip-pair.ts'

/** Few, so that they meet often. Names of 64 characters are digests; the first three fall into one chain. */
const contents = ['a', 'b', 'c', 'd']
  .map((it) => it.padStart(64, '0'))
  .concat('f'.repeat(64), 'private-1', 'own-2')
const skills = ['news', 'song', 'game']
const clips = Array.from({ length: 9 }, (_, at) => `clip-${at}`)

const clip = fc.constantFrom(...clips)
const skill = fc.constantFrom(...skills)
const content = fc.constantFrom(...contents)
const ms = fc.integer({ min: 0, max: 8_000 })
const size = fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 1, max: 30 }) }, fc.constant(90))

const limits: fc.Arbitrary<CacheLimits> = fc.record({
  bytes: fc.integer({ min: 10, max: 120 }),
  items: fc.integer({ min: 1, max: 8 }),
  ttlMs: fc.oneof(fc.constant(0), fc.constant(5_000), ms),
  pinnedBytes: fc.integer({ min: 0, max: 80 }),
  quotas: fc.oneof(
    fc.constant(new Map<string, number>()),
    fc.array(fc.tuple(skill, fc.integer({ min: 0, max: 90 })), { maxLength: 3 }).map((it) => new Map(it)),
  ),
  quotaDefault: fc.oneof({ weight: 3, arbitrary: fc.constant(Infinity) }, fc.integer({ min: 5, max: 60 })),
})

/** Times about the present of the pair, which begins at 1,000,000. */
const time = fc.integer({ min: 990_000, max: 1_030_000 })

const put: fc.Arbitrary<Step> = fc
  .record({
    clip,
    it: fc.record(
      {
        skill,
        content,
        bytes: size,
        ttlMs: fc.oneof(fc.constant(null), fc.constant(0), ms),
        pinned: fc.boolean(),
        addedMs: time,
        expiresMs: fc.oneof(fc.constant(null), time),
        accessedMs: time,
        accesses: fc.nat(5),
      },
      { requiredKeys: ['skill', 'content', 'bytes'] },
    ),
    plain: fc.integer({ min: 0, max: 3 }),
  })
  .map(({ clip, it, plain }) => ({ do: 'put', clip, it: plain === 0 ? it : simpler(clip, it, plain) }))

/** Most puts are of a clip by its own skill, and say little. */
function simpler(clip: string, it: NewClip, plain: number): NewClip {
  const skill = skills[Number(clip.at(-1)) % skills.length] ?? ''
  const { content, bytes, pinned } = it
  return plain === 1 ? { ...it, skill } : { skill, content, bytes, ...(plain === 2 ? { pinned } : {}) }
}

const often = (
  weight: number,
  arbitrary: fc.Arbitrary<Step>,
): { weight: number; arbitrary: fc.Arbitrary<Step> } => ({
  weight,
  arbitrary,
})

const step: fc.Arbitrary<Step> = fc.oneof(
  often(14, put),
  often(
    8,
    clip.map((it) => ({ do: 'get', clip: it })),
  ),
  often(4, fc.record({ do: fc.constant('pin'), clip, pinned: fc.boolean() })),
  often(
    2,
    clip.map((it) => ({ do: 'remove', clip: it })),
  ),
  often(
    1,
    clip.map((it) => ({ do: 'peek', clip: it })),
  ),
  often(
    1,
    skill.map((it) => ({ do: 'invalidateSkill', skill: it })),
  ),
  often(
    1,
    skill.map((it) => ({ do: 'clipsOf', skill: it })),
  ),
  often(
    1,
    fc.constantFrom(...skills, 'rare').map((it) => ({ do: 'missed', skill: it })),
  ),
  often(
    1,
    content.map((it) => ({ do: 'invalidateContent', content: it })),
  ),
  often(
    1,
    content.map((it) => ({ do: 'contentBytes', content: it })),
  ),
  often(
    1,
    fc.nat(60).map((bytes) => ({ do: 'giveWay', bytes })),
  ),
  often(
    2,
    limits.map((it) => ({ do: 'setLimits', limits: it })),
  ),
  often(
    3,
    fc.oneof(fc.constant(Infinity), fc.nat(3)).map((max) => ({ do: 'expire', max })),
  ),
  often(
    3,
    ms.map((it) => ({ do: 'wait', ms: it })),
  ),
  often(
    1,
    fc.integer({ min: -20_000, max: 20_000 }).map((it) => ({ do: 'wait', ms: it })),
  ),
  often(
    1,
    fc.constantFrom(-900_000, 5_000_000, 50_000_000).map((it) => ({ do: 'wait', ms: it })),
  ),
  often(1, fc.constantFrom<Step>({ do: 'clear' }, { do: 'renew' }, { do: 'renew' })),
)

test('every step of a small cache is that of the model', () => {
  fc.assert(
    fc.property(limits, fc.array(step, { maxLength: 60, size: 'max' }), (limits, steps) => {
      const pair = new ClipPair(limits)
      for (const it of steps) pair.step(it, true)
    }),
    { numRuns: 300 },
  )
})

test('without pins, times and quotas it is that of the model as well', () => {
  const plain = fc.oneof(
    often(6, put).arbitrary.map((it) =>
      it.do === 'put' ? { ...it, it: { skill: 'news', content: it.it.content, bytes: it.it.bytes } } : it,
    ),
    clip.map((it): Step => ({ do: 'get', clip: it })),
  )
  fc.assert(
    fc.property(fc.array(plain, { maxLength: 80, size: 'max' }), (steps) => {
      const pair = new ClipPair({
        bytes: 60,
        items: 5,
        ttlMs: 0,
        pinnedBytes: 0,
        quotas: new Map(),
        quotaDefault: Infinity,
      })
      for (const it of steps) pair.step(it, true)
    }),
    { numRuns: 100 },
  )
})

test.each([1, 2])(
  'every step of a cache that grows to hundreds of clips is that of the model (seed %i)',
  (seed) => {
    const random = seededRandom(seed)
    const chance = (of: number): boolean => random.below(of) === 0
    const pair = new ClipPair({
      bytes: 9_000,
      items: 180,
      ttlMs: 400_000,
      pinnedBytes: 1_500,
      quotas: new Map([['skill-0', 900]]),
      quotaDefault: 4_000,
    })
    const pick = (): string => `clip-${random.below(400)}`
    const draw = (): Step => {
      const clip = pick()
      if (chance(3)) {
        const skill = `skill-${Number(clip.slice(5)) % 5}`
        const content = chance(4) ? `private-${clip}` : `${random.below(260)}`.padStart(64, '0')
        return {
          do: 'put',
          clip,
          it: { skill, content, bytes: 1 + random.below(100), ...(chance(9) ? { pinned: true } : {}) },
        }
      }
      if (chance(12)) return { do: 'pin', clip, pinned: chance(3) }
      if (chance(25)) return { do: 'remove', clip }
      if (chance(40)) return { do: 'expire', max: random.below(5) }
      if (chance(15)) return { do: 'wait', ms: random.below(20_000) }
      if (chance(400)) return { do: 'invalidateSkill', skill: `skill-${random.below(5)}` }
      return { do: 'get', clip }
    }
    for (let at = 0; at < 1_200; at += 1) pair.step(draw(), at % 50 === 0)
    pair.look()
  },
)
