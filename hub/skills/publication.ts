/**
 * What a publisher sends: the signed announcement of a skill and its list of clips.
 * Promise: nothing of it is believed before the signature by the skill keys held, and the list is exactly the one
 * that the announcement names.
 * Leaves to others: order, conflicts and contents (skills.ts).
 */
import { createHash } from 'node:crypto'
import { type Fault, fault } from '../../core/errors.ts'
import { wireLimits } from '../../core/limits.ts'
import { fail, ok, type Result } from '../../core/result.ts'
import { type Announcement, decodeAnnouncement, decodeClipList } from '../../core/wire/skills.ts'
import { openEnvelope } from '../../keys/envelope.ts'
import type { KeyRing, Verify } from '../../keys/public-key.ts'
import type { Publication, SkillClip } from '../clips/model.ts'

/**
 * @param list null when the skill is withdrawn
 * @returns the faults of envelopes; EB-MESSAGE when it announces no skill or the list is none; EB-BLOB when the
 *   list is not the announced one
 */
export function readPublication(
  envelope: Uint8Array,
  list: Uint8Array | null,
  ring: KeyRing,
  verify: Verify,
): Result<Publication, Fault> {
  const what = 'announcement of a skill'
  const signed = openEnvelope(envelope, wireLimits.messageBytesMax, ring, verify, what)
  if (!signed.ok) return signed
  const announcement = decodeAnnouncement(signed.value)
  if (!announcement.ok) return announcement
  const clips = clipsOf(announcement.value, list)
  return clips.ok ? ok({ announcement: announcement.value, envelope, clips: clips.value }) : clips
}

function clipsOf(
  { id, list: announced }: Announcement,
  list: Uint8Array | null,
): Result<readonly SkillClip[], Fault> {
  if (announced === null) {
    if (list === null) return ok([])
    return fail(fault('EB-BLOB', `skill ${id} is withdrawn, but a list of clips came with it`, resend))
  }
  if (list === null) return fail(fault('EB-BLOB', `the list of skill ${id} is missing`, resend))
  const sha256 = createHash('sha256').update(list).digest('hex')
  if (list.length !== announced.bytes || sha256 !== announced.sha256) {
    const [found, wanted] = [sha256, announced.sha256].map((it) => it.slice(0, 12))
    const sizes = `${list.length} bytes, ${announced.bytes} announced`
    return fail(fault('EB-BLOB', `the list of skill ${id} is ${found}, not ${wanted} (${sizes})`, resend))
  }
  const decoded = decodeClipList(list)
  if (!decoded.ok) return decoded
  return ok(decoded.value.clips.map(({ id, sha256, bytes }) => ({ id, sha256, bytes })))
}

const resend = 'publish it again: everboot skills publish'
