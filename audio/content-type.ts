/**
 * What HTTP calls the forms of sound.
 * Leaves to others: finding out which form a file has (read-audio.ts).
 */
import type { ClipFormat } from '../core/wire/skills.ts'

const types = { mp3: 'audio/mpeg', wav: 'audio/wav', ogg: 'audio/ogg', flac: 'audio/flac' } as const

/** The Content-Type to serve a clip with. */
export function contentTypeOf(format: ClipFormat): (typeof types)[ClipFormat] {
  return types[format]
}
