/**
 * What a walk over a whole sound file finds: every form has one.
 * Promise (of each walk): it looks at every part of the file once, in time and memory that grow with the file and no
 * faster; it believes no length before it has seen what it is the length of; it never throws.
 * Leaves to others: what the headers say besides (headers.ts).
 */
import type { Result } from '../../core/result.ts'
import type { ClipFormat } from '../../core/wire/skills.ts'

/** A file that is whole. */
export interface Walked {
  readonly format: ClipFormat
  /** Hz, of what a player plays. */
  readonly sampleRate: number
  /** Of one channel, as a player plays them. */
  readonly samples: number
  /** Of the sound alone, without headers and tags. */
  readonly soundBytes: number
  /** The bit rate in the headers is what to say; else the average. */
  readonly statesBitRate: boolean
  /** As the encoder counts; null when the file does not say. */
  readonly compressionLevel: number | null
  /** Enough for the headers to be read, and not long. */
  readonly headers: Headers
}

export interface Headers {
  readonly bytes: Uint8Array
  /** Length that they must give; null: they need not give one. */
  readonly samples: number | null
}

/** @param bytes the whole file; @param start where the sound or its header begins. @returns or what is wrong */
export type Walk = (bytes: Buffer, start: number) => Result<Walked, string>
