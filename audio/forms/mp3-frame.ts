/**
 * One frame of MPEG audio, layer III.
 * Promise: only frames whose length follows from their header; free bit rates are refused.
 * Source: ISO/IEC 11172-3 2.4.2.3, ISO/IEC 13818-3, and version 2.5 as everybody writes it.
 * Leaves to others: frames in a row (mp3.ts), the frame that holds no sound (mp3-info.ts).
 */

export interface Frame {
  readonly bytes: number
  readonly samples: number
  readonly sampleRate: number
  /** Bits per second. */
  readonly bitRate: number
  readonly channels: number
  /** Header and side information; what compressed sound there is comes after it. */
  readonly sideBytes: number
}

const headerBytes = 4

const bitRatesOne = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320]
const bitRatesTwo = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160]
const sampleRatesOne = [44_100, 48_000, 32_000]
/** By the two bits of the version: 2.5, none, 2, 1. */
const rateDivisors = [4, 0, 2, 1]

/** The frame whose header stands at `at`; null: none does. */
export function frameAt(bytes: Buffer, at: number): Frame | null {
  if (at < 0 || at + headerBytes > bytes.length) return null
  const header = bytes.readUInt32BE(at)
  const version = (header >>> 19) & 3
  const divisor = rateDivisors[version] ?? 0
  if (header >>> 21 !== 0x7ff || ((header >>> 17) & 3) !== 1 || divisor === 0) return null
  const rates = divisor === 1 ? bitRatesOne : bitRatesTwo
  const bitRate = (rates[(header >>> 12) & 15] ?? 0) * 1_000
  const sampleRate = (sampleRatesOne[(header >>> 10) & 3] ?? 0) / divisor
  if (bitRate === 0 || sampleRate === 0) return null
  const samples = divisor === 1 ? 1_152 : 576
  const channels = ((header >>> 6) & 3) === 3 ? 1 : 2
  const padding = (header >>> 9) & 1
  return {
    bytes: Math.floor(((samples / 8) * bitRate) / sampleRate) + padding,
    samples,
    sampleRate,
    bitRate,
    channels,
    sideBytes: headerBytes + sideInformation(divisor === 1, channels),
  }
}

function sideInformation(one: boolean, channels: number): number {
  if (one) return channels === 1 ? 17 : 32
  return channels === 1 ? 9 : 17
}
