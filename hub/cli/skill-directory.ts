/**
 * Reads the directory of a skill: every clip from its real bytes, and the list made of them.
 * Promise: a file that is no audio, too large, or not what is claimed of it is refused, by its name; one clip is in
 * memory at a time; the same files give the same list, byte by byte.
 * Leaves to others: names and descriptions (../skills/skill-file.ts), facts of sound (audio/), sending.
 */
import { createHash } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { checkClaims } from '../../audio/claims.ts'
import { listEntry } from '../../audio/list-entry.ts'
import { readAudio } from '../../audio/read-audio.ts'
import { clipLimits, hubClipLimits } from '../../core/clip-limits.ts'
import { orThrow, raise } from '../../core/errors.ts'
import { bytesText, type Digest } from '../../core/units.ts'
import { decodeClipList, type ListedClip } from '../../core/wire/skills.ts'
import { codeOf } from '../adapters/files.ts'
import {
  decodeSkillFile,
  type PlannedClip,
  planSkill,
  type SkillFile,
  skillFileName,
} from '../skills/skill-file.ts'

export interface ReadSkill {
  /** As `skill.json` says, otherwise the name of the directory; may be no good id. */
  readonly id: string
  /** null when `skill.json` says none. */
  readonly version: string | null
  readonly clips: readonly ListedClip[]
  /** Of each content, a file that has it. */
  readonly files: ReadonlyMap<Digest, { readonly path: string; readonly bytes: number }>
  readonly list: { readonly bytes: Uint8Array; readonly sha256: Digest }
  readonly leftOut: readonly string[]
}

/**
 * @param progress told how many clips of how many are read
 * @throws EverbootError EB-SKILL, EB-CLIP-NAME, EB-CLIP-PRIVATE, EB-CLIP-SIZE, EB-AUDIO, EB-AUDIO-CLAIM, EB-LIMIT
 */
export async function readSkill(
  directory: string,
  progress: (done: number, of: number) => void,
): Promise<ReadSkill> {
  const names = await namesIn(directory)
  const described = names.includes(skillFileName) ? await readDescription(directory) : {}
  const others = names.filter((it) => it !== skillFileName)
  const plan = orThrow(planSkill(directory, others, described))
  const clips: ListedClip[] = []
  const files = new Map<Digest, { path: string; bytes: number }>()
  for (const planned of plan.clips) {
    const path = join(directory, planned.file)
    const clip = await readClip(path, planned)
    clips.push(clip)
    if (!files.has(clip.sha256)) files.set(clip.sha256, { path, bytes: clip.bytes })
    progress(clips.length, plan.clips.length)
  }
  return {
    id: described.id ?? basename(resolve(directory)),
    version: described.version ?? null,
    clips,
    files,
    list: listOf(clips, directory),
    leftOut: plan.leftOut,
  }
}

/** Hidden files are nobody's clips. */
async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return (await readdir(directory)).filter((it) => !it.startsWith('.'))
  } catch (cause) {
    raise('EB-SKILL', `${directory} cannot be read: ${codeOf(cause)}`, {
      cause,
      todo: 'give the directory with the clips of a skill',
    })
  }
}

async function readDescription(directory: string): Promise<SkillFile> {
  const path = join(directory, skillFileName)
  const todo = `correct ${path}, or remove it`
  const bytes = await readUpTo(path, hubClipLimits.skillFileBytesMax, 'EB-SKILL', todo)
  return orThrow(decodeSkillFile(bytes.toString('utf8'), path))
}

async function readClip(path: string, planned: PlannedClip): Promise<ListedClip> {
  const { file, id, language, ttlSeconds, pinned, claims } = planned
  const bytes = await readUpTo(
    path,
    clipLimits.clipBytesMax,
    'EB-CLIP-SIZE',
    'cut the clip into shorter ones',
  )
  const audio = orThrow(checkClaims(orThrow(await readAudio(bytes, file)), claims, file))
  return listEntry(id, bytes, audio, {
    language,
    ...(ttlSeconds === undefined ? {} : { ttlSeconds }),
    ...(pinned === undefined ? {} : { pinned }),
  })
}

/** @param code when it is larger */
async function readUpTo(
  path: string,
  bytesMax: number,
  code: 'EB-SKILL' | 'EB-CLIP-SIZE',
  todo: string,
): Promise<Buffer> {
  try {
    const it = await stat(path)
    if (!it.isFile())
      raise('EB-SKILL', `${path} is not a file`, { todo: `take ${path} out of the directory` })
    if (it.size > bytesMax)
      raise(code, `${path} has ${bytesText(it.size)}, limit ${bytesText(bytesMax)}`, { todo })
    return await readFile(path)
  } catch (cause) {
    if (cause instanceof Error && 'fault' in cause) throw cause
    raise('EB-SKILL', `${path} cannot be read: ${codeOf(cause)}`, { cause, todo: 'check its permissions' })
  }
}

/** The list is read back as a device reads it. */
function listOf(clips: readonly ListedClip[], directory: string): ReadSkill['list'] {
  const bytes = Buffer.from(JSON.stringify({ v: 1, clips }))
  if (bytes.length > clipLimits.listBytesMax) {
    const what = `the list of ${directory} has ${bytesText(bytes.length)}`
    raise('EB-LIMIT', `${what}, limit ${bytesText(clipLimits.listBytesMax)}`, {
      todo: 'make several skills of it',
    })
  }
  orThrow(decodeClipList(bytes))
  return { bytes, sha256: createHash('sha256').update(bytes).digest('hex') as Digest }
}
