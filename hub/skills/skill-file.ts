/**
 * The directory of a skill: which of its files are clips, under which ids, and what `skill.json` says of them.
 * Promise: a description that is not wholly understood is refused; ids are safe names and each is used once; what
 * is said to be private is never listed.
 * Leaves to others: reading the files (../cli/skill-directory.ts), what is in them (audio/).
 */
import * as v from 'valibot'
import { type AudioClaims, claimsSchema } from '../../audio/claims.ts'
import { clipLimits } from '../../core/clip-limits.ts'
import { type ErrorCode, type Fault, fault } from '../../core/errors.ts'
import { fail, ok, type Result } from '../../core/result.ts'
import { safeName } from '../../core/units.ts'
import { languageSchema } from '../../core/wire/skills.ts'

export const skillFileName = 'skill.json'

const seconds = v.pipe(v.number(), v.safeInteger(), v.minValue(0))

const describedClip = v.strictObject({
  /** Default: the name of the file without its extension. */
  id: v.optional(v.string()),
  language: v.optional(v.nullable(v.string())),
  /** Absent: as the device is configured; 0: does not expire. */
  ttlSeconds: v.optional(seconds),
  pinned: v.optional(v.boolean()),
  /** Refused: a private clip stays on its device. */
  private: v.optional(v.boolean()),
  ...claimsSchema.entries,
})

const skillFile = v.strictObject({
  /** Default: the name of the directory. */
  id: v.optional(v.string()),
  /** Default: the beginning of the hash of the list. */
  version: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(clipLimits.versionMax))),
  /** Of all clips that say nothing else. */
  language: v.optional(v.nullable(v.string())),
  clips: v.optional(v.pipe(v.custom(isNoList, 'not an object'), v.record(v.string(), describedClip))),
})
export type SkillFile = v.InferOutput<typeof skillFile>

/** A file that is to be a clip. */
export interface PlannedClip {
  readonly file: string
  readonly id: string
  readonly language: string | null
  readonly ttlSeconds: number | undefined
  readonly pinned: boolean | undefined
  readonly claims: AudioClaims
}

export interface SkillPlan {
  /** Sorted by id. */
  readonly clips: readonly PlannedClip[]
  /** Files that are no audio by their names, and that nobody described. */
  readonly leftOut: readonly string[]
}

/** The schemas take a list for an object. */
function isNoList(value: unknown): boolean {
  return !Array.isArray(value)
}

/** @returns EB-SKILL when the text is no description of a skill */
export function decodeSkillFile(text: string, path: string): Result<SkillFile, Fault> {
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch (caught) {
    return refused(`${path} is not JSON: ${(caught as Error).message}`, `correct ${path}, or remove it`)
  }
  const parsed = v.safeParse(v.pipe(v.custom(isNoList, 'not an object'), skillFile), document)
  if (parsed.success) return ok(parsed.output)
  const [issue] = parsed.issues
  const where = v.getDotPath(issue) ?? 'document'
  return refused(`${path}: ${where}: ${issue.message}`, `correct ${path}, or leave the key out`)
}

/**
 * @param directory for messages; @param names of its files, hidden ones and `skill.json` left out
 * @returns EB-SKILL, EB-CLIP-NAME, EB-CLIP-PRIVATE, EB-LIMIT
 */
export function planSkill(
  directory: string,
  names: readonly string[],
  described: SkillFile,
): Result<SkillPlan, Fault> {
  const about = described.clips ?? {}
  const missing = Object.keys(about).find((it) => !names.includes(it))
  if (missing !== undefined) {
    const name = JSON.stringify(missing)
    const what = `${skillFileName} describes ${name}, and ${directory} has no file of that name`
    return refused(what, 'correct the name; clips lie in the directory itself, not below it')
  }
  const files = names.filter((it) => Object.hasOwn(about, it) || audioName.test(it)).sort()
  const leftOut = names.filter((it) => !files.includes(it)).sort()
  if (files.length === 0) return refused(nothingIn(directory, names), audioTodo)
  if (files.length > clipLimits.listClipsMax) {
    const what = `${directory} has ${files.length} clips, limit ${clipLimits.listClipsMax}`
    return refused(what, 'make several skills of it', 'EB-LIMIT')
  }
  const clips: PlannedClip[] = []
  for (const file of files) {
    const clip = plannedClip(file, about[file] ?? {}, described.language ?? null)
    if (!clip.ok) return clip
    clips.push(clip.value)
  }
  const sorted = clips.sort((a, b) => (a.id < b.id ? -1 : 1))
  const twin = twinIn(sorted)
  return twin === null ? ok({ clips: sorted, leftOut }) : twin
}

/** @returns EB-CLIP-NAME when the text cannot be the id of a skill */
export function skillIdOf(text: string): Result<string, Fault> {
  if (safeName.test(text)) return ok(text)
  return refused(`${JSON.stringify(text)} is no id of a skill`, idTodo('--skill ID'), 'EB-CLIP-NAME')
}

const audioName = /\.(mp3|wav|ogg|oga|opus|flac)$/i
const audioTodo = 'put mp3, wav, ogg or flac files into it'
const idTodo = (how: string): string =>
  `give ${how} of letters, digits, dot, dash and underscore, 1 to 64 of them`

function plannedClip(
  file: string,
  about: v.InferOutput<typeof describedClip>,
  common: string | null,
): Result<PlannedClip, Fault> {
  const { id: given, language: own, ttlSeconds, pinned, private: secret, ...claims } = about
  if (secret === true) {
    const todo = `take it out of the directory, or "private" out of ${skillFileName}`
    return refused(`${file} is said to be private`, todo, 'EB-CLIP-PRIVATE')
  }
  const id = given ?? file.replace(/\.[^.]*$/, '')
  if (!safeName.test(id)) {
    const todo = `rename the file, or ${idTodo(`it an "id" in ${skillFileName}`)}`
    return refused(`${file}: ${JSON.stringify(id)} is no id of a clip`, todo, 'EB-CLIP-NAME')
  }
  const language = own === undefined ? common : own
  if (language !== null && !v.is(languageSchema, language)) {
    const what = `${file}: ${JSON.stringify(language)} is no language`
    return refused(what, 'give a tag such as en-GB', 'EB-CLIP-NAME')
  }
  return ok({ file, id, language, ttlSeconds, pinned, claims })
}

/** @param sorted by id */
function twinIn(sorted: readonly PlannedClip[]): Result<never, Fault> | null {
  for (const [at, { id, file }] of sorted.entries()) {
    const next = sorted[at + 1]
    if (next?.id !== id) continue
    const todo = `remove one of them, or give it another "id" in ${skillFileName}`
    return refused(`${[file, next.file].sort().join(' and ')} would both be clip ${id}`, todo)
  }
  return null
}

function nothingIn(directory: string, names: readonly string[]): string {
  if (names.length === 0) return `${directory} is empty`
  const some = names.slice(0, 3).join(', ')
  return `${directory} holds no audio, only ${some}${names.length > 3 ? ` and ${names.length - 3} more` : ''}`
}

function refused(what: string, todo: string, code: ErrorCode = 'EB-SKILL'): Result<never, Fault> {
  return fail(fault(code, what, todo))
}
