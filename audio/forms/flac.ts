/**
 * A walk over a FLAC file: metadata, then frame after frame, each under its checksums.
 * Promise: every byte of the sound is what the encoder wrote, and there are as many samples as the file says.
 * Source: RFC 9639 sections 8, 9 and 9.3.
 * Leaves to others: decoding.
 */
import { audioLimits } from '../../core/clip-limits.ts'
import { fail, ok, type Result } from '../../core/result.ts'
import { flacFrameCrc, flacHeaderCrc } from './crc.ts'
import type { Walk } from './walked.ts'

const magicBytes = 4
const blockHeadBytes = 4
const streamInfoBytes = 34
const footerBytes = 2

interface Stream {
  readonly sampleRate: number
  readonly samples: number
  /** Where the sound begins. */
  readonly soundAt: number
}

interface FrameHeader {
  readonly bytes: number
  readonly samples: number
  /** Of the frame, or of its first sample where lengths vary. */
  readonly number: number
  readonly varies: boolean
}

export const walkFlac: Walk = (bytes, start) => {
  const read = readMetadata(bytes, start)
  if (!read.ok) return read
  const stream = read.value
  const counted = countSamples(bytes, stream.soundAt)
  if (!counted.ok) return counted
  const samples = counted.value
  // Zero: whoever wrote it did not know yet.
  if (stream.samples !== 0 && stream.samples !== samples) {
    return fail(`it says that it has ${stream.samples} samples, and has ${samples}`)
  }
  return ok({
    format: 'flac',
    sampleRate: stream.sampleRate,
    samples,
    soundBytes: bytes.length - stream.soundAt,
    statesBitRate: false,
    compressionLevel: null,
    headers: { bytes: headOf(bytes, start), samples },
  })
}

function readMetadata(bytes: Buffer, start: number): Result<Stream, string> {
  let at = start + magicBytes
  let last = false
  for (let blocks = 0; !last; blocks += 1) {
    if (at + blockHeadBytes > bytes.length) return fail('it ends before its sound')
    const head = bytes.readUInt8(at)
    const length = bytes.readUIntBE(at + 1, 3)
    last = head >>> 7 === 1
    if (blocks === 0 && ((head & 0x7f) !== 0 || length !== streamInfoBytes)) {
      return fail('it does not begin with what it is')
    }
    if (blocks >= audioLimits.partsMax) return fail('there is too much in it besides the sound')
    at += blockHeadBytes + length
  }
  if (at >= bytes.length) return fail('it ends before its sound')
  const info = bytes.readBigUInt64BE(start + magicBytes + blockHeadBytes + 10)
  const samples = Number(info & 0xf_ffff_ffffn)
  return ok({
    sampleRate: Number(info >> 44n),
    samples,
    soundAt: at,
  })
}

/** The first block and nothing else, as a file of its own. */
function headOf(bytes: Buffer, start: number): Buffer {
  const head = Buffer.from(bytes.subarray(start, start + magicBytes + blockHeadBytes + streamInfoBytes))
  head.writeUInt8(0x80, magicBytes)
  return head
}

/**
 * A frame does not say how long it is: it ends where its checksum comes out and another begins, or the file ends.
 * @returns samples of all frames
 */
function countSamples(bytes: Buffer, start: number): Result<number, string> {
  let samples = 0
  let frames = 0
  let at = start
  while (at < bytes.length) {
    const header = headerAt(bytes, at)
    if (header === null || header.number !== (header.varies ? samples : frames)) {
      return fail(`frame ${frames} is damaged or missing`)
    }
    const end = endOfFrame(bytes, at, header.bytes)
    if (end === null) return fail(`frame ${frames} is damaged or cut off`)
    samples += header.samples
    frames += 1
    at = end
  }
  return ok(samples)
}

function endOfFrame(bytes: Buffer, start: number, headerBytes: number): number | null {
  let crc = 0
  for (let at = start; at < bytes.length; at += 1) {
    crc = flacFrameCrc(crc, bytes[at] ?? 0)
    if (crc !== 0) continue
    const end = at + 1
    if (end < start + headerBytes + footerBytes) continue
    if (end === bytes.length || headerAt(bytes, end) !== null) return end
  }
  return null
}

/** null: none whose checksum comes out. */
function headerAt(bytes: Buffer, at: number): FrameHeader | null {
  if (at + 6 > bytes.length) return null
  const [sync = 0, second = 0, codes = 0, last = 0] = bytes.subarray(at, at + 4)
  if (sync !== 0xff || second >>> 1 !== 0x7c || (last & 1) !== 0) return null
  const number = codedNumber(bytes, at + 4)
  if (number === null) return null
  const sizeAt = at + 4 + number.bytes
  const sizeBytes = codes >>> 4 === 6 ? 1 : codes >>> 4 === 7 ? 2 : 0
  const rateBytes = (codes & 15) === 12 ? 1 : (codes & 15) === 13 || (codes & 15) === 14 ? 2 : 0
  const crcAt = sizeAt + sizeBytes + rateBytes
  if (crcAt >= bytes.length || flacHeaderCrc(bytes, at, crcAt) !== bytes[crcAt]) return null
  const samples = sizeBytes === 0 ? codedSamples(codes >>> 4) : bytes.readUIntBE(sizeAt, sizeBytes) + 1
  if (samples === 0) return null
  return { bytes: crcAt + 1 - at, samples, number: number.value, varies: (second & 1) === 1 }
}

function codedSamples(code: number): number {
  if (code === 1) return 192
  if (code >= 2 && code <= 5) return 144 << code
  return code >= 8 ? 1 << code : 0
}

/** UTF-8 as it once was, up to 36 bits. */
function codedNumber(bytes: Buffer, at: number): { value: number; bytes: number } | null {
  const first = bytes[at] ?? 0xff
  if (first < 0x80) return { value: first, bytes: 1 }
  const length = Math.clz32(~(first << 24))
  if (length < 2 || length > 7 || at + length > bytes.length) return null
  let value = first & (0x7f >>> length)
  for (const byte of bytes.subarray(at + 1, at + length)) {
    if (byte >>> 6 !== 2) return null
    value = value * 64 + (byte & 0x3f)
  }
  return { value, bytes: length }
}
