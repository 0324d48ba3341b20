/**
 * A walk over a WAV file: chunk after chunk.
 * Promise: the sound is where and as long as its chunk says, in a coding that every player knows, and the numbers
 * about it fit together.
 * Source: Microsoft's and IBM's Multimedia Programming Interface 1.0, WAVEFORMATEXTENSIBLE.
 * Leaves to others: what is written about the sound (headers.ts).
 */
import { audioLimits } from '../../core/clip-limits.ts'
import { fail, ok, type Result } from '../../core/result.ts'
import type { Walk } from './walked.ts'

interface Chunk {
  readonly at: number
  readonly bytes: number
}

interface Coding {
  readonly sampleRate: number
  /** Of one sample of all channels. */
  readonly blockBytes: number
}

const headBytes = 8
const formatBytes = 16
const extensible = 0xfffe
/** Where the coding stands in the long form, and how long that is. */
const extended = { codingAt: 24, bytes: 40 } as const
/** Coding to bits per sample. */
const codings: Readonly<Record<number, readonly number[]>> = {
  1: [8, 16, 24, 32],
  3: [32, 64],
  6: [8],
  7: [8],
}

export const walkWav: Walk = (bytes) => {
  const end = headBytes + bytes.readUInt32LE(4)
  const chunks = walkChunks(bytes, end)
  if (!chunks.ok) return chunks
  const { format, data } = chunks.value
  const coding = codingOf(bytes, format)
  if (!coding.ok) return coding
  const { sampleRate, blockBytes } = coding.value
  const samples = Math.floor(data.bytes / blockBytes)
  return ok({
    format: 'wav',
    sampleRate,
    samples,
    soundBytes: data.bytes,
    statesBitRate: true,
    compressionLevel: null,
    headers: { bytes: bytes.subarray(0, end), samples },
  })
}

function walkChunks(bytes: Buffer, end: number): Result<{ format: Chunk; data: Chunk }, string> {
  const found = new Map<string, Chunk>()
  let at = 12
  let others = 0
  for (let count = 0; at + headBytes <= Math.min(end, bytes.length); count += 1) {
    const id = bytes.toString('latin1', at, at + 4)
    const chunk = { at: at + headBytes, bytes: bytes.readUInt32LE(at + 4) }
    const left = Math.min(end, bytes.length) - chunk.at
    if (chunk.bytes > left) return fail(`chunk ${nameOf(id)} claims ${chunk.bytes} bytes, there are ${left}`)
    if (found.has(id) && (id === 'fmt ' || id === 'data')) return fail(`it has two chunks ${nameOf(id)}`)
    found.set(id, chunk)
    if (id !== 'data') others += chunk.bytes
    if (count >= audioLimits.partsMax || others > audioLimits.headerBytesMax) return fail(tooMuch)
    at = chunk.at + chunk.bytes + (chunk.bytes % 2)
  }
  // The byte that fills up the last chunk may be left out.
  if (end > Math.max(at, bytes.length)) return fail(`it claims ${end} bytes, there are ${bytes.length}`)
  const [format, data] = [found.get('fmt '), found.get('data')]
  if (format === undefined || data === undefined) return fail('it has no format or no sound')
  return format.at < data.at ? ok({ format, data }) : fail('its sound comes before its format')
}

const tooMuch = 'there is too much in it besides the sound'

/** Only what can be printed. */
function nameOf(id: string): string {
  return JSON.stringify(id.replace(/[^ -~]/g, '?'))
}

function codingOf(bytes: Buffer, { at, bytes: length }: Chunk): Result<Coding, string> {
  if (length < formatBytes) return fail(`its format has ${length} bytes, expected ${formatBytes}`)
  const short = bytes.readUInt16LE(at)
  const long = short === extensible && length >= extended.bytes
  const coding = long ? bytes.readUInt16LE(at + extended.codingAt) : short
  const channels = bytes.readUInt16LE(at + 2)
  const sampleRate = bytes.readUInt32LE(at + 4)
  const bits = bytes.readUInt16LE(at + 14)
  const blockBytes = bytes.readUInt16LE(at + 12)
  if (codings[coding]?.includes(bits) !== true) return fail(`its coding is ${coding} of ${bits} bits`)
  if (
    blockBytes === 0 ||
    blockBytes !== (channels * bits) / 8 ||
    bytes.readUInt32LE(at + 8) !== blockBytes * sampleRate
  ) {
    return fail('the numbers in its format contradict each other')
  }
  return ok({ sampleRate, blockBytes })
}
