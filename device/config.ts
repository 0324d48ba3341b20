/**
 * The configuration of an agent: the system's file in the image, and the identity of the device on the data
 * partition.
 * Promise: an unknown key, a wrong type or an impossible value is refused with its place named; secrets never
 * show in messages.
 * Leaves to others: reading the files (main.ts).
 */
import * as v from 'valibot'
import { cacheLimits, clipLimits } from '../core/clip-limits.ts'
import { type Fault, fault } from '../core/errors.ts'
import { releaseLimits, trialLimits } from '../core/limits.ts'
import { fail, ok, type Result } from '../core/result.ts'
import { blockBytes, safeName } from '../core/units.ts'

const path = v.pipe(v.string(), v.startsWith('/', 'not an absolute path'), v.maxLength(4096))
const id = v.pipe(v.string(), v.regex(safeName, 'not a safe name'))
const aligned = v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.multipleOf(blockBytes))
const durationMs = v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(86_400_000))
const program = v.pipe(v.array(v.string()), v.minLength(1))

const device = v.strictObject({ device: path, offset: v.optional(aligned), bytes: v.optional(aligned) })
const bootPartition = v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(9))
const partitions = v.pipe(
  v.record(id, device),
  v.check(
    (it) => Object.keys(it).length >= 1 && Object.keys(it).length <= releaseLimits.imagesMax,
    'no partitions',
  ),
)
const check = v.union([
  v.strictObject({
    name: id,
    probe: v.pipe(v.string(), v.regex(/^(http:\/\/[^/\s]+|unix:\/[^:]+:\/)/, 'not a probe')),
  }),
  v.strictObject({ name: id, program }),
])

const whole = (least: number, most: number) =>
  v.pipe(v.number(), v.safeInteger(), v.minValue(least), v.maxValue(most))
const lifetimeSeconds = whole(0, cacheLimits.ttlMsMax / 1000)

const clipsSchema = v.strictObject({
  /** On the data partition; nothing else lies there. */
  directory: path,
  /** Where clips are served: a Unix socket, or a port of this machine alone. */
  socket: v.optional(path),
  port: v.optional(whole(1, 65_535)),
  /** Of mode 0600: who shows the token in it may change clips over the port; absent: nobody. */
  tokenFile: v.optional(path),
  /** Bytes of contents on the medium, and clips. */
  bytes: v.optional(whole(1, cacheLimits.bytesMax), cacheLimits.bytes),
  items: v.optional(whole(1, cacheLimits.itemsMax), cacheLimits.items),
  /** Until a clip expires that does not say otherwise; 0: never. */
  ttlSeconds: v.optional(lifetimeSeconds, cacheLimits.ttlMs / 1000),
  /** An expired clip is served for so long while it is renewed. */
  staleSeconds: v.optional(lifetimeSeconds, 0),
  memoryBytes: v.optional(whole(0, cacheLimits.memoryBytesMax), cacheLimits.memoryBytes),
  /** Left free on the data partition for updates. */
  reserveBytes: v.optional(whole(0, cacheLimits.bytesMax), cacheLimits.reserveBytes),
  /** Bytes for the clips of a skill: of each, and of some. */
  quotaBytes: v.optional(whole(1, cacheLimits.bytesMax)),
  quotas: v.optional(v.record(id, whole(1, cacheLimits.bytesMax)), {}),
  /** Absent: every skill that the hub announces. */
  skills: v.optional(v.pipe(v.array(id), v.maxLength(clipLimits.skillsMax))),
})
export type ClipsConfig = v.InferOutput<typeof clipsSchema>

const systemSchema = v.strictObject({
  v: v.literal(1),
  identity: path,
  trust: path,
  /** Directory of journal and kept manifest. */
  data: path,
  product: id,
  hardware: v.pipe(v.array(id), v.minLength(1), v.maxLength(releaseLimits.hardwareIdsMax)),
  handOver: path,
  socket: path,
  boot: device,
  slots: v.strictObject({ a: partitions, b: partitions }),
  watchdog: v.nullable(path),
  reboot: v.union([
    /** `trial`: what sets the firmware's one-shot flag, such as `reboot "0 tryboot"`. */
    v.strictObject({ command: program, trial: v.optional(program) }),
    v.strictObject({ file: path }),
  ]),
  /** A Raspberry Pi: where autoboot.txt lies, boot partitions of the slots, the firmware's facts about this boot. */
  tryboot: v.optional(
    v.strictObject({
      autoboot: device,
      partitions: v.strictObject({ a: bootPartition, b: bootPartition }),
      flags: path,
    }),
  ),
  lastConsole: v.nullable(path),
  bootTrace: v.nullable(path),
  /** Where the kernel's records of crashes lie; sent after a fallback, then removed. */
  pstore: v.optional(v.pipe(v.array(path), v.maxLength(8)), []),
  hooks: v.nullable(path),
  /** Who says "not now": any file in the directory holds the activation, or already the start, of an update. */
  inhibit: v.optional(
    v.strictObject({ directory: path, step: v.optional(v.picklist(['start', 'activate']), 'activate') }),
    {
      directory: '/run/everboot/inhibit',
    },
  ),
  health: v.strictObject({
    deadlineMs: v.optional(durationMs, trialLimits.deadlineMs),
    networkDeadlineMs: v.optional(durationMs, trialLimits.networkDeadlineMs),
    checks: v.pipe(v.array(check), v.maxLength(32)),
  }),
  rebootDelayMs: v.optional(durationMs, trialLimits.rebootDelayMs),
  /** The audio-clip cache; absent: the device has none. */
  clips: v.optional(clipsSchema),
})
export type SystemConfig = v.InferOutput<typeof systemSchema>

const origin = v.pipe(v.string(), v.regex(/^https?:\/\/[^/\s]+$/, 'not an origin like https://hub:8443'))
const identitySchema = v.strictObject({
  v: v.literal(1),
  deviceId: id,
  mqtt: v.pipe(v.string(), v.regex(/^mqtts?:\/\/[^/\s]+$/, 'not a broker like mqtts://hub:8883')),
  http: origin,
  /** PEM of the CA that the hub's certificate must come from; empty for plain ports. */
  ca: v.string(),
  token: v.string(),
  /** AES-256 key that content keys are wrapped for. */
  wrappingKey: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'not 64 hex digits')),
})
export type Identity = v.InferOutput<typeof identitySchema>

/** @returns the configuration, or EB-CONFIG */
export function decodeSystemConfig(bytes: Uint8Array, name: string): Result<SystemConfig, Fault> {
  const decoded = decode(systemSchema, bytes, name)
  if (!decoded.ok) return decoded
  const { a, b } = decoded.value.slots
  const same = Object.keys(a).join() === Object.keys(b).join()
  if (!same) return fail(fault('EB-CONFIG', `${name}: slots a and b have different partitions`))
  const wrong = trybootFault(decoded.value)
  return wrong === null ? decoded : fail(fault('EB-CONFIG', `${name}: ${wrong}`))
}

/** @returns in words what keeps a board from being started by tryboot, or null */
function trybootFault({ tryboot, reboot }: SystemConfig): string | null {
  if (tryboot === undefined) return null
  if (tryboot.partitions.a === tryboot.partitions.b) return 'tryboot.partitions: both slots have the same'
  const trial = 'command' in reboot ? reboot.trial : undefined
  return trial === undefined ? 'reboot.trial is missing, which tryboot needs' : null
}

/** @returns the identity, or EB-CONFIG */
export function decodeIdentity(bytes: Uint8Array, name: string): Result<Identity, Fault> {
  const decoded = decode(identitySchema, bytes, name)
  if (!decoded.ok) return decoded
  const { mqtt, http, ca } = decoded.value
  const secure = mqtt.startsWith('mqtts:') || http.startsWith('https:')
  // Without a CA to pin, any certificate that the system trusts would do.
  if (!secure || ca.includes('-----BEGIN CERTIFICATE-----')) return decoded
  return fail(fault('EB-CONFIG', `${name}: ca holds no certificate, which ${mqtt} and ${http} need`))
}

function decode<T>(schema: v.GenericSchema<unknown, T>, bytes: Uint8Array, name: string): Result<T, Fault> {
  let document: unknown
  try {
    document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    return fail(fault('EB-CONFIG', `${name} is not JSON`))
  }
  const parsed = v.safeParse(schema, document)
  if (parsed.success) return ok(parsed.output)
  const [issue] = parsed.issues
  const where = v.getDotPath(issue) ?? 'document'
  // The message of the library would quote the value, which may be a secret.
  const why =
    issue.type === 'strict_object' ? 'is not a known key, or is missing' : `is wrong (${issue.type})`
  return fail(fault('EB-CONFIG', `${name}: ${where} ${why}`))
}
