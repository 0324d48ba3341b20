/**
 * Writes a set of skills with real sounds, of which a stated share occurs in several skills.
 * Promise: the figures that it returns are those of the files.
 * Leaves to others: who shares what (../skill-plan.ts), the sounds (../sound.ts), publishing.
 */
import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type PlannedClip, planSkills, type SkillSetPlan } from '../skill-plan.ts'
import { flacOf, toneSamples, wavOf } from '../sound.ts'

export interface MadeClip {
  /** The name of its file without the extension. */
  readonly id: string
  readonly file: string
  readonly sha256: string
  readonly bytes: number
}

export interface MadeSkill {
  readonly id: string
  /** Holds its clips and nothing else. */
  readonly directory: string
  readonly clips: readonly MadeClip[]
}

export interface SkillSet {
  readonly skills: readonly MadeSkill[]
  readonly clips: number
  /** Different sounds among them. */
  readonly contents: number
  /** Of all clips by themselves. */
  readonly bytes: number
  /** Of each content once. */
  readonly contentBytes: number
}

/** @param directory gets one directory for each skill, named by its id */
export async function makeSkillSet(directory: string, plan: SkillSetPlan): Promise<SkillSet> {
  const skills: MadeSkill[] = []
  for (const { id, clips } of planSkills(plan)) {
    const own = join(directory, id)
    await mkdir(own, { recursive: true })
    const made: MadeClip[] = []
    for (const clip of clips) made.push(await writeClip(own, clip))
    skills.push({ id, directory: own, clips: made })
  }
  const all = skills.flatMap(({ clips }) => clips)
  const contents = new Map(all.map(({ sha256, bytes }) => [sha256, bytes]))
  return {
    skills,
    clips: all.length,
    contents: contents.size,
    bytes: sum(all.map(({ bytes }) => bytes)),
    contentBytes: sum([...contents.values()]),
  }
}

async function writeClip(directory: string, { id, tone, format }: PlannedClip): Promise<MadeClip> {
  const file = join(directory, `${id}.${format}`)
  const bytes = (format === 'wav' ? wavOf : flacOf)(toneSamples(tone), tone.sampleRate)
  await writeFile(file, bytes)
  return { id, file, sha256: createHash('sha256').update(bytes).digest('hex'), bytes: bytes.length }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
