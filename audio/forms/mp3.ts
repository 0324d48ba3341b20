/**
 * A walk over an MP3 file: frame after frame to the end of the sound.
 * Promise: the sound is one row of whole frames of one kind; where the file says how many there are, there are so
 * many; nothing but known tags comes after them.
 * Leaves to others: the frames themselves (mp3-frame.ts), tags before the first (form.ts).
 */
import { audioLimits } from '../../core/clip-limits.ts'
import { fail, ok, type Result } from '../../core/result.ts'
import { type Frame, frameAt } from './mp3-frame.ts'
import { type Info, infoOf } from './mp3-info.ts'
import type { Headers, Walk } from './walked.ts'

interface Frames {
  readonly count: number
  readonly bytes: number
  /** Of all of them; null: it varies. */
  readonly bitRate: number | null
}

export const walkMp3: Walk = (bytes, start) => {
  const first = frameAt(bytes, start)
  if (first === null) return fail('it begins with no frame')
  const info = infoOf(bytes, start, first)
  const soundStart = info === null ? start : start + first.bytes
  const walked = walkFrames(bytes, soundStart, first)
  if (!walked.ok) return walked
  const frames = walked.value
  const end = soundStart + frames.bytes
  const fault = frames.count === 0 ? 'it holds no sound' : claimFault(info, frames, end - start)
  if (fault !== null) return fail(fault)
  const samples = frames.count * first.samples
  return ok({
    format: 'mp3',
    sampleRate: first.sampleRate,
    samples: Math.max(0, samples - (info?.added ?? 0)),
    soundBytes: frames.bytes,
    statesBitRate: frames.bitRate !== null,
    compressionLevel: info?.quality ?? null,
    headers: headersOf(bytes.subarray(start, end), info, samples),
  })
}

function walkFrames(bytes: Buffer, start: number, first: Frame): Result<Frames, string> {
  let at = start
  let count = 0
  let bitRate: number | null = frameAt(bytes, start)?.bitRate ?? null
  for (;;) {
    const frame = frameAt(bytes, at)
    if (frame === null) break
    if (frame.sampleRate !== first.sampleRate || frame.channels !== first.channels) {
      return fail(`frame ${count} is of another kind than the first`)
    }
    if (at + frame.bytes > bytes.length) return fail(`it ends in the middle of frame ${count}`)
    if (frame.bitRate !== bitRate) bitRate = null
    at += frame.bytes
    count += 1
  }
  if (!isTrailer(bytes.subarray(at))) return fail(`no frame begins at byte ${at}, after ${count} of them`)
  return ok({ count, bytes: at - start, bitRate })
}

function claimFault(info: Info | null, frames: Frames, bytes: number): string | null {
  const said = info?.frames ?? frames.count
  if (said !== frames.count) return `it says that it has ${said} frames, and has ${frames.count}`
  const saidBytes = info?.bytes ?? bytes
  if (saidBytes > bytes) return `it says that its frames have ${saidBytes} bytes, and they have ${bytes}`
  return null
}

/** The library counts frames that it is given one by one, unless the first says how many there are. */
function headersOf(sound: Buffer, info: Info | null, samples: number): Headers {
  const bytes = sound.subarray(0, audioLimits.headerBytesMax)
  const counts = typeof info?.frames === 'number' || bytes.length === sound.length
  return { bytes, samples: counts ? samples : null }
}

/** What programs put behind the sound: ID3v1, APE tags, lyrics, zeros. */
function isTrailer(rest: Buffer): boolean {
  const starts = (text: string): boolean => rest.toString('latin1', 0, text.length) === text
  if (rest.length === 128 && starts('TAG')) return true
  if (starts('APETAGEX') || starts('LYRICSBEGIN')) return rest.length <= audioLimits.headerBytesMax
  return rest.length <= audioLimits.tagPaddingBytesMax && rest.every((byte) => byte === 0)
}
