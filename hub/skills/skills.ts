/**
 * Skills at the hub: taking a newer announcement, refusing what cannot be.
 * Promise: what is published is complete: its list and every content on it are in the store; numbers rise, the
 * same announcement twice changes nothing; a clip belongs to one skill; what the former list alone referred to
 * goes after the commit.
 * Leaves to others: signatures (publication.ts), telling the devices (../broker).
 */
import { clipLimits, hubClipLimits } from '../../core/clip-limits.ts'
import { type Fault, fault } from '../../core/errors.ts'
import { wireLimits } from '../../core/limits.ts'
import { ok } from '../../core/result.ts'
import type { Digest } from '../../core/units.ts'
import { type Change, contentHere, release, stepOf } from '../clips/contents.ts'
import type { ClipMessage, ClipState, Publication, Skill } from '../clips/model.ts'
import { refused } from '../clips/own-clips.ts'
import type { Effect, HubState, Step } from '../core/model.ts'

/** @returns the id of the skill, or what `refusalOf` says; `changed` is false when it is published already. */
export function publishSkill(
  state: HubState,
  message: Extract<ClipMessage, { kind: 'publish-skill' }>,
): Step {
  const { publication, atMs } = message
  const { id, seq, version, list } = publication.announcement
  if (isPublished(state.clips, publication)) {
    return { state, effects: [], answer: ok({ id, changed: false }) }
  }
  const refusal =
    refusalOf(state.clips, publication, atMs) ??
    missingOf(state.clips, publication) ??
    missingListOf(state.clips, publication)
  if (refusal !== null) return refused(state, refusal)
  const envelope = Buffer.from(publication.envelope).toString('base64')
  const skill: Skill = { id, seq, version, list, envelope, clips: publication.clips, atMs }
  const change = replaced(state.clips, skill, atMs)
  const step = stepOf(state, change, { id, changed: true })
  const clips = skill.clips.length
  const effects: Effect[] = [
    ...step.effects,
    { kind: 'publish-skill', skill },
    { kind: 'log', event: { event: 'skill', skill: id, seq, version, clips, withdrawn: list === null } },
  ]
  return { ...step, effects }
}

/** Every announcement once more: after a start the broker may never have got the last ones. */
export function republishSkills(clips: ClipState): readonly Effect[] {
  return clips.skills.values().map((skill) => ({ kind: 'publish-skill', skill }))
}

export function isPublished({ skills }: ClipState, { announcement, envelope }: Publication): boolean {
  const known = skills.get(announcement.id)
  return known !== undefined && known.envelope === Buffer.from(envelope).toString('base64')
}

/**
 * Why it cannot be published, whatever the store holds.
 * @returns EB-CONFLICT (older, another under this number, a clip of another skill), EB-SEQUENCE (a number from
 *   the future), EB-LIMIT, EB-NOT-FOUND (withdrawn without having been there)
 */
export function refusalOf(clips: ClipState, publication: Publication, atMs: number): Fault | null {
  const { id, seq, list } = publication.announcement
  const known = clips.skills.get(id)
  if (known !== undefined && seq <= known.seq) {
    const than = seq === known.seq ? 'another announcement of that number' : `number ${known.seq}`
    return fault('EB-CONFLICT', `skill ${id} is published with ${than}, this one has ${seq}`, again)
  }
  if (seq > Math.max(atMs, known?.seq ?? 0) + wireLimits.sequenceAheadMs) {
    const what = `skill ${id} has number ${seq}, over a day ahead of the hub's clock, which shows ${atMs}`
    return fault('EB-SEQUENCE', what, 'correct the clock of the hub or of the publisher')
  }
  if (known === undefined && list === null)
    return fault('EB-NOT-FOUND', `there is no skill ${id} to withdraw`)
  if (known === undefined && clips.skills.size >= clipLimits.skillsMax) {
    return fault('EB-LIMIT', `the hub has ${clips.skills.size} skills, the most it can`)
  }
  return othersRefusal(clips, publication)
}

/**
 * Whether every clip is in the store.
 * @returns EB-CLIP-MISSING with the number of contents that are not, EB-BLOB (another length)
 */
export function missingOf(clips: ClipState, publication: Publication): Fault | null {
  const { id } = publication.announcement
  const missing = new Set<Digest>()
  for (const { id: clip, sha256, bytes } of publication.clips) {
    const content = contentHere(clips, sha256)
    if (content === null) missing.add(sha256)
    else if (content.bytes !== bytes) {
      return fault('EB-BLOB', `clip ${clip} has ${content.bytes} bytes, skill ${id} lists ${bytes}`, again)
    }
  }
  if (missing.size === 0) return null
  const [first] = missing
  const what = `${missing.size} contents of skill ${id} are not at the hub, the first is ${first}`
  return fault('EB-CLIP-MISSING', what, again)
}

function missingListOf(clips: ClipState, { announcement }: Publication): Fault | null {
  const { id, list } = announcement
  if (list === null || contentHere(clips, list.sha256) !== null) return null
  return fault('EB-CLIP-MISSING', `the list of skill ${id} is not at the hub`, again)
}

const again = 'publish it again: everboot skills publish'

/** A clip belongs to one skill; all skills together have a limit. */
function othersRefusal(clips: ClipState, { announcement, clips: listed }: Publication): Fault | null {
  const ids = new Set(listed.map((it) => it.id))
  let total = listed.length
  for (const other of clips.skills.each()) {
    if (other.id === announcement.id) continue
    total += other.clips.length
    const taken = other.clips.find((it) => ids.has(it.id))
    if (taken === undefined) continue
    const what = `clip ${taken.id} of skill ${announcement.id} belongs to skill ${other.id}`
    return fault('EB-CONFLICT', what, 'give the clip another id, or withdraw the other skill')
  }
  if (total <= hubClipLimits.listedMax) return null
  return fault('EB-LIMIT', `all skills would list ${total} clips, limit ${hubClipLimits.listedMax}`)
}

function replaced(clips: ClipState, skill: Skill, atMs: number): Change {
  const former = clips.skills.get(skill.id)
  const inSkills = new Map(clips.inSkills)
  for (const sha256 of contentsOf(skill)) inSkills.set(sha256, (inSkills.get(sha256) ?? 0) + 1)
  const before = former === undefined ? [] : contentsOf(former)
  for (const sha256 of before) {
    const left = (inSkills.get(sha256) ?? 1) - 1
    if (left === 0) inSkills.delete(sha256)
    else inSkills.set(sha256, left)
  }
  const change = release({ ...clips, skills: clips.skills.set(skill.id, skill), inSkills }, before, atMs)
  return { ...change, writes: [{ kind: 'put-skill', skill }, ...change.writes] }
}

/** One entry for each reference: its clips, then its list. */
export function contentsOf({ clips, list }: Pick<Skill, 'clips' | 'list'>): readonly Digest[] {
  return [...clips.map((it) => it.sha256), ...(list === null ? [] : [list.sha256])]
}
