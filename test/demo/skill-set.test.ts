/** Sets of skills for benches and the demonstration: real sounds, of which a stated share is shared. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readAudio } from '../../audio/read-audio.ts'
import { makeSkillSet, type SkillSet } from '../../demo/adapters/skill-set.ts'
import { planSkills } from '../../demo/skill-plan.ts'
import { flacOf, toneSamples, wavOf } from '../../demo/sound.ts'
import { decodedSamples, noSound } from '../audio/sound-tools.ts'

const plan = { skills: 5, clipsPerSkill: 8, sharedShare: 0.5, seed: 3, durationMs: [20, 60] } as const
let room = ''
let set: SkillSet
beforeAll(async () => {
  room = await mkdtemp(join(tmpdir(), 'everboot-skill-set-'))
  set = await makeSkillSet(join(room, 'a'), plan)
})
afterAll(() => rm(room, { recursive: true, force: true }))

describe('a set of skills', () => {
  it('has the clips that were asked for, each a sound, in the directory of its skill', async () => {
    expect(set.skills).toHaveLength(5)
    for (const { directory, clips } of set.skills) {
      expect((await readdir(directory)).map((it) => join(directory, it))).toEqual(
        clips.map(({ file }) => file),
      )
      for (const { file } of clips) {
        const read = await readAudio(await readFile(file), file)
        expect(read).toMatchObject({ ok: true })
        if (read.ok) expect(file.endsWith(read.value.format)).toBe(true)
      }
    }
    expect(new Set(set.skills.flatMap((it) => it.clips.map(({ id }) => id))).size).toBe(40)
  })

  it('shares the stated share of each skill with others, and nothing else', () => {
    const skillsOf = (sha256: string): number =>
      set.skills.filter((it) => it.clips.some((clip) => clip.sha256 === sha256)).length
    for (const { clips } of set.skills) {
      expect(clips.filter(({ sha256 }) => skillsOf(sha256) > 1)).toHaveLength(4)
      expect(new Set(clips.map(({ sha256 }) => sha256)).size).toBe(8)
    }
  })

  it('says what sharing saves', () => {
    const sizes = new Map(set.skills.flatMap((it) => it.clips.map((clip) => [clip.sha256, clip.bytes])))
    // Four rows of five clips, each of two sounds; four rows of five sounds.
    expect(set).toMatchObject({ clips: 40, contents: 4 * 2 + 4 * 5 })
    expect(set.contents).toBe(sizes.size)
    expect(set.contentBytes).toBe([...sizes.values()].reduce((sum, it) => sum + it, 0))
    expect(set.bytes).toBeGreaterThan(set.contentBytes)
  })

  it('is the same for the same seed, and another for another', async () => {
    const hashes = (it: SkillSet): readonly string[] =>
      it.skills.flatMap(({ clips }) => clips.map(({ sha256 }) => sha256))
    expect(hashes(await makeSkillSet(join(room, 'b'), plan))).toEqual(hashes(set))
    const other = hashes(await makeSkillSet(join(room, 'c'), { ...plan, seed: 4 }))
    expect(other.filter((it) => hashes(set).includes(it))).toEqual([])
  })

  it('shares nothing or everything when that is asked for', () => {
    const tones = (sharedShare: number): number => {
      const skills = planSkills({ ...plan, skills: 4, sharedShare })
      return new Set(skills.flatMap(({ clips }) => clips.map(({ tone }) => tone.number))).size
    }
    expect([tones(0), tones(1)]).toEqual([32, 16])
    expect(() => planSkills({ ...plan, skills: 1 })).toThrow('one skill alone')
    expect(() => planSkills({ ...plan, sharedShare: 1.5 })).toThrow('share 1.5')
  })
})

const missing = await noSound()
describe.skipIf(missing !== null)('a player', () => {
  it('plays what was written, whatever the form', async () => {
    const samples = toneSamples({ number: 7, durationMs: 900, sampleRate: 16_000 })
    expect(await decodedSamples(wavOf(samples, 16_000))).toEqual(samples)
    expect(await decodedSamples(flacOf(samples, 16_000))).toEqual(samples)
  })
})
