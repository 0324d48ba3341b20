/**
 * Which clips the skills of a set have and which of them hold the same sound, so that what sharing saves is known
 * before anything is stored.
 * Promise: of each skill's clips the stated share also occurs in another skill, the rest nowhere else; same plan,
 * same set.
 * Leaves to others: writing the files (adapters/skill-set.ts).
 */
import { assert } from '../core/assert.ts'
import { type SeededRandom, seededRandom } from '../core/prng.ts'
import { sampleRates } from '../core/wire/skills.ts'
import type { Tone } from './sound.ts'

export interface SkillSetPlan {
  readonly skills: number
  readonly clipsPerSkill: number
  /** 0 to 1: of each skill's clips, those whose sound another skill has too. */
  readonly sharedShare: number
  /** Same seed, same set. */
  readonly seed: number
  /** Of a sound; default 300 to 900. */
  readonly durationMs?: readonly [least: number, most: number]
}

export interface PlannedClip {
  /** Unique in the set. */
  readonly id: string
  readonly tone: Tone
  readonly format: 'wav' | 'flac'
}

export interface PlannedSkill {
  readonly id: string
  readonly clips: readonly PlannedClip[]
}

/** One in so many is a FLAC file. */
const flacEvery = 4

export function planSkills(plan: SkillSetPlan): readonly PlannedSkill[] {
  const { skills, clipsPerSkill, sharedShare } = plan
  assert(sharedShare >= 0 && sharedShare <= 1, `share ${sharedShare} is not between 0 and 1`)
  assert(sharedShare === 0 || skills > 1, 'one skill alone shares nothing')
  const shared = Math.round(sharedShare * clipsPerSkill)
  const random = seededRandom(plan.seed)
  const tones = toneMaker(plan, random)
  const rows = Array.from({ length: clipsPerSkill }, (_, clip) =>
    clip < shared ? sharedRow(skills, random, tones) : Array.from({ length: skills }, tones),
  )
  return Array.from({ length: skills }, (_, skill) => {
    const id = `skill-${String(skill + 1).padStart(3, '0')}`
    return { id, clips: rows.flatMap((row, clip) => clipOf(id, clip, row[skill])) }
  })
}

function clipOf(skill: string, index: number, tone: Tone | undefined): readonly PlannedClip[] {
  if (tone === undefined) return []
  const format = tone.number % flacEvery === 0 ? 'flac' : 'wav'
  return [{ id: `${skill}-clip-${String(index + 1).padStart(4, '0')}`, tone, format }]
}

/** A clip of each skill: by twos they hold the same sound, three of them when the number is odd. */
function sharedRow(skills: number, random: SeededRandom, tones: () => Tone): readonly Tone[] {
  const order = Array.from({ length: skills }, (_, skill) => ({ skill, draw: random.uint32() }))
  order.sort((a, b) => a.draw - b.draw || a.skill - b.skill)
  const row = new Map<number, Tone>()
  let tone = tones()
  order.forEach(({ skill }, place) => {
    if (place > 0 && place % 2 === 0 && place + 1 < skills) tone = tones()
    row.set(skill, tone)
  })
  return Array.from({ length: skills }, (_, skill) => row.get(skill) ?? tone)
}

/** Each tone is another one. */
function toneMaker({ seed, durationMs }: SkillSetPlan, random: SeededRandom): () => Tone {
  const [least, most] = durationMs ?? [300, 900]
  let made = 0
  return () => {
    made += 1
    const sampleRate = sampleRates[random.below(sampleRates.length)] ?? sampleRates[0]
    // Tones of sets with different seeds are different too.
    const number = (seed % 512) * 2 ** 21 + made
    return { number, durationMs: least + random.below(most - least + 1), sampleRate }
  }
}
