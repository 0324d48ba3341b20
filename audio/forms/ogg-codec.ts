/**
 * What lies in an Ogg file: Vorbis or Opus, and how many samples its packets hold.
 * Promise: an Opus packet says exactly how many; of a Vorbis packet is known between how many and how many.
 * Source: Vorbis I specification 4.2.2 and 4.3.8; RFC 6716 section 3; RFC 7845 sections 3 and 5.1.
 */
import { fail, ok, type Result } from '../../core/result.ts'

export interface Codec {
  readonly sampleRate: number
  /** Packets before the sound. */
  readonly headerPackets: number
  /** Samples at the beginning that are not played. */
  readonly skipped: number
  readonly statesBitRate: boolean
  /** @param head its first two bytes, or as many as it has; @param before sound packets before it */
  samplesOf(head: Uint8Array, before: number): Range | null
}

export interface Range {
  readonly least: number
  readonly most: number
}

const vorbisHeadBytes = 30
const opusHeadBytes = 19
/** The longest packet, 120 ms. */
const opusSamplesMax = 5_760
const opusRate = 48_000
/** Samples of a frame at 48 kHz by mode and length: SILK, hybrid, CELT. */
const opusFrames = {
  silk: [480, 960, 1_920, 2_880],
  hybrid: [480, 960],
  celt: [120, 240, 480, 960],
} as const

/** @param packet the first one */
export function codecOf(packet: Buffer): Result<Codec, string> {
  const starts = (text: string): boolean => packet.toString('latin1', 0, text.length) === text
  if (starts('OpusHead')) return opus(packet)
  if (starts('\x01vorbis')) return vorbis(packet)
  const other = packet.toString('latin1', 0, 8).replace(/[^!-~]/g, '')
  return fail(`what it holds is not Vorbis or Opus but ${JSON.stringify(other)}`)
}

function vorbis(packet: Buffer): Result<Codec, string> {
  if (packet.length < vorbisHeadBytes || packet.readUInt32LE(7) !== 0)
    return fail('it is of an unknown Vorbis')
  const sizes = packet.readUInt8(28)
  const [short, long] = [sizes & 15, sizes >>> 4]
  if (short < 6 || long > 13 || short > long)
    return fail('the numbers in its Vorbis header contradict each other')
  // Each packet gives a quarter of its own and of the last one's length, the first none.
  const range = { least: 2 ** (short - 1), most: 2 ** (long - 1) }
  const nothing = { least: 0, most: 0 }
  return ok({
    sampleRate: packet.readUInt32LE(12),
    headerPackets: 3,
    skipped: 0,
    statesBitRate: packet.readInt32LE(20) > 0,
    samplesOf: (head, before) => (before === 0 || head.length === 0 ? nothing : range),
  })
}

function opus(packet: Buffer): Result<Codec, string> {
  if (packet.length < opusHeadBytes || packet.readUInt8(8) >>> 4 !== 0)
    return fail('it is of an unknown Opus')
  return ok({
    sampleRate: opusRate,
    headerPackets: 2,
    skipped: packet.readUInt16LE(10),
    statesBitRate: false,
    samplesOf: opusSamples,
  })
}

/** The first byte says how its frames were made and, up to two, how many there are; else the second one does. */
function opusSamples(head: Uint8Array): Range | null {
  const [first, second] = [head[0], head[1] ?? 0]
  if (first === undefined) return null
  const count = (first & 3) === 0 ? 1 : (first & 3) === 3 ? second & 63 : 2
  const samples = frameSamples(first >>> 3) * count
  return samples === 0 || samples > opusSamplesMax ? null : { least: samples, most: samples }
}

function frameSamples(configuration: number): number {
  if (configuration < 12) return opusFrames.silk[configuration & 3] ?? 0
  if (configuration < 16) return opusFrames.hybrid[configuration & 1] ?? 0
  return opusFrames.celt[configuration & 3] ?? 0
}
