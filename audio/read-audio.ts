/**
 * What a sound file really is: form, length, sample rate, bit rate, channels, read from its bytes.
 * Promise: nothing that a name or a caller says is believed.
 * Leaves to others: comparing it with what is claimed (claims.ts).
 */
import * as v from 'valibot'
import { clipLimits } from '../core/clip-limits.ts'
import { type Fault, fault } from '../core/errors.ts'
import { fail, ok, type Result } from '../core/result.ts'
import { bytesText } from '../core/units.ts'
import { type Audio, audioSchema, type ClipFormat } from '../core/wire/skills.ts'

const containers: Readonly<Record<string, ClipFormat>> = {
  MPEG: 'mp3',
  WAVE: 'wav',
  Ogg: 'ogg',
  FLAC: 'flac',
}

/**
 * @param bytes the whole file; @param name of the clip or file, for people: its extension says nothing
 * @returns EB-AUDIO when it holds no sound of a known form or is damaged; EB-CLIP-SIZE when it is empty or too large
 */
export async function readAudio(bytes: Uint8Array, name: string): Promise<Result<Audio, Fault>> {
  if (bytes.length === 0) return fail(fault('EB-CLIP-SIZE', `${name} is empty`))
  if (bytes.length > clipLimits.clipBytesMax) {
    const limit = bytesText(clipLimits.clipBytesMax)
    return fail(fault('EB-CLIP-SIZE', `${name} has ${bytesText(bytes.length)}, limit ${limit}`))
  }
  const { parseBuffer } = await import('music-metadata')
  try {
    const { format } = await parseBuffer(bytes, undefined, { duration: true, skipCovers: true })
    const durationMs = Math.round((format.duration ?? 0) * 1000)
    const parsed = v.safeParse(audioSchema, {
      format: containers[format.container ?? ''],
      durationMs,
      sampleRate: format.sampleRate,
      bitRate: Math.round(format.bitrate ?? (bytes.length * 8_000) / durationMs),
      channels: format.numberOfChannels,
      compressionLevel: null,
    })
    if (parsed.success) return ok(parsed.output)
    const [issue] = parsed.issues
    return fail(fault('EB-AUDIO', `${name}: ${v.getDotPath(issue) ?? 'file'}: ${issue.message}`))
  } catch (caught) {
    return fail(fault('EB-AUDIO', `${name}: ${caught instanceof Error ? caught.message : String(caught)}`))
  }
}
