/**
 * The story of clips, chapter by chapter: two skills that share sounds, players, a skill that changes while a board is
 * away, and its return. What each must come to is checked: a chapter that ends otherwise fails the demonstration.
 * Leaves to others: the stage (adapters/stage.ts), printing (../cli-clips.ts).
 */
import { present } from '../../core/assert.ts'
import { raise } from '../../core/errors.ts'
import { bytesText } from '../../core/units.ts'
import type { ClipStats } from '../../core/wire/skills.ts'
import { until } from '../adapters/desk.ts'
import type { MadeClip, MadeSkill } from '../adapters/skill-set.ts'
import { type ClipsStage, changedClips, type Room, rooms } from './adapters/stage.ts'

export interface ClipsScene {
  readonly stage: ClipsStage
  say(line: string): void
  nowMs(): number
}

/** How a board stood at the end. */
export interface RoomResult {
  readonly room: Room
  readonly stats: ClipStats
}

const away: Room = 'garden'

/** @throws EverbootError when something does not come to what it must */
export async function playClips(scene: ClipsScene): Promise<readonly RoomResult[]> {
  const { stage, say } = scene
  const [weather, radio] = stage.skills.skills
  const first = present(weather, 'a skill')
  const second = present(radio, 'another skill')
  say('')
  say('1 two skills that share sounds')
  await publishBoth(scene, [first, second])
  await Promise.all(rooms.map((room) => stage.powerOn(room)))
  await everywhere(scene, rooms, [...first.clips, ...second.clips])
  say('')
  say('2 players')
  for (const room of rooms) await hear(scene, room, [...first.clips, ...second.clips])
  await hearMissing(scene, rooms[0], first)
  say('')
  say(`3 a skill changes while the board in the ${away} is away`)
  await stage.powerOff(away)
  await change(scene, first, second)
  say('')
  say(`4 the board in the ${away} returns`)
  await comeBack(scene, second)
  const results: RoomResult[] = []
  for (const room of rooms) results.push({ room, stats: await stage.stats(room) })
  return results
}

async function publishBoth({ stage, say }: ClipsScene, skills: readonly MadeSkill[]): Promise<void> {
  const { clips, contents, bytes, contentBytes } = stage.skills
  say(`  ${clips} clips of ${bytesText(bytes)}, ${contents} different sounds of ${bytesText(contentBytes)}`)
  for (const skill of skills) {
    const answer = await stage.publish(skill, '1')
    say(
      `  published ${skill.id}: ${answer['uploaded']} of ${skill.clips.length} sounds had to be sent to the hub`,
    )
  }
}

/** Every board has every clip, before anybody has asked for one. */
async function everywhere(
  { stage, say, nowMs }: ClipsScene,
  on: readonly Room[],
  clips: readonly MadeClip[],
): Promise<void> {
  const began = nowMs()
  for (const room of on) {
    await until(`all clips are in the ${room}`, async () => (await stage.clips(room)).length === clips.length)
    const { sizeBytes, bytesSaved, contents } = await stage.stats(room)
    say(
      `  ${room}: ${clips.length} clips in ${contents} contents, ${bytesText(sizeBytes)} on the disk, ` +
        `${bytesText(bytesSaved)} saved by sharing`,
    )
  }
  say(`  fetched ahead in ${((nowMs() - began) / 1000).toFixed(1)} s`)
}

/** Twice: the second time from memory. */
async function hear({ stage, say }: ClipsScene, room: Room, clips: readonly MadeClip[]): Promise<void> {
  const from = new Map<string, number>()
  for (const round of [1, 2]) {
    for (const clip of clips) {
      const heard = await stage.play(room, clip.id)
      if (heard.sha256 !== clip.sha256) {
        raise('EB-CLIP-DAMAGED', `${clip.id} sounds otherwise in the ${room} (round ${round})`)
      }
      from.set(heard.from, (from.get(heard.from) ?? 0) + 1)
    }
  }
  const sources = [...from].map(([source, times]) => `${times} from ${source}`).join(', ')
  say(`  ${room}: ${2 * clips.length} played, each byte as published: ${sources}`)
}

/** A clip that is not there comes from the hub while it is played. */
async function hearMissing({ stage, say }: ClipsScene, room: Room, skill: MadeSkill): Promise<void> {
  const missing = skill.clips.slice(-missingClips)
  for (const { id } of missing) await stage.remove(room, id)
  const from: string[] = []
  for (const clip of missing) {
    const heard = await stage.play(room, clip.id)
    if (heard.sha256 !== clip.sha256) raise('EB-CLIP-DAMAGED', `${clip.id} sounds otherwise in the ${room}`)
    from.push(heard.from)
  }
  if (!from.includes('network')) raise('EB-INTERNAL', 'none of the missing clips came from the hub')
  say(`  ${room}: ${missing.length} that were removed came again: ${from.join(', ')}`)
}

/** Some of them share their content with clips that stay: these need not be fetched. */
const missingClips = 8

async function change({ stage, say, nowMs }: ClipsScene, old: MadeSkill, other: MadeSkill): Promise<void> {
  const { changed } = stage
  const near = rooms.filter((it) => it !== away)
  const before = new Map<Room, number>()
  for (const room of near) before.set(room, (await stage.stats(room)).fetchedBytes)
  const began = nowMs()
  await stage.publish(changed, '2')
  say(`  ${old.id} 2: ${changedClips} clips have other sounds, one is gone`)
  for (const room of near) {
    await follows(stage, room, changed, other)
    const fetched = (await stage.stats(room)).fetchedBytes - (before.get(room) ?? 0)
    const needed = changed.clips.slice(0, changedClips).reduce((sum, it) => sum + it.bytes, 0)
    if (fetched !== needed) raise('EB-INTERNAL', `the ${room} fetched ${fetched} bytes, not ${needed}`)
    say(`  ${room}: follows after ${((nowMs() - began) / 1000).toFixed(1)} s, ${bytesText(fetched)} fetched`)
  }
}

async function comeBack({ stage, say, nowMs }: ClipsScene, other: MadeSkill): Promise<void> {
  const began = nowMs()
  await stage.powerOn(away)
  await follows(stage, away, stage.changed, other)
  say(`  ${away}: has what changed ${((nowMs() - began) / 1000).toFixed(1)} s after its power came back`)
  await hear({ stage, say, nowMs }, away, [...stage.changed.clips, ...other.clips])
}

/** The board has just the clips of the new version, and plays what they say now. */
async function follows(stage: ClipsStage, room: Room, changed: MadeSkill, other: MadeSkill): Promise<void> {
  const wanted = [...changed.clips, ...other.clips].map((it) => it.id).sort()
  await until(`the ${room} follows`, async () => {
    const there = (await stage.clips(room)).toSorted()
    if (there.join() !== wanted.join()) return false
    for (const clip of changed.clips.slice(0, changedClips)) {
      if ((await stage.play(room, clip.id)).sha256 !== clip.sha256) return false
    }
    return true
  })
}
