/**
 * What the API is asked: bodies and query strings by schema.
 * Promise: unknown keys are refused, every text and list has a limit.
 * Leaves to others: acting on it (routes/).
 */
import * as v from 'valibot'
import { clipLimits, hubClipLimits } from '../../core/clip-limits.ts'
import { raise } from '../../core/errors.ts'
import { hubLimits, wireLimits } from '../../core/limits.ts'
import { type Digest, isDigest, safeName } from '../../core/units.ts'
import { challengeBytes } from '../clips/challenges.ts'

const id = v.pipe(v.string(), v.regex(safeName, 'not a safe name'))
const digits = v.pipe(v.string(), v.regex(/^\d{1,9}$/, 'not a number'), v.transform(Number))

export const addDeviceBody = v.strictObject({ id, renew: v.optional(v.boolean(), false) })

export const rolloutBody = v.strictObject({
  /** A release id or `product@version`. */
  release: v.pipe(v.string(), v.maxLength(160)),
  devices: v.union([
    v.literal('all'),
    v.pipe(v.array(id), v.minLength(1), v.maxLength(hubLimits.devicesMax)),
  ]),
  /** Bytes a second. */
  throttle: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(wireLimits.throttleBytesMin))),
  /** The new system waits for a word on each device. */
  activate: v.optional(v.literal('later')),
  dryRun: v.optional(v.boolean(), false),
})

const digest = v.custom<Digest>(
  (input) => typeof input === 'string' && isDigest(input),
  'not a SHA-256 in hex',
)
const base64 = v.pipe(v.string(), v.base64('not base64'))

export const haveBody = v.strictObject({
  sha256: v.pipe(v.array(digest), v.minLength(1), v.maxLength(hubClipLimits.haveMax)),
})

export const claimBody = v.strictObject({
  clip: id,
  challenge: v.pipe(v.string(), v.length(2 * challengeBytes), v.regex(/^[0-9a-f]*$/, 'not hex')),
  /** SHA-256(challenge bytes ‖ content). */
  proof: digest,
})

export const clipQuery = v.strictObject({ clip: id })

export const clipPath = v.strictObject({ sha256: digest })

export const skillBody = v.strictObject({
  envelope: v.pipe(base64, v.maxLength(2 * wireLimits.messageBytesMax)),
  /** Absent when the skill is withdrawn. */
  list: v.optional(v.pipe(base64, v.maxLength(2 * clipLimits.listBytesMax))),
})

/** From the newest: `before` is the number of the last one of the page before. */
export const telemetryQuery = v.strictObject({
  before: v.optional(v.pipe(v.string(), v.regex(/^\d{1,15}$/, 'not a number'), v.transform(Number))),
  limit: v.optional(
    v.pipe(digits, v.minValue(1), v.maxValue(hubClipLimits.telemetryPage)),
    String(hubClipLimits.telemetryPage),
  ),
})

/** Lists come in pages: `after` is the last id of the page before. */
export const pageQuery = v.strictObject({
  after: v.optional(v.pipe(v.string(), v.maxLength(64)), ''),
  limit: v.optional(v.pipe(digits, v.minValue(1), v.maxValue(hubLimits.pageMax)), String(hubLimits.pageMax)),
})

/** @throws EverbootError EB-MESSAGE */
export function readAs<T>(schema: v.GenericSchema<unknown, T>, value: unknown, what: string): T {
  const parsed = v.safeParse(schema, value ?? {})
  if (parsed.success) return parsed.output
  const [issue] = parsed.issues
  raise('EB-MESSAGE', `${what}: ${v.getDotPath(issue) ?? 'document'}: ${issue.message}`, {
    todo: 'correct the request',
  })
}

/** One page of a sorted list of things with an id. */
export function pageOf<T extends { readonly id: string }>(
  all: readonly T[],
  page: { readonly after: string; readonly limit: number },
): { readonly items: readonly T[]; readonly next: string | null } {
  const items = all.filter((it) => it.id > page.after).slice(0, page.limit)
  const last = items.at(-1)
  const more = last !== undefined && (all.at(-1)?.id ?? '') > last.id
  return { items, next: more ? last.id : null }
}
