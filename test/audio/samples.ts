/**
 * Small sounds for the tests of reading: checked in as encoders made them, or laid out here to lie.
 * Leaves to others: long and spoken ones (real-audio.ts).
 */
import { readFileSync } from 'node:fs'
import { oggCrc } from '../../audio/forms/crc.ts'
import type { Audio } from '../../core/wire/skills.ts'

const directory = new URL('../vectors/audio/', import.meta.url)

/** What the encoders were asked for. */
export const known: Readonly<Record<string, Audio>> = {
  'small.wav': audio('wav', 60, 8_000, 64_000),
  'small.flac': audio('flac', 200, 8_000, 26_400),
  'tagged.mp3': { ...audio('mp3', 300, 16_000, 21_120), compressionLevel: 7 },
  'plain.mp3': audio('mp3', 504, 8_000, 8_000),
  'vorbis.ogg': audio('ogg', 300, 8_000, 14_000),
  'opus.ogg': audio('ogg', 300, 48_000, 8_480),
}

function audio(
  format: Audio['format'],
  durationMs: number,
  sampleRate: Audio['sampleRate'],
  bitRate: number,
): Audio {
  return { format, durationMs, sampleRate, bitRate, channels: 1, compressionLevel: null }
}

/** A copy that may be changed. */
export function sample(name: string): Buffer {
  return readFileSync(new URL(name, directory))
}

export interface PageParts {
  readonly flags: number
  readonly granule: bigint
  readonly serial: number
  readonly sequence: number
  readonly lacing: readonly number[]
  readonly body: Uint8Array
}

/** An Ogg page with its checksum. */
export function pageOf({ flags, granule, serial, sequence, lacing, body }: PageParts): Buffer {
  const head = Buffer.alloc(27)
  head.write('OggS', 'latin1')
  head.writeUInt8(flags, 5)
  head.writeBigUInt64LE(granule, 6)
  head.writeUInt32LE(serial, 14)
  head.writeUInt32LE(sequence, 18)
  head.writeUInt8(lacing.length, 26)
  const page = Buffer.concat([head, Buffer.from(lacing), body])
  page.writeUInt32LE(oggCrc(page, 0, page.length, 0), 22)
  return page
}

/** The pages of an Ogg file. */
export function pagesOf(file: Buffer): readonly PageParts[] {
  const pages: PageParts[] = []
  for (let at = 0; at < file.length; ) {
    const lacing = [...file.subarray(at + 27, at + 27 + file.readUInt8(at + 26))]
    const bodyAt = at + 27 + lacing.length
    const end = bodyAt + lacing.reduce((sum, it) => sum + it, 0)
    pages.push({
      flags: file.readUInt8(at + 5),
      granule: file.readBigUInt64LE(at + 6),
      serial: file.readUInt32LE(at + 14),
      sequence: file.readUInt32LE(at + 18),
      lacing,
      body: file.subarray(bodyAt, end),
    })
    at = end
  }
  return pages
}

/** A WAV file of these chunks, with the length that it has unless another is given. */
export function riff(chunks: readonly (readonly [id: string, body: Uint8Array])[], claimed?: number): Buffer {
  const parts = chunks.flatMap(([id, body]) => {
    const head = Buffer.alloc(8)
    head.write(id, 'latin1')
    head.writeUInt32LE(body.length, 4)
    return [head, body, Buffer.alloc(body.length % 2)]
  })
  const file = Buffer.concat([Buffer.from('RIFF____WAVE', 'latin1'), ...parts])
  file.writeUInt32LE(claimed ?? file.length - 8, 4)
  return file
}

export interface WaveFormat {
  readonly coding?: number
  readonly channels?: number
  readonly sampleRate?: number
  readonly bits?: number
  readonly blockBytes?: number
  readonly byteRate?: number
}

export function waveFormat(format: WaveFormat = {}): Buffer {
  const { coding = 1, channels = 1, sampleRate = 8_000, bits = 16 } = format
  const blockBytes = format.blockBytes ?? (channels * bits) / 8
  const chunk = Buffer.alloc(16)
  chunk.writeUInt16LE(coding, 0)
  chunk.writeUInt16LE(channels, 2)
  chunk.writeUInt32LE(sampleRate, 4)
  chunk.writeUInt32LE(format.byteRate ?? sampleRate * blockBytes, 8)
  chunk.writeUInt16LE(blockBytes, 12)
  chunk.writeUInt16LE(bits, 14)
  return chunk
}
