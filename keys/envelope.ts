/**
 * Signed metadata of TUF's shape: `{"signatures":[{"keyid","sig"}],"signed":{…}}` in canonical JSON.
 * Promise: nothing of `signed` is handed out before a threshold of *distinct* trusted keys has signed
 * exactly these bytes. Source: TUF specification 1.0.34, section 4.2 and 5.
 * Leaves to others: what `signed` means; its schema is checked afterwards.
 */
import { type Fault, fault } from '../core/errors.ts'
import { releaseLimits } from '../core/limits.ts'
import { fail, ok, type Result } from '../core/result.ts'
import { canonicalBytes, parseCanonical } from './canonical.ts'
import type { KeyRing, Verify } from './public-key.ts'

/** Makes one signature; the private key stays inside. */
export interface Signer {
  readonly keyId: string
  /** @returns 64 bytes */
  sign(message: Uint8Array): Uint8Array
}

/** @returns the bytes of the envelope */
export function signEnvelope(signed: unknown, signers: readonly Signer[]): Uint8Array {
  const message = canonicalBytes(signed)
  const signatures = signers.map((it) => ({
    keyid: it.keyId,
    sig: Buffer.from(it.sign(message)).toString('hex'),
  }))
  return canonicalBytes({ signatures, signed })
}

/**
 * @param what names the document in the fault
 * @returns the `signed` part, or EB-ENDLESS, EB-ENVELOPE, EB-UNKNOWN-KEY (none of the keys is trusted),
 *   EB-SIGNATURE (a trusted key's signature is wrong), EB-THRESHOLD (too few)
 */
export function openEnvelope(
  bytes: Uint8Array,
  bytesMax: number,
  ring: KeyRing,
  verify: Verify,
  what: string,
): Result<unknown, Fault> {
  if (!Number.isInteger(ring.threshold) || ring.threshold < 1 || ring.threshold > ring.keys.size) {
    return fail(fault('EB-THRESHOLD', `threshold ${ring.threshold} with ${ring.keys.size} trusted keys`))
  }
  const parsed = parseCanonical(bytes, bytesMax, what)
  if (!parsed.ok) return parsed
  const envelope = shapeOf(parsed.value)
  if (envelope === null) return fail(fault('EB-ENVELOPE', `${what} is not a signed envelope`))
  const message = canonicalBytes(envelope.signed)
  const good = new Set<string>()
  let known = 0
  for (const { keyid, sig } of envelope.signatures) {
    const key = ring.keys.get(keyid)
    if (key === undefined) continue
    known += 1
    if (!verify(key, message, Buffer.from(sig, 'hex'))) {
      return fail(fault('EB-SIGNATURE', `${what}: the signature of key ${keyid.slice(0, 8)} does not match`))
    }
    good.add(Buffer.from(key).toString('hex'))
  }
  if (known === 0) {
    const seen = envelope.signatures.map((it) => it.keyid.slice(0, 8)).join(', ')
    return fail(fault('EB-UNKNOWN-KEY', `${what} is signed by ${seen || 'nobody'}, none of them trusted`))
  }
  if (good.size < ring.threshold) {
    return fail(fault('EB-THRESHOLD', `${what} has ${good.size} of ${ring.threshold} signatures`))
  }
  return ok(envelope.signed)
}

interface Envelope {
  readonly signatures: readonly { readonly keyid: string; readonly sig: string }[]
  readonly signed: unknown
}

const signatureForm = /^[0-9a-f]{128}$/
const keyIdForm = /^[0-9a-f]{64}$/

function shapeOf(value: unknown): Envelope | null {
  if (!isObject(value) || !hasKeys(value, ['signatures', 'signed'])) return null
  const { signatures, signed } = value
  if (!Array.isArray(signatures) || signatures.length > releaseLimits.signaturesMax || !isObject(signed)) {
    return null
  }
  const list: { keyid: string; sig: string }[] = []
  for (const entry of signatures as readonly unknown[]) {
    if (!isObject(entry) || !hasKeys(entry, ['keyid', 'sig'])) return null
    const { keyid, sig } = entry
    if (typeof keyid !== 'string' || typeof sig !== 'string') return null
    if (!keyIdForm.test(keyid) || !signatureForm.test(sig)) return null
    if (list.some((it) => it.keyid === keyid)) return null
    list.push({ keyid, sig })
  }
  return { signatures: list, signed }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function hasKeys(value: Record<string, unknown>, keys: readonly string[]): boolean {
  return Object.keys(value).length === keys.length && keys.every((it) => Object.hasOwn(value, it))
}
