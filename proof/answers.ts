/**
 * Bad answers of a file server, by name: each changes one right answer.
 * Promise: an exact thing, no chance in it. Names are those of the fault atlas where it has the same fault.
 * Leaves to others: which answers are bent, and how often (conditions.ts), faults by chance (swarm/fault-atlas.ts).
 */
import type { Answer } from '../bootloader-sim/devices/network.ts'
import { pieceBytes } from './publisher.ts'

/** A sealed piece that does not compress: the piece and its tag. */
export const sealedBytes = pieceBytes + 16

export const answerNames = [
  'a status',
  'connection reset',
  'connection stalls',
  'slow line',
  'less than asked for',
  'more than asked for',
  'the whole file for a range',
  'another range than asked for',
  'a range without saying which',
  'a range of a file of 2^53-1 bytes',
  'the ETag changes',
  'the page of a captive portal',
  'a flipped byte on the line',
  'other bytes',
] as const
export type AnswerName = (typeof answerNames)[number]

/** What an answer of some names needs to know. */
export interface BendOptions {
  readonly status: number
  readonly retryAfterMs: number | null
  /** What comes of the body before it breaks or stalls. */
  readonly after: { readonly pieces: number; readonly bytes: number }
}

/** 2 KiB a second: slow, but above what counts as stalled. */
const slowLine = { partMs: 1000, partBytes: 2048 }
const portal = Buffer.from('<html><body>Please log in to our network</body></html>')

/** @returns whether bytes may come that are not those of the file, or not those asked for */
export function spoils(name: AnswerName): boolean {
  return !['a status', 'connection reset', 'connection stalls', 'slow line', 'less than asked for'].includes(
    name,
  )
}

/** Changes `answer` in place. */
export function bend(answer: Answer, name: AnswerName, options: BendOptions): void {
  const { status, retryAfterMs, after } = options
  const reach = Math.max(0, Math.min(answer.body.length, after.pieces * sealedBytes + after.bytes))
  const range = answer.contentRange
  switch (name) {
    case 'a status':
      Object.assign(answer, { status, etag: null, contentRange: null, body: portal, retryAfterMs })
      return
    case 'connection reset':
      answer.breakAfter = reach
      return
    case 'connection stalls':
      answer.stallAfter = reach
      return
    case 'slow line':
      Object.assign(answer, slowLine)
      return
    case 'less than asked for':
      answer.body = answer.body.subarray(0, reach)
      return
    case 'more than asked for':
      // The surplus comes before the right bytes are complete: it must not be taken for them.
      answer.body = Buffer.concat([answer.body.subarray(0, reach), Buffer.alloc(answer.body.length + 1)])
      return
    case 'the whole file for a range':
      Object.assign(answer, { status: 200, contentRange: null })
      return
    case 'another range than asked for':
      if (range !== null)
        answer.contentRange = { ...range, start: range.start + 1, endExclusive: range.endExclusive + 1 }
      return
    case 'a range without saying which':
      answer.contentRange = null
      return
    case 'a range of a file of 2^53-1 bytes':
      if (range !== null) answer.contentRange = { ...range, size: Number.MAX_SAFE_INTEGER }
      return
    case 'the ETag changes':
      answer.etag = '"other"'
      return
    case 'the page of a captive portal':
      Object.assign(answer, { status: 200, etag: null, contentRange: null, body: portal })
      return
    case 'a flipped byte on the line':
      answer.body = new Uint8Array(answer.body).map((byte, at) => (at === reach ? byte ^ 0x40 : byte))
      return
    case 'other bytes':
      answer.body = Buffer.alloc(answer.body.length, 7)
  }
}
