/**
 * What the local interface answers: a status, headers, and JSON or sound.
 * Promise: a clip is shown without its keys; every fault has a status, and says when to ask again.
 * Leaves to others: sending (adapters/clip-exchange.ts).
 */
import type { ErrorCode, Fault } from '../../core/errors.ts'
import { errorTable } from '../../core/errors.ts'
import { hex } from '../../core/units.ts'
import type { Audio } from '../../core/wire/skills.ts'
import type { Playable } from './clip-service.ts'
import type { StoredClip } from './store-types.ts'

export interface Answer {
  readonly status: number
  /** By names in lower case, with the length of the body. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Sound | null
}

/** Bytes that are still to come. Whoever sends them says when the clip is done with. */
export interface Sound {
  readonly playable: Playable
  readonly start: number
  readonly endExclusive: number
}

/** A clip as the interface shows it. */
export interface ShownClip {
  readonly id: string
  readonly skill: string
  /** Of its bytes; null for a private clip. */
  readonly sha256: string | null
  readonly bytes: number
  readonly audio: Audio
  readonly language: string | null
  readonly private: boolean
  readonly shared: boolean
  readonly listed: boolean
  readonly pinned: boolean
  /** Since 1970; null: nobody knew. */
  readonly createdMs: number | null
  readonly accesses: number
  /** Ago; null: never. */
  readonly lastAccessAgoMs: number | null
  /** From now; null: never. */
  readonly expiresInMs: number | null
}

export function shown(clip: StoredClip): ShownClip {
  const { id, skill, language, shared, listed, pinned, createdMs, accesses } = clip
  const { content, lastAccessAgoMs, expiresInMs } = clip
  return {
    ...{ id, skill, bytes: content.bytes, audio: content.audio, language },
    sha256: clip.private ? null : hex(Buffer.from(content.key, 'latin1')),
    ...{ private: clip.private, shared, listed, pinned },
    createdMs: createdMs === 0 ? null : createdMs,
    ...{ accesses, lastAccessAgoMs, expiresInMs },
  }
}

export function jsonAnswer(
  status: number,
  document: unknown,
  more: Readonly<Record<string, string>> = {},
): Answer {
  const body = `${JSON.stringify(document)}\n`
  const headers = {
    'content-type': 'application/json',
    'content-length': `${Buffer.byteLength(body)}`,
    'cache-control': 'no-store',
    ...more,
  }
  return { status, headers, body }
}

/** @param status null: as the code has it */
export function faultAnswer(
  error: Fault,
  status: number | null = null,
  more: Readonly<Record<string, string>> = {},
): Answer {
  const { code, what, todo } = error
  const own = status ?? statusOf(code)
  const later = own === 503 ? { 'retry-after': retrySeconds } : {}
  return jsonAnswer(own, { error: { code, what, todo } }, { ...later, ...more })
}

const retrySeconds = '5'

const statuses: Readonly<Partial<Record<ErrorCode, number>>> = {
  'EB-USAGE': 400,
  'EB-CLIP-NAME': 400,
  'EB-CLIP-MISSING': 404,
  'EB-NOT-FOUND': 404,
  'EB-CONFLICT': 409,
  'EB-CLIP-PRIVATE': 409,
  'EB-CLIP-SIZE': 413,
  'EB-ENDLESS': 413,
  'EB-AUDIO': 415,
  'EB-AUDIO-CLAIM': 422,
  'EB-LIMIT': 503,
  'EB-CANCELLED': 503,
  'EB-CLIP-FULL': 507,
  'EB-DATA-FULL': 507,
  'EB-DISK-FULL': 507,
}

/** Whatever the network did, it may do better later; anything else is a fault of this side. */
function statusOf(code: ErrorCode): number {
  return statuses[code] ?? (errorTable[code].family === 'network' ? 503 : 500)
}
