/**
 * What a request says of a sound, as text, made into claims that can be compared with what the sound is.
 * Promise: a claim that no clip could fulfil is refused before a byte of the sound is read.
 * Leaves to others: comparing (audio/claims.ts).
 */
import * as v from 'valibot'
import { type AudioClaims, claimsSchema } from '../../audio/claims.ts'
import { raise } from '../../core/errors.ts'

const numbers = ['durationMs', 'sampleRate', 'bitRate', 'channels', 'compressionLevel'] as const

/** @param said the text of a field, or null. @throws EverbootError EB-USAGE, EB-AUDIO-CLAIM */
export function claimsOf(said: (field: string) => string | null): AudioClaims {
  const claims: Record<string, string | number> = {}
  const format = said('format')
  if (format !== null) claims['format'] = format
  for (const field of numbers) {
    const text = said(field)
    if (text !== null) claims[field] = wholeNumber(field, text)
  }
  const parsed = v.safeParse(claimsSchema, claims)
  if (parsed.success) return parsed.output
  const field = v.getDotPath(parsed.issues[0]) ?? ''
  const claim = String(claims[field]).slice(0, 40)
  raise('EB-AUDIO-CLAIM', `${field} is said to be ${JSON.stringify(claim)}, which no clip has`)
}

/** @throws EverbootError EB-USAGE */
export function wholeNumber(name: string, text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text)
  raise('EB-USAGE', `${name} is ${JSON.stringify(text.slice(0, 40))}, not a whole number`)
}
