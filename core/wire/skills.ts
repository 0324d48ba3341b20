/**
 * What hub and devices say about skills and their clips: the announcement of a skill, its list, statistics.
 * Promise: what `decode…` returns has every field checked for type, range and length. The announcement is the
 * `signed` part of an envelope by the skill keys (keys/envelope.ts) and small; the list lies with the clips, under
 * the SHA-256 that the announcement names.
 * Leaves to others: signatures, order (`seq`), and what a clip really contains (audio/).
 */
import * as v from 'valibot'
import { clipLimits } from '../clip-limits.ts'
import { type Fault, fault } from '../errors.ts'
import { wireLimits } from '../limits.ts'
import { fail, ok, type Result } from '../result.ts'
import { type Digest, isDigest, safeName } from '../units.ts'

const name = v.pipe(v.string(), v.regex(safeName, 'not a safe name'))
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const positive = v.pipe(v.number(), v.safeInteger(), v.minValue(1))
const digest = v.custom<Digest>(
  (input) => typeof input === 'string' && isDigest(input),
  'not a SHA-256 in hex',
)

export const clipFormats = ['mp3', 'wav', 'ogg', 'flac'] as const
export type ClipFormat = (typeof clipFormats)[number]

export const sampleRates = [8_000, 16_000, 22_050, 44_100, 48_000] as const

/** What is known of the audio of a clip. */
export const audioSchema = v.strictObject({
  format: v.picklist(clipFormats),
  durationMs: v.pipe(positive, v.maxValue(clipLimits.durationMsMax)),
  /** Hz. */
  sampleRate: v.picklist(sampleRates),
  /** Bits per second, rounded. */
  bitRate: positive,
  channels: v.pipe(positive, v.maxValue(clipLimits.channelsMax)),
  /** As the encoder counts; null when the file does not say. */
  compressionLevel: v.nullable(v.pipe(count, v.maxValue(clipLimits.compressionLevelMax))),
})
export type Audio = v.InferOutput<typeof audioSchema>

/** BCP 47, the common part: `en`, `en-GB`, `zh-Hans-CN`. */
export const languageForm = /^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$/
export const languageSchema = v.pipe(
  v.string(),
  v.maxLength(clipLimits.languageMax),
  v.regex(languageForm, 'not a language tag such as en-GB'),
)

/** One clip of a skill. */
export const listedClip = v.strictObject({
  /** Names the clip on a device; one id belongs to one skill. */
  id: name,
  sha256: digest,
  bytes: v.pipe(positive, v.maxValue(clipLimits.clipBytesMax)),
  /** SHA-256 of each piece of 64 KiB, one after the other, base64: what comes is checked before it is played. */
  pieces: v.pipe(v.string(), v.base64()),
  audio: audioSchema,
  language: v.nullable(languageSchema),
  /** Absent: as the device is configured; 0: does not expire. */
  ttlSeconds: v.optional(count),
  /** Not evicted while there is room for it. */
  pinned: v.optional(v.boolean()),
})
export type ListedClip = v.InferOutput<typeof listedClip>

export const clipListSchema = v.strictObject({
  v: v.literal(1),
  clips: v.pipe(
    v.array(listedClip),
    v.maxLength(clipLimits.listClipsMax),
    v.check((it) => new Set(it.map(({ id }) => id)).size === it.length, 'two clips have one id'),
    v.check((it) => it.every(hasAllPieces), 'the hashes of pieces do not fit the length'),
  ),
})
export type ClipList = v.InferOutput<typeof clipListSchema>

function hasAllPieces({ bytes, pieces }: ListedClip): boolean {
  return Buffer.from(pieces, 'base64').length === pieceCount(bytes) * 32
}

/** Pieces of a clip of that many bytes. */
export function pieceCount(bytes: number): number {
  return Math.ceil(bytes / clipLimits.pieceBytes)
}

/** `skills/{id}`, retained: what is signed. */
export const announcementSchema = v.strictObject({
  _type: v.literal('everboot-skill'),
  format: v.literal(1),
  id: name,
  /** Rises with each publication: max(last + 1, ms since 1970). */
  seq: positive,
  version: v.pipe(v.string(), v.minLength(1), v.maxLength(clipLimits.versionMax)),
  /** The list of its clips; null: the skill is withdrawn. */
  list: v.nullable(
    v.strictObject({ bytes: v.pipe(positive, v.maxValue(clipLimits.listBytesMax)), sha256: digest }),
  ),
})
export type Announcement = v.InferOutput<typeof announcementSchema>

/** @param signed what an envelope by the skill keys holds. @returns EB-MESSAGE when it announces no skill. */
export function decodeAnnouncement(signed: unknown): Result<Announcement, Fault> {
  const parsed = v.safeParse(announcementSchema, signed)
  if (parsed.success) return ok(parsed.output)
  const [issue] = parsed.issues
  return fail(
    fault('EB-MESSAGE', `announcement of a skill: ${v.getDotPath(issue) ?? 'document'}: ${issue.message}`),
  )
}

/** @param bytes JSON whose hash has been compared. @returns EB-MESSAGE */
export function decodeClipList(bytes: Uint8Array): Result<ClipList, Fault> {
  return decodeDocument('list of clips', clipListSchema, bytes, clipLimits.listBytesMax)
}

/** The figures of a cache; bytes and counts since the cache was made, unless said otherwise. */
export const clipStatsSchema = v.object({
  /** On the disk now, each content once. */
  sizeBytes: count,
  maxBytes: count,
  /** Clips now, and contents that they share. */
  items: count,
  maxItems: count,
  contents: count,
  hits: count,
  misses: count,
  /** hits / (hits + misses); 0 before the first. */
  hitRate: v.pipe(v.number(), v.minValue(0), v.maxValue(1)),
  evictions: count,
  expirations: count,
  /** Bytes of all clips now by themselves, divided by the bytes on the disk; 1 when nothing is shared. */
  dedupRatio: v.pipe(v.number(), v.minValue(0)),
  /** Bytes that sharing saves on the disk now. */
  bytesSaved: count,
  /** Bytes that need not be fetched because another clip had brought them. */
  fetchSaved: count,
  fetchedBytes: count,
  /** Contents that were found damaged and fetched again. */
  damaged: count,
  memoryBytes: count,
  memoryHits: count,
  pinnedBytes: count,
  skills: v.pipe(
    v.array(v.object({ id: name, seq: count, items: count, bytes: count, hits: count, misses: count })),
    v.maxLength(clipLimits.skillsMax),
  ),
})
export type ClipStats = v.InferOutput<typeof clipStatsSchema>

/** `d/{id}/telemetry`: figures; a lost one is replaced by the next. */
const telemetrySchema = v.object({ v: v.literal(1), bootId: name, clips: v.optional(clipStatsSchema) })
export type Telemetry = v.InferOutput<typeof telemetrySchema>

export function decodeTelemetry(payload: Uint8Array): Result<Telemetry, Fault> {
  return decodeDocument('telemetry', telemetrySchema, payload, wireLimits.messageBytesMax)
}

export function encodeTelemetry(telemetry: Telemetry): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(telemetry))
}

function decodeDocument<T>(
  what: string,
  schema: v.GenericSchema<unknown, T>,
  bytes: Uint8Array,
  bytesMax: number,
): Result<T, Fault> {
  if (bytes.length > bytesMax)
    return fail(fault('EB-MESSAGE', `${what} has ${bytes.length} bytes, limit ${bytesMax}`))
  let document: unknown
  try {
    document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    return fail(fault('EB-MESSAGE', `${what} is not JSON`))
  }
  const parsed = v.safeParse(schema, document)
  if (parsed.success) return ok(parsed.output)
  const [issue] = parsed.issues
  return fail(fault('EB-MESSAGE', `${what}: ${v.getDotPath(issue) ?? 'document'}: ${issue.message}`))
}
