/**
 * Sounds made of numbers: a plucked tone, as a WAV or a FLAC file that every player plays.
 * Promise: same number, same bytes; different numbers, different bytes; no program is run.
 * Leaves to others: which sounds (skill-plan.ts), speech.
 */
import { createHash } from 'node:crypto'
import { flacFrameCrc, flacHeaderCrc } from '../audio/forms/crc.ts'
import { seededRandom } from '../core/prng.ts'

export interface Tone {
  /** A whole number from 0: which tone it is. */
  readonly number: number
  readonly durationMs: number
  /** Hz. */
  readonly sampleRate: number
}

const loudness = 12_000
const wavHeadBytes = 44
const flacHeadBytes = 42
/** Samples of a FLAC frame. */
const frameSamples = 4_096

/** One channel of 16 bits. */
export function toneSamples({ number, durationMs, sampleRate }: Tone): Int16Array<ArrayBuffer> {
  const random = seededRandom(number)
  const step = (2 * Math.PI * (110 + random.below(770_000) / 1_000)) / sampleRate
  const overtone = 2 + random.below(5)
  const samples = new Int16Array(Math.round((durationMs / 1_000) * sampleRate))
  const [base, over] = [oscillator(step), oscillator(step * overtone)]
  for (let at = 0; at < samples.length; at += 1) {
    samples[at] = (loudness / 1.5) * (base() + over() / overtone) * (1 - at / samples.length)
  }
  // Two tones may sound the same; the first two samples tell them apart.
  samples.set([(number & 0x7fff) - 0x4000, (Math.floor(number / 0x8000) & 0x7fff) - 0x4000])
  return samples
}

/** Sines of 0, 1, 2 … steps, each from the two before it: much faster than by themselves. */
function oscillator(step: number): () => number {
  const factor = 2 * Math.cos(step)
  let [last, value] = [-Math.sin(step), 0]
  return () => {
    const now = value
    value = factor * now - last
    last = now
    return now
  }
}

export function wavOf(samples: Int16Array, sampleRate: number): Uint8Array {
  const file = Buffer.alloc(wavHeadBytes + 2 * samples.length)
  file.write('RIFF', 0, 'latin1')
  file.writeUInt32LE(file.length - 8, 4)
  file.write('WAVEfmt ', 8, 'latin1')
  file.writeUInt32LE(16, 16)
  file.writeUInt16LE(1, 20)
  file.writeUInt16LE(1, 22)
  file.writeUInt32LE(sampleRate, 24)
  file.writeUInt32LE(2 * sampleRate, 28)
  file.writeUInt16LE(2, 32)
  file.writeUInt16LE(16, 34)
  file.write('data', 36, 'latin1')
  file.writeUInt32LE(2 * samples.length, 40)
  littleEndian(samples).copy(file, wavHeadBytes)
  return file
}

/** Stored as it is, without compression. Source: RFC 9639 sections 8.2 and 9. */
export function flacOf(samples: Int16Array, sampleRate: number): Uint8Array {
  const head = Buffer.alloc(flacHeadBytes)
  head.write('fLaC', 0, 'latin1')
  head.writeUInt32BE(0x8000_0022, 4)
  head.writeUInt16BE(frameSamples, 8)
  head.writeUInt16BE(frameSamples, 10)
  const bits = 16n
  head.writeBigUInt64BE((BigInt(sampleRate) << 44n) | ((bits - 1n) << 36n) | BigInt(samples.length), 18)
  createHash('md5').update(littleEndian(samples)).digest().copy(head, 26)
  const frames: Uint8Array[] = [head]
  for (let at = 0; at < samples.length; at += frameSamples) {
    frames.push(flacFrame(samples.subarray(at, at + frameSamples), at / frameSamples))
  }
  return Buffer.concat(frames)
}

/** As all machines have them in memory that Everboot runs on. */
function littleEndian(samples: Int16Array): Buffer {
  return Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength)
}

function flacFrame(samples: Int16Array, index: number): Uint8Array {
  const number = codedNumber(index)
  const count = [(samples.length - 1) >>> 8, (samples.length - 1) & 0xff]
  // Fixed length, counted in 16 bits; rate as in the head; one channel of 16 bits.
  const header = Buffer.from([0xff, 0xf8, 0x70, 0x08, ...number, ...count])
  // The checksum of the header, and a subframe that holds samples as they are.
  const middle = Buffer.from([flacHeaderCrc(header, 0, header.length), 0x02])
  const body = Buffer.concat([header, middle, Buffer.from(littleEndian(samples)).swap16()])
  const footer = Buffer.alloc(2)
  footer.writeUInt16BE(body.reduce((crc, byte) => flacFrameCrc(crc, byte), 0))
  return Buffer.concat([body, footer])
}

/** As UTF-8 codes a character; frames of a clip are few. */
function codedNumber(value: number): Uint8Array {
  return new TextEncoder().encode(String.fromCodePoint(value))
}
