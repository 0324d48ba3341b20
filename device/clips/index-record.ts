/**
 * The records of the index of the clip cache, as bytes: what contents there are, which clips refer to them.
 * Promise: what `recordOf` hands out has every name, size and time in range; a record of a kind or with a value that
 * this version does not know is passed over, so that the other slot of a board may know more.
 * Leaves to others: many records (index-records.ts), frames, seals and order (index-log.ts), what the records mean together (clip-store.ts).
 */
import { clipLimits } from '../../core/clip-limits.ts'
import { safeName } from '../../core/units.ts'
import { type Audio, clipFormats, sampleRates } from '../../core/wire/skills.ts'
import type { ByteReader, ByteWriter } from './bytes.ts'
import type { Names } from './index-names.ts'
import { noLevel } from './index-table.ts'

/** Bytes under one SHA-256 (a private one: under a name of its own), and how their file opens. */
export interface ContentRecord {
  readonly kind: 'content'
  /** Names the content in the index; never used twice. */
  readonly number: number
  /** 32 bytes as latin1 text. */
  readonly key: string
  /** 16 bytes as latin1 text. */
  readonly nonce: string
  /** The key of a private one, 32 bytes as latin1 text; null: the key of the cache. */
  readonly ownKey: string | null
  readonly bytes: number
  readonly audio: Audio
}

/** Times are by the age of the device, ms (device-age.ts); `createdMs` is since 1970, 0 where nobody knew. */
export interface ClipRecord {
  readonly kind: 'clip'
  readonly number: number
  readonly id: string
  readonly skill: string
  readonly content: number
  readonly language: string | null
  readonly pinned: boolean
  /** The hub holds it too. */
  readonly shared: boolean
  /** It came by the list of its skill, and goes when that does not name it any more. */
  readonly listed: boolean
  readonly createdMs: number
  readonly addedMs: number
  /** 0: never. */
  readonly expiresMs: number
  readonly accesses: number
  readonly lastAccessMs: number
}

export type IndexRecord =
  | ContentRecord
  | ClipRecord
  | { readonly kind: 'gone'; readonly clip: number }
  | { readonly kind: 'used'; readonly clip: number; readonly accesses: number; readonly lastAccessMs: number }
  | { readonly kind: 'pinned'; readonly clip: number; readonly pinned: boolean }
  | { readonly kind: 'shared'; readonly clip: number }
  /** The list of that skill with that number has been carried out; 0: the skill is withdrawn. */
  | { readonly kind: 'skill'; readonly skill: string; readonly seq: number }
  /** `wallMs` 0: the clock of the device was not to be trusted. */
  | { readonly kind: 'age'; readonly ageMs: number; readonly wallMs: number }
  /** So many clips and contents are told of next, about. */
  | { readonly kind: 'room'; readonly clips: number; readonly contents: number }
  | { readonly kind: 'figures'; readonly figures: readonly number[] }

/** 10 and 11 are tables (index-records.ts). */
const codes: Readonly<Record<IndexRecord['kind'], number>> = {
  content: 1,
  clip: 2,
  gone: 3,
  used: 4,
  skill: 5,
  age: 6,
  figures: 7,
  pinned: 8,
  shared: 9,
  room: 12,
}

const flag = { pinned: 1, shared: 2, language: 4, listed: 8 } as const
const ownKeyFlag = 1
const countMax = 0xffff_ffff

/** Adds a record: its kind, the length of what follows, its fields. */
export function writeRecord(to: ByteWriter, record: IndexRecord): void {
  to.u8(codes[record.kind])
  const hole = to.hole()
  writeFields(to, record)
  to.fill(hole)
}

function writeFields(to: ByteWriter, it: IndexRecord): void {
  switch (it.kind) {
    case 'content':
      writeContentRecord(to, it)
      break
    case 'clip':
      writeClip(to, it)
      break
    case 'gone':
    case 'shared':
      to.u32(it.clip)
      break
    case 'used':
      to.u32(it.clip)
      to.u32(Math.min(it.accesses, countMax))
      to.f64(it.lastAccessMs)
      break
    case 'pinned':
      to.u32(it.clip)
      to.u8(it.pinned ? 1 : 0)
      break
    case 'skill':
      to.text(it.skill)
      to.f64(it.seq)
      break
    case 'age':
      to.f64(it.ageMs)
      to.f64(it.wallMs)
      break
    case 'room':
      to.u32(it.clips)
      to.u32(it.contents)
      break
    case 'figures':
      to.u8(it.figures.length)
      for (const figure of it.figures) to.f64(figure)
  }
}

function writeContentRecord(to: ByteWriter, it: ContentRecord): void {
  const { audio, ownKey } = it
  to.u32(it.number)
  to.u8(ownKey === null ? 0 : ownKeyFlag)
  to.raw(it.key)
  to.raw(it.nonce)
  if (ownKey !== null) to.raw(ownKey)
  to.f64(it.bytes)
  to.u8(clipFormats.indexOf(audio.format))
  to.u32(audio.durationMs)
  to.u8(sampleRates.indexOf(audio.sampleRate))
  to.u32(Math.min(audio.bitRate, countMax))
  to.u8(audio.channels)
  to.u8(audio.compressionLevel ?? noLevel)
}

function writeClip(to: ByteWriter, it: ClipRecord): void {
  const { language } = it
  to.u32(it.number)
  to.u32(it.content)
  const flags = [it.pinned && flag.pinned, it.shared && flag.shared, it.listed && flag.listed]
  to.u8(flags.reduce<number>((sum, one) => sum | (one || 0), language === null ? 0 : flag.language))
  to.text(it.id)
  to.text(it.skill)
  if (language !== null) to.text(language)
  to.f64(it.createdMs)
  to.f64(it.addedMs)
  to.f64(it.expiresMs)
  to.u32(Math.min(it.accesses, countMax))
  to.f64(it.lastAccessMs)
}

/**
 * @param code of its kind. @returns null: of a kind, or with a value, that this version does not know
 * (where `from` is short it says nothing)
 */
export function recordOf(code: number, from: ByteReader, names: Names): IndexRecord | null {
  switch (code) {
    case codes.content:
      return contentOf(from)
    case codes.clip:
      return clipOf(from, names)
    case codes.gone:
      return { kind: 'gone', clip: from.u32() }
    case codes.shared:
      return { kind: 'shared', clip: from.u32() }
    case codes.used:
      return { kind: 'used', clip: from.u32(), accesses: from.u32(), lastAccessMs: from.f64() }
    case codes.pinned:
      return { kind: 'pinned', clip: from.u32(), pinned: from.u8() === 1 }
    case codes.skill:
      return skillOf(from)
    case codes.age:
      return ageOf(from)
    case codes.room:
      return { kind: 'room', clips: from.u32(), contents: from.u32() }
    case codes.figures:
      return { kind: 'figures', figures: Array.from({ length: from.u8() }, () => from.f64()) }
    default:
      return null
  }
}

function contentOf(from: ByteReader): ContentRecord | null {
  const number = from.u32()
  const own = (from.u8() & ownKeyFlag) !== 0
  const key = from.raw(32)
  const nonce = from.raw(16)
  const ownKey = own ? from.raw(32) : null
  const bytes = from.f64()
  const format = clipFormats[from.u8()]
  const durationMs = from.u32()
  const sampleRate = sampleRates[from.u8()]
  const bitRate = from.u32()
  const channels = from.u8()
  const level = from.u8()
  // A newer version may know more formats than this one.
  if (format === undefined || sampleRate === undefined) return null
  if (!Number.isSafeInteger(bytes) || bytes < 1 || bytes > clipLimits.clipBytesMax) return null
  const compressionLevel = level === noLevel ? null : level
  const audio = { format, durationMs, sampleRate, bitRate, channels, compressionLevel }
  return { kind: 'content', number, key, nonce, ownKey, bytes, audio }
}

function clipOf(from: ByteReader, names: Names): ClipRecord | null {
  const number = from.u32()
  const content = from.u32()
  const flags = from.u8()
  const id = from.text()
  const skill = names.skill(from.text())
  const hasLanguage = (flags & flag.language) !== 0
  const language = hasLanguage ? names.language(from.text()) : null
  const createdMs = from.f64()
  const addedMs = from.f64()
  const expiresMs = from.f64()
  const accesses = from.u32()
  const lastAccessMs = from.f64()
  if (skill === null || (hasLanguage && language === null) || !safeName.test(id)) return null
  return {
    kind: 'clip',
    number,
    id,
    skill,
    content,
    language,
    pinned: (flags & flag.pinned) !== 0,
    shared: (flags & flag.shared) !== 0,
    listed: (flags & flag.listed) !== 0,
    createdMs,
    addedMs,
    expiresMs,
    accesses,
    lastAccessMs,
  }
}

function skillOf(from: ByteReader): IndexRecord | null {
  const skill = from.text()
  const seq = from.f64()
  return safeName.test(skill) && Number.isSafeInteger(seq) ? { kind: 'skill', skill, seq } : null
}

function ageOf(from: ByteReader): IndexRecord | null {
  const ageMs = from.f64()
  const wallMs = from.f64()
  // The policy takes whole milliseconds only.
  return Number.isSafeInteger(ageMs) && Number.isSafeInteger(wallMs) ? { kind: 'age', ageMs, wallMs } : null
}
