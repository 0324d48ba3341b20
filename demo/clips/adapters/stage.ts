/**
 * The stage of the demonstration of clips: a hub, boards with a clip cache, skills with real sounds; all real.
 * Promise: everything is done by the commands that a user would type, and heard over the socket that a player uses.
 * Leaves to others: the story (../story.ts), what is shown (../../cli-clips.ts).
 */
import { createHash } from 'node:crypto'
import { copyFile, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { present } from '../../../core/assert.ts'
import type { ClipStats } from '../../../core/wire/skills.ts'
import { type ClipClient, clipClient } from '../../../device/clips/adapters/clip-client.ts'
import type { Children, Service } from '../../adapters/children.ts'
import { openDesk, until } from '../../adapters/desk.ts'
import { type MadeSkill, makeSkillSet, type SkillSet } from '../../adapters/skill-set.ts'

/** The boards of the demonstration, by where they stand. */
export const rooms = ['kitchen', 'hall', 'garden'] as const
export type Room = (typeof rooms)[number]

/** A clip as a player heard it. */
export interface Heard {
  readonly sha256: string
  readonly from: string
}

export interface ClipsStage {
  readonly directory: string
  /** Skills with sounds, of which some are shared. */
  readonly skills: SkillSet
  /** Another version of the first skill: some sounds are new, one is gone, one is added. */
  readonly changed: MadeSkill
  /** @returns what the command says it uploaded and shared */
  publish(skill: MadeSkill, version: string): Promise<Record<string, unknown>>
  powerOn(room: Room): Promise<void>
  powerOff(room: Room): Promise<void>
  /** Plays a clip as a player does. @throws EverbootError what the cache says */
  play(room: Room, clip: string): Promise<Heard>
  remove(room: Room, clip: string): Promise<void>
  stats(room: Room): Promise<ClipStats>
  /** Ids of the clips that are there. */
  clips(room: Room): Promise<readonly string[]>
  close(): Promise<void>
}

export interface ClipsStageOptions {
  /** Empty. */
  readonly directory: string
  readonly children: Children
  readonly plain: boolean
  readonly onConsole: (line: string) => void
}

const plan = { skills: 2, clipsPerSkill: 12, sharedShare: 0.5, seed: 1 } as const

export async function openClipsStage(options: ClipsStageOptions): Promise<ClipsStage> {
  const { directory, children, plain } = options
  const at = (...names: readonly string[]): string => join(directory, ...names)
  const keys = at('keys')
  await children.run(['keys', 'init', '--out', keys, ...rooms.flatMap((room) => ['--device', room])])
  const release = buildRelease(children, directory, keys)
  const desk = await openDesk({ directory, children, trust: join(keys, 'trust.json') })
  const skills = await makeSkillSet(at('skills'), plan)
  const changed = await changedSkill(at('changed'), skills)
  for (const room of rooms) {
    await desk.addDevice(room, at(`${room}.json`))
    const from = ['--release', await release, '--keys', keys, '--identity', at(`${room}.json`)]
    await children.run(['emulator', 'create', at(room), ...from])
  }
  const running = new Map<Room, Service>()
  const client = (room: Room): ClipClient => clipClient(at(room, 'run/everboot/clips.sock'))
  return {
    directory,
    skills,
    changed,
    publish: (skill, version) =>
      children.run([
        ...['skills', 'publish', skill.directory, '--skill', skill.id, '--version', version],
        ...['--keys', keys, '--hub', at('hub')],
      ]),
    async powerOn(room) {
      const args = ['emulator', 'run', at(room), '--tied', ...(plain ? ['--plain'] : [])]
      running.set(room, children.service(args, options.onConsole))
      await until(`the clip cache in the ${room} answers`, () =>
        client(room)
          .stats()
          .then(
            () => true,
            () => false,
          ),
      )
    },
    async powerOff(room) {
      await running.get(room)?.stop()
      running.delete(room)
    },
    async play(room, clip) {
      const { parts, from } = await client(room).get(clip)
      const hash = createHash('sha256')
      for await (const part of parts) hash.update(part)
      return { sha256: hash.digest('hex'), from }
    },
    remove: (room, clip) => client(room).remove(clip),
    stats: (room) => client(room).stats(),
    async clips(room) {
      const ids: string[] = []
      for await (const page of client(room).list()) ids.push(...page.map((it) => it.id))
      return ids
    },
    async close() {
      for (const service of running.values()) await service.stop()
      await desk.close()
    },
  }
}

async function buildRelease(children: Children, directory: string, keys: string): Promise<string> {
  const [root, file] = [join(directory, 'root'), join(directory, 'v1.ebr')]
  const trust = ['--trust', join(keys, 'trust.json')]
  await children.run(['image', 'rootfs', '--out', root, '--version', '1', '--clips', ...trust])
  const what = ['--product', 'demo', '--version', '1', '--security-version', '1', '--hardware', 'sim']
  const devices = rooms.flatMap((room) => ['--device', room])
  await children.run([
    'image',
    'build',
    root,
    '--out',
    file,
    '--keys',
    keys,
    '--level',
    '1',
    ...what,
    ...devices,
  ])
  await rm(root, { recursive: true, force: true })
  return file
}

/** The first skill once more: some clips have other sounds, the last one is gone. */
async function changedSkill(directory: string, { skills }: SkillSet): Promise<MadeSkill> {
  const first = present(skills[0], 'a first skill')
  const other = await makeSkillSet(directory, { ...plan, skills: 1, sharedShare: 0, seed: 2 })
  const made = present(other.skills[0], 'its other sounds')
  for (const clip of made.clips.slice(changedClips)) await rm(clip.file)
  const kept = first.clips.slice(changedClips, -1)
  for (const clip of kept) await copyFile(clip.file, join(made.directory, basename(clip.file)))
  return { ...made, clips: [...made.clips.slice(0, changedClips), ...kept] }
}

/** How many clips the change gives other sounds. */
export const changedClips = 3
