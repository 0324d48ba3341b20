/**
 * The frame that holds no sound but says how much follows: Xing, Info, and what LAME adds to them.
 * Promise: reads nothing outside the frame; a field that is not there is null.
 * Source: the Xing header and the Info tag as LAME 3.100 and libavformat write them.
 * Leaves to others: whether it is true (mp3.ts).
 */
import type { Frame } from './mp3-frame.ts'

/** What the first frame says of all. */
export interface Info {
  /** That follow it. */
  readonly frames: number | null
  /** Of all frames, this one among them. */
  readonly bytes: number | null
  /** Samples that the encoder added before and after the sound. */
  readonly added: number
  /** As `lame -q`: 0 takes longest, 9 is fastest. */
  readonly quality: number | null
}

const tags = ['Xing', 'Info']
const tagBytes = 4
const tableBytes = 100
/** From the name of the encoder. */
const lame = { delayAt: 21, bytes: 36 } as const

/** @param frame that begins at `start`. @returns null when it is a frame as all others */
export function infoOf(file: Buffer, start: number, frame: Frame): Info | null {
  const body = file.subarray(start + frame.sideBytes, start + frame.bytes)
  if (!tags.includes(body.toString('latin1', 0, tagBytes)) || body.length < 2 * tagBytes) return null
  const flags = body.readUInt32BE(tagBytes)
  let at = 2 * tagBytes
  const field = (bit: number, length: number): number | null => {
    if (((flags >>> bit) & 1) === 0) return null
    at += length
    return length === tagBytes && at <= body.length ? body.readUInt32BE(at - length) : null
  }
  const [frames, bytes, , scale] = [
    field(0, tagBytes),
    field(1, tagBytes),
    field(2, tableBytes),
    field(3, tagBytes),
  ]
  return { frames, bytes, ...encoderFields(body.subarray(at, at + lame.bytes), scale) }
}

function encoderFields(encoder: Buffer, scale: number | null): Pick<Info, 'added' | 'quality'> {
  const name = encoder.toString('latin1', 0, tagBytes)
  if (encoder.length < lame.bytes || !/^(LAME|Lavf|Lavc|L3\.9|GOGO)/.test(name))
    return { added: 0, quality: null }
  const delays = encoder.readUIntBE(lame.delayAt, 3)
  // The scale is 100 - 10 V - q; others than LAME leave it out or count otherwise.
  const known = name === 'LAME' && scale !== null && scale > 0 && scale <= 100
  return { added: (delays >>> 12) + (delays & 0xfff), quality: known ? (100 - scale) % 10 : null }
}
