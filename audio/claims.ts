/**
 * What somebody says of a sound, compared with what it is.
 * Promise: lengths may differ by what encoders add, bit rates by what two ways of averaging make of them; everything
 * else that is said must be so.
 * Leaves to others: finding out what is so (read-audio.ts).
 */
import * as v from 'valibot'
import { audioLimits } from '../core/clip-limits.ts'
import { type Fault, fault } from '../core/errors.ts'
import { fail, ok, type Result } from '../core/result.ts'
import { type Audio, audioSchema } from '../core/wire/skills.ts'

/** Each field as in Audio; what is not said is not compared. */
export const claimsSchema = v.partial(audioSchema)
export type AudioClaims = v.InferOutput<typeof claimsSchema>

const fields = ['format', 'durationMs', 'sampleRate', 'bitRate', 'channels', 'compressionLevel'] as const
type Field = (typeof fields)[number]

/** How far a claim may be from what is found; absent: not at all. */
const allowed: Readonly<Partial<Record<Field, (found: number) => number>>> = {
  durationMs: (found) => Math.max(audioLimits.durationErrorMs, found * audioLimits.durationErrorShare),
  bitRate: (found) => found * audioLimits.bitRateErrorShare,
}

/** @param name of the clip or file, for people. @returns `audio`, or EB-AUDIO-CLAIM naming field, claim and finding. */
export function checkClaims(audio: Audio, claims: AudioClaims, name: string): Result<Audio, Fault> {
  const wrong = fields.find((field) => !agrees(field, audio[field], claims[field]))
  if (wrong === undefined) return ok(audio)
  const what = `${name}: ${wrong} is said to be ${claims[wrong]}, found ${audio[wrong]}`
  return fail(fault('EB-AUDIO-CLAIM', what))
}

function agrees(field: Field, found: Audio[Field], claimed: AudioClaims[Field]): boolean {
  if (claimed === undefined || claimed === found) return true
  const error = allowed[field]
  if (error === undefined || typeof claimed !== 'number' || typeof found !== 'number') return false
  return Math.abs(claimed - found) <= error(found)
}
