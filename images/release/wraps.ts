/**
 * Key wraps: the content keys of a release, wrapped for named devices, in an envelope signed by the release
 * key. The optional fourth part of an `.ebr`.
 * Promise: wraps are handed out only when signed, for this release and its blobs, one for each device and blob.
 * Leaves to others: the wrap itself (keys/key-wrap.ts) and who gets which.
 */
import * as v from 'valibot'
import { type Fault, fault } from '../../core/errors.ts'
import { releaseLimits } from '../../core/limits.ts'
import { fail, ok, type Result } from '../../core/result.ts'
import { safeName } from '../../core/units.ts'
import { openEnvelope, type Signer, signEnvelope } from '../../keys/envelope.ts'
import { wrapKey, wrappedKeyBytes } from '../../keys/key-wrap.ts'
import type { KeyRing, Verify } from '../../keys/public-key.ts'
import type { Manifest } from './manifest.ts'

const name = v.pipe(v.string(), v.regex(safeName))
const wrapForm = v.pipe(v.string(), v.regex(/^[A-Za-z0-9+/]{54}==$/, 'not 40 bytes in base64'))

const document = v.strictObject({
  _type: v.literal('everboot-wraps'),
  format: v.literal(1),
  release: name,
  wraps: v.pipe(
    v.array(v.strictObject({ device: name, blob: name, key: wrapForm })),
    v.maxLength(releaseLimits.wrapsMax),
  ),
})

/** Wrapped keys of one device by blob id; base64 of 40 bytes. */
export type DeviceWraps = ReadonlyMap<string, string>

/**
 * @param keys content keys by blob id; @param wrappingKeys of the devices by id, 32 bytes each
 * @returns the signed part
 */
export function encodeWraps(
  releaseId: string,
  keys: ReadonlyMap<string, Uint8Array>,
  wrappingKeys: ReadonlyMap<string, Uint8Array>,
  signer: Signer,
): Uint8Array {
  const wraps: v.InferOutput<typeof document>['wraps'] = []
  for (const device of [...wrappingKeys.keys()].sort()) {
    for (const [blob, key] of keys) {
      const wrapped = wrapKey(wrappingKeys.get(device) ?? new Uint8Array(0), key)
      wraps.push({ device, blob, key: Buffer.from(wrapped).toString('base64') })
    }
  }
  return signEnvelope({ _type: 'everboot-wraps', format: 1, release: releaseId, wraps }, [signer])
}

/** @returns the wraps by device, or the fault of the envelope, or EB-MANIFEST */
export function openWraps(
  bytes: Uint8Array,
  manifest: Manifest,
  ring: KeyRing,
  verify: Verify,
): Result<ReadonlyMap<string, DeviceWraps>, Fault> {
  const opened = openEnvelope(bytes, releaseLimits.wrapsBytesMax, ring, verify, 'the key wraps')
  if (!opened.ok) return opened
  const bad = (what: string): Result<never, Fault> => fail(fault('EB-MANIFEST', `the key wraps: ${what}`))
  const parsed = v.safeParse(document, opened.value)
  if (!parsed.success) {
    const [issue] = parsed.issues
    return bad(`${v.getDotPath(issue) ?? 'document'}: ${issue.message}`)
  }
  const { release, wraps } = parsed.output
  if (release !== manifest.id) return bad(`for release ${release}, not ${manifest.id}`)
  const blobs = new Set(manifest.blobs.map((it) => it.id))
  const devices = new Map<string, Map<string, string>>()
  for (const { device, blob, key } of wraps) {
    if (!blobs.has(blob)) return bad(`for blob ${blob}, which the release does not have`)
    if (Buffer.from(key, 'base64').length !== wrappedKeyBytes) return bad(`key of ${device}`)
    const own = devices.get(device) ?? new Map<string, string>()
    if (own.has(blob)) return bad(`device ${device} has two for blob ${blob}`)
    devices.set(device, own.set(blob, key))
  }
  return ok(devices)
}
