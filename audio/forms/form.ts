/**
 * Which form a file has, by how it begins.
 * Promise: the name of the file plays no part; what is no sound of a known form is named when it is something common.
 * Leaves to others: whether it is whole (the walks).
 */
import { audioLimits } from '../../core/clip-limits.ts'
import { fail, ok, type Result } from '../../core/result.ts'
import type { ClipFormat } from '../../core/wire/skills.ts'
import { frameAt } from './mp3-frame.ts'

export interface Form {
  readonly format: ClipFormat
  /** Where it begins: tags may come before it. */
  readonly start: number
}

const tagHeadBytes = 10

/** What else people take for a clip: name, and where which bytes stand. */
const others: readonly (readonly [string, number, string])[] = [
  ['an MP4 or M4A file', 4, '66747970'],
  ['a Matroska or WebM file', 0, '1a45dfa3'],
  ['an AIFF file', 0, '464f524d'],
  ['a Windows Media file', 0, '3026b275'],
  ['a WavPack file', 0, '7776706b'],
  ['a WAV file of more than 4 GiB', 0, '52463634'],
  ['a MIDI file', 0, '4d546864'],
  ['an AMR file', 0, '2321414d52'],
  ['an MPEG program stream', 0, '000001ba'],
  ['a Flash video', 0, '464c56'],
  ['a Core Audio file', 0, '63616666'],
]

/** @returns or what it is instead */
export function formOf(bytes: Buffer): Result<Form, string> {
  if (text(bytes, 0, 4) === 'RIFF' && text(bytes, 8, 12) === 'WAVE') return ok({ format: 'wav', start: 0 })
  if (text(bytes, 0, 4) === 'OggS') return ok({ format: 'ogg', start: 0 })
  const start = afterTags(bytes)
  if (text(bytes, start, start + 4) === 'fLaC') return ok({ format: 'flac', start })
  const frame = afterZeros(bytes, start)
  if (frameAt(bytes, frame) !== null) return ok({ format: 'mp3', start: frame })
  return fail(`it is ${likeness(bytes, start)}`)
}

/** ID3v2 tags, which stand before MP3 and sometimes FLAC. */
function afterTags(bytes: Buffer): number {
  let at = 0
  for (let tags = 0; tags < audioLimits.tagsMax; tags += 1) {
    if (at + tagHeadBytes > bytes.length || text(bytes, at, at + 3) !== 'ID3') break
    const footer = ((bytes[at + 5] ?? 0) & 0x10) === 0 ? 0 : tagHeadBytes
    at += tagHeadBytes + syncSafe(bytes, at + 6) + footer
  }
  return at
}

function syncSafe(bytes: Buffer, at: number): number {
  return bytes.subarray(at, at + 4).reduce((value, byte) => value * 128 + (byte & 0x7f), 0)
}

function afterZeros(bytes: Buffer, start: number): number {
  const end = Math.min(bytes.length, start + audioLimits.tagPaddingBytesMax)
  let at = start
  while (at < end && bytes[at] === 0) at += 1
  return at
}

function likeness(bytes: Buffer, start: number): string {
  const other = others.find(
    ([, at, magic]) => bytes.toString('hex', at, at + magic.length / 2) === magic,
  )?.[0]
  if (other !== undefined) return other
  const [first = 0, second = 0] = bytes.subarray(start)
  if (first === 0xff && (second & 0xf6) === 0xf0) return 'an AAC stream'
  if (first === 0xff && (second & 0xe6) === 0xe4) return 'MPEG audio of layer II'
  return 'no sound of a known form'
}

function text(bytes: Buffer, from: number, to: number): string {
  return bytes.toString('latin1', from, to)
}
