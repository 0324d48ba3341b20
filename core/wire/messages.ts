/**
 * The messages between hub and device: schemas and types.
 * Promise: what `decode…` returns has every field checked for type, range and length; unknown fields are
 * dropped, so that either side may learn new ones. `docs/PROTOCOL.md` describes them.
 * Leaves to others: order, repetition and storage.
 */
import * as v from 'valibot'
import { type ErrorCode, type Fault, fault } from '../errors.ts'
import { wireLimits } from '../limits.ts'
import { fail, ok, type Result } from '../result.ts'
import { type Digest, isDigest, safeName } from '../units.ts'

const id = v.pipe(v.string(), v.regex(safeName))
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const text = v.pipe(v.string(), v.maxLength(wireLimits.textBytesMax))
const longText = v.pipe(v.string(), v.maxLength(wireLimits.evidenceBytesMax))
const digest = v.custom<Digest>(
  (input) => typeof input === 'string' && isDigest(input),
  'not a SHA-256 in hex',
)
/** A newer agent may know codes that this hub does not: they are taken by their form, never refused. */
const code = v.custom<ErrorCode>(
  (input) => typeof input === 'string' && /^EB-[A-Z][A-Z0-9-]{0,39}$/.test(input),
  'not an error code',
)
const slot = v.picklist(['a', 'b'])
const version = v.literal(1)

/** The Kindle states by their names. */
export const updateStates = [
  'IDLE',
  'DOWNLOADING',
  'VERIFYING',
  'APPLYING',
  'REBOOTING',
  'COMPLETE',
  'ROLLBACK',
  'FAILED',
] as const
export type UpdateState = (typeof updateStates)[number]

/** Where a release lies and the content keys of this device. Paths are relative to the hub's HTTP origin. */
const assignedRelease = v.object({
  id,
  manifest: v.object({
    path: v.pipe(v.string(), v.maxLength(512), v.startsWith('/')),
    bytes: count,
    sha256: digest,
  }),
  /** Content keys wrapped for this device (RFC 3394), base64, by blob id. */
  keys: v.pipe(
    v.record(id, v.pipe(v.string(), v.maxLength(1024))),
    v.check((it) => Object.keys(it).length <= 16),
  ),
})
export type AssignedRelease = v.InferOutput<typeof assignedRelease>

/** `d/{id}/desired`, retained: the whole wish. `seq` names the attempt. */
export const desiredSchema = v.object({
  v: version,
  seq: v.pipe(count, v.minValue(1)),
  release: assignedRelease,
  /** Bytes per second the device may use for it; absent: as fast as it can. */
  throttle: v.optional(v.pipe(count, v.minValue(wireLimits.throttleBytesMin))),
  /** `later`: download and check, then wait for a word on the device; absent: go on at once. */
  activate: v.optional(v.literal('later')),
})
export type Desired = v.InferOutput<typeof desiredSchema>

/** What a device knows about a slot. */
const slotReport = v.object({
  /** Release id by the seal; null when the slot holds nothing sealed. */
  release: v.nullable(id),
  version: v.nullable(text),
  ok: v.boolean(),
  tries: count,
})
export type SlotReport = v.InferOutput<typeof slotReport>

const progress = v.object({
  bytesDone: count,
  bytesTotal: count,
  /** Bytes that came over the network for this attempt, over all its boots. */
  bytesFetched: count,
  /** Of these, bytes that had been fetched before. */
  bytesRefetched: count,
})
export type Progress = v.InferOutput<typeof progress>

export const evidenceSchema = v.object({
  check: v.optional(text),
  output: v.optional(longText),
  console: v.optional(longText),
  bootTrace: v.optional(longText),
  /** What the kernel kept of a crash (pstore), newest entry first. */
  crash: v.optional(longText),
})
export type Evidence = v.InferOutput<typeof evidenceSchema>

/** The one final report of an attempt. */
const report = v.object({
  seq: count,
  release: id,
  result: v.picklist(['ok', 'failed']),
  code: v.optional(code),
  what: v.optional(text),
  evidence: v.optional(evidenceSchema),
})
export type Report = v.InferOutput<typeof report>

/** `d/{id}/status`: a snapshot of the device; key (bootId, seq). `seq` rises over the life of the device. */
export const statusSchema = v.object({
  v: version,
  bootId: id,
  seq: v.pipe(count, v.minValue(1)),
  state: v.picklist(updateStates),
  slot,
  floor: count,
  slots: v.object({ a: slotReport, b: slotReport }),
  hardware: v.pipe(v.array(id), v.maxLength(32)),
  attempt: v.nullable(v.object({ seq: count, release: id })),
  progress: v.nullable(progress),
  /** Somebody on the device says "not now", or the operator wanted it later. */
  inhibited: v.optional(v.object({ step: v.picklist(['start', 'activate']), by: text, why: text })),
  /** Last finished attempt and its outcome. */
  finished: v.nullable(v.object({ seq: count, result: v.picklist(['ok', 'failed']) })),
  report: v.optional(report),
  /** Something that happened outside an attempt, such as EB-FELL-BACK. */
  notice: v.optional(v.object({ code, what: text, evidence: v.optional(evidenceSchema) })),
})
export type Status = v.InferOutput<typeof statusSchema>

/** `d/{id}/ack`: the hub has this status in its database. */
const ack = v.object({ v: version, bootId: id, seq: count })
export type Ack = v.InferOutput<typeof ack>

/** `d/{id}/presence`, retained, and the will. A pair (bootId, connection) older than the newest seen is void. */
const presence = v.object({ v: version, online: v.boolean(), bootId: id, connection: count })
export type Presence = v.InferOutput<typeof presence>

/** `d/{id}/cmd`: a closed list; never install, commit or exec. */
const command = v.object({
  v: version,
  id,
  command: v.picklist(['refresh', 'reboot']),
  /** Wall clock of the hub, ms since 1970; older ones are dropped. */
  expiresAtMs: count,
})
export type Command = v.InferOutput<typeof command>

function decoder<T>(
  name: string,
  schema: v.GenericSchema<unknown, T>,
): (payload: Uint8Array) => Result<T, Fault> {
  return (payload) => {
    if (payload.length > wireLimits.messageBytesMax) {
      return fail(
        fault('EB-MESSAGE', `${name} has ${payload.length} bytes, limit ${wireLimits.messageBytesMax}`),
      )
    }
    let document: unknown
    try {
      document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload))
    } catch {
      return fail(fault('EB-MESSAGE', `${name} is not JSON`))
    }
    const parsed = v.safeParse(schema, document)
    if (parsed.success) return ok(parsed.output)
    const [issue] = parsed.issues
    return fail(fault('EB-MESSAGE', `${name}: ${v.getDotPath(issue) ?? 'document'}: ${issue.message}`))
  }
}

export const decodeDesired = decoder('desired', desiredSchema)
export const decodeStatus = decoder('status', statusSchema)
export const decodeAck = decoder('ack', ack)
export const decodePresence = decoder('presence', presence)
export const decodeCommand = decoder('command', command)

/** Any message as its payload. */
export function encodeMessage(message: Desired | Status | Ack | Presence | Command): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(message))
}
