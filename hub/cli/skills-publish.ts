/**
 * `everboot skills publish`: makes a skill of a directory of clips, and tells the devices.
 * Promise: only what the hub does not have is sent; the announcement, signed by the skill key, goes out when every
 * content is there; a directory that is published already changes nothing; keys, directory and conflicts are
 * checked before a clip is sent.
 * Leaves to others: reading the directory (skill-directory.ts).
 */

import { clipLimits, hubClipLimits } from '../../core/clip-limits.ts'
import { type Command, type CommandInput, requiredOption, textOption } from '../../core/command.ts'
import { EverbootError, orThrow, raise } from '../../core/errors.ts'
import { bytesText, type Digest } from '../../core/units.ts'
import type { Announcement } from '../../core/wire/skills.ts'
import { keyDirectory } from '../../keys/adapters/key-directory.ts'
import { signEnvelope } from '../../keys/envelope.ts'
import type { KeySigner } from '../../keys/signer.ts'
import type { HubClient } from '../adapters/api-client.ts'
import type { SkillView } from '../http/views.ts'
import { skillIdOf } from '../skills/skill-file.ts'
import { hubOption, print, withHub } from './common.ts'
import { type ReadSkill, readSkill } from './skill-directory.ts'

/** What the hub answers to a publication. */
export type Published = SkillView & { readonly published: boolean }

export const skillsPublish: Command = {
  name: 'skills publish',
  summary: 'Publish the clips of a directory as a skill',
  positionals: 'DIR',
  positionalsMin: 1,
  positionalsMax: 1,
  options: {
    ...hubOption,
    keys: { type: 'string', value: 'KEYDIR', means: 'key directory of the publisher (required)' },
    skill: {
      type: 'string',
      value: 'ID',
      means: 'id of the skill (default: of skill.json, then name of DIR)',
    },
    version: { type: 'string', value: 'V', means: 'version to show (default: of skill.json, then a hash)' },
  },
  notes: `Clips are the mp3, wav, ogg and flac files in DIR; the name of a file is the id of its clip.
skill.json in DIR may say more: id, version, language, and in "clips" by file name id, language, ttlSeconds, pinned,
or what the sound should be (format, durationMs, sampleRate, bitRate).
Example: everboot skills publish ./weather --keys ./keys --version 2`,
  async run(input) {
    const [directory = ''] = input.positionals
    const { io } = input
    const signer = await keyDirectory(requiredOption(input, 'keys')).skillSigner()
    const read = await readSkill(directory, (done, of) => {
      if (io.terminal) io.draw(`reading clip ${done} of ${of}`)
    })
    const id = orThrow(skillIdOf(textOption(input, 'skill') ?? read.id))
    const version = versionOf(input, read)
    if (!input.json) for (const it of read.leftOut) io.err(`${it} is left out: no audio by its name`)
    return withHub(input, async (hub) => {
      const sent = new Map<Digest, number>()
      const { skill, published } = await publish(input, hub, read, { id, version }, signer, sent)
      report(input, read, skill, published, sent)
      return 0
    })
  },
}

/** The next number of a skill. @param known null when the hub has none */
export function nextSeq(known: Pick<SkillView, 'seq'> | null, nowMs: number): number {
  return Math.max((known?.seq ?? 0) + 1, nowMs)
}

/** @returns null when the hub has no such skill */
export async function knownSkill(hub: HubClient, id: string): Promise<SkillView | null> {
  try {
    return await hub.get<SkillView>(`/v1/skills/${encodeURIComponent(id)}`)
  } catch (caught) {
    if (caught instanceof EverbootError && caught.fault.code === 'EB-NOT-FOUND') return null
    throw caught
  }
}

/** Signs and sends an announcement. @param list null withdraws the skill */
export function announce(
  hub: HubClient,
  signer: KeySigner,
  announced: Pick<Announcement, 'id' | 'seq' | 'version'>,
  list: ReadSkill['list'] | null,
): Promise<Published> {
  const place = list === null ? null : { bytes: list.bytes.length, sha256: list.sha256 }
  const signed: Announcement = { _type: 'everboot-skill', format: 1, ...announced, list: place }
  return hub.put<Published>('/v1/skills', {
    envelope: Buffer.from(signEnvelope(signed, [signer])).toString('base64'),
    ...(list === null ? {} : { list: Buffer.from(list.bytes).toString('base64') }),
  })
}

function versionOf(input: CommandInput, read: ReadSkill): string {
  const version = textOption(input, 'version') ?? read.version ?? read.list.sha256.slice(0, 12)
  if (version.length > 0 && version.length <= clipLimits.versionMax) return version
  return raise('EB-USAGE', `--version has ${version.length} characters, not 1 to ${clipLimits.versionMax}`)
}

/**
 * The hub is asked to publish first: what it refuses for other reasons than missing contents costs no upload.
 * Contents may also leave it before the last step, when another skill is withdrawn: then once more.
 */
async function publish(
  input: CommandInput,
  hub: HubClient,
  read: ReadSkill,
  names: { readonly id: string; readonly version: string },
  signer: KeySigner,
  sent: Map<Digest, number>,
): Promise<{ readonly skill: SkillView; readonly published: boolean }> {
  const known = await knownSkill(hub, names.id)
  if (known?.list?.sha256 === read.list.sha256 && known.version === names.version) {
    const missing = await missingAt(hub, [...read.files.keys(), read.list.sha256])
    await sendMissing(input, hub, read, missing, sent)
    if (!missing.has(read.list.sha256)) return { skill: known, published: false }
  }
  for (let tries = 1; ; tries += 1) {
    try {
      const seq = nextSeq(known, Date.now())
      const skill = await announce(hub, signer, { ...names, seq }, read.list)
      return { skill, published: skill.published }
    } catch (caught) {
      const incomplete = caught instanceof EverbootError && caught.fault.code === 'EB-CLIP-MISSING'
      if (!incomplete || tries === hubClipLimits.publishTries) throw caught
    }
    await sendMissing(input, hub, read, await missingAt(hub, [...read.files.keys()]), sent)
  }
}

async function missingAt(hub: HubClient, sha256s: readonly Digest[]): Promise<ReadonlySet<Digest>> {
  const missing = new Set<Digest>()
  for (let at = 0; at < sha256s.length; at += hubClipLimits.haveMax) {
    const sha256 = sha256s.slice(at, at + hubClipLimits.haveMax)
    const answer = await hub.post<{ missing: readonly Digest[] }>('/v1/clips/have', { sha256 })
    for (const it of answer.missing) missing.add(it)
  }
  return missing
}

/** Several at once; the first failure ends it. */
async function sendMissing(
  { io }: CommandInput,
  hub: HubClient,
  { files }: ReadSkill,
  missing: ReadonlySet<Digest>,
  sent: Map<Digest, number>,
): Promise<void> {
  const waiting = [...files].filter(([sha256]) => missing.has(sha256))
  const { length } = waiting
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [sha256, { path, bytes }] = next
      await hub.upload(`/v1/clips/${sha256}`, path, () => undefined)
      sent.set(sha256, bytes)
      if (io.terminal) io.draw(`sent ${length - waiting.length} of ${length} contents`)
    }
  }
  try {
    await Promise.all(Array.from({ length: hubClipLimits.uploadsAtOnce }, work))
  } finally {
    waiting.splice(0)
  }
}

function report(
  input: CommandInput,
  read: ReadSkill,
  { id, seq, version }: SkillView,
  published: boolean,
  sent: ReadonlyMap<Digest, number>,
): void {
  const bytes = read.clips.reduce((sum, it) => sum + it.bytes, 0)
  const uploadedBytes = [...sent.values()].reduce((sum, it) => sum + it, 0)
  const figures = {
    clips: read.clips.length,
    contents: read.files.size,
    uploaded: sent.size,
    bytes,
    uploadedBytes,
    savedBytes: bytes - uploadedBytes,
  }
  const { leftOut } = read
  print(input, { id, seq, version, published, ...figures, leftOut }, () => [
    `${published ? 'published' : 'already published:'} ${id} ${version} (number ${seq}): ${figures.clips} clips, ` +
      `${figures.contents} contents, ${figures.uploaded} uploaded, ${bytesText(figures.savedBytes)} saved`,
  ])
}
