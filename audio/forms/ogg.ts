/**
 * A walk over an Ogg file: page after page of one stream of sound.
 * Promise: every page is whole and in its place, the first and the last are there, and each page counts as many
 * samples as its packets can hold.
 * Leaves to others: pages (ogg-page.ts), what packets hold (ogg-codec.ts).
 */
import { audioLimits, clipLimits } from '../../core/clip-limits.ts'
import { fail, ok } from '../../core/result.ts'
import { type Codec, codecOf } from './ogg-codec.ts'
import { type Page, pageAt } from './ogg-page.ts'
import type { Walk } from './walked.ts'

/** How far the walk has come. */
interface State {
  readonly codec: Codec
  /** Ended so far, those of headers among them. */
  packets: number
  /** Of the packet that goes on. */
  packetBytes: number
  head: Uint8Array
  headerBytes: number
  soundBytes: number
  /** Where the last page with a header ends. */
  headersEnd: number
  /** As the last page says that says something. */
  granule: number
  readonly granulesMax: number
  /** What the packets since then hold. */
  least: number
  most: number
}

export const walkOgg: Walk = (bytes) => {
  const first = pageAt(bytes, 0)
  if (!first.ok) return first
  const codec = codecOf(bytes.subarray(first.value.bodyAt, first.value.end))
  if (!codec.ok) return codec
  const state = startOf(codec.value)
  let at = 0
  let last = 0
  for (let count = 0; at < bytes.length; count += 1) {
    const page = pageAt(bytes, at)
    if (!page.ok) return page
    const fault =
      placeFault(page.value, first.value, count, bytes.length) ?? takePage(state, bytes, page.value)
    if (fault !== null) return fail(fault)
    last = at
    at = page.value.end
  }
  const samples = state.granule - state.codec.skipped
  return ok({
    format: 'ogg',
    sampleRate: state.codec.sampleRate,
    samples: Math.max(0, samples),
    soundBytes: state.soundBytes,
    statesBitRate: state.codec.statesBitRate,
    compressionLevel: null,
    headers: { bytes: headersOf(bytes, state.headersEnd, last), samples },
  })
}

function startOf(codec: Codec): State {
  const counted = { packets: 0, packetBytes: 0, headerBytes: 0, soundBytes: 0, headersEnd: 0 }
  const granulesMax = (codec.sampleRate / 1_000) * clipLimits.durationMsMax + codec.skipped
  return { codec, head: new Uint8Array(), ...counted, granule: 0, granulesMax, least: 0, most: 0 }
}

/** Only the last page may be marked as the last, and it must be. */
function placeFault(page: Page, first: Page, count: number, length: number): string | null {
  if (page.first !== (count === 0) || page.serial !== first.serial) return 'it holds more than one stream'
  if (page.sequence !== (first.sequence + count) % 2 ** 32) return `page ${count} is missing`
  if (page.last && page.end !== length) return 'something follows its last page'
  if (!page.last && page.end === length) return 'its last page is missing'
  return null
}

/** @returns what is wrong */
function takePage(state: State, bytes: Buffer, page: Page): string | null {
  if (page.continued !== state.packetBytes > 0) return 'a packet is torn'
  const before = state.packets
  let at = page.bodyAt
  for (const length of page.lacing) {
    if (state.packetBytes === 0) state.head = bytes.subarray(at, at + Math.min(2, length))
    state.packetBytes += length
    at += length
    if (length < 255 && !endPacket(state)) return 'a packet is damaged'
  }
  if (before < state.codec.headerPackets) state.headersEnd = page.end
  if (state.headerBytes > audioLimits.headerBytesMax) return 'there is too much in it besides the sound'
  if (page.last && state.packetBytes > 0) return 'its last packet is torn'
  return state.packets === before ? null : takeGranule(state, page)
}

function endPacket(state: State): boolean {
  const { codec, packets, packetBytes } = state
  state.packets += 1
  state.packetBytes = 0
  if (packets < codec.headerPackets) {
    state.headerBytes += packetBytes
    return true
  }
  state.soundBytes += packetBytes
  const held = codec.samplesOf(
    packetBytes === 0 ? new Uint8Array() : state.head,
    packets - codec.headerPackets,
  )
  state.least += held?.least ?? 0
  state.most += held?.most ?? 0
  return held !== null
}

/** At both ends of the sound something may be cut away. */
function takeGranule(state: State, { granule, last }: Page): string | null {
  if (granule === null) return 'a page does not say how far it goes'
  if (granule > state.granulesMax) return 'it lasts too long'
  const samples = granule - state.granule
  const least = last || state.granule === 0 ? 0 : state.least
  if (samples < least || samples > state.most) {
    return `a page claims ${samples} samples, its packets hold ${least} to ${state.most}`
  }
  state.granule = granule
  state.least = 0
  state.most = 0
  return null
}

/** Pages with headers and the last one, which says how long it is. */
function headersOf(bytes: Buffer, headersEnd: number, last: number): Buffer {
  const head = bytes.subarray(0, headersEnd)
  return last < headersEnd ? head : Buffer.concat([head, bytes.subarray(last)])
}
