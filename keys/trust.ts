/**
 * What a device or bootloader trusts: the public half of a publisher's keys, one JSON file.
 * Promise: a file that is not wholly understood is refused (fail closed), a key id that is not the hash of
 * its key too.
 * Leaves to others: where the file lies; making it (key-directory.ts).
 */
import * as v from 'valibot'
import { type Fault, fault } from '../core/errors.ts'
import { fail, ok, type Result } from '../core/result.ts'
import { isDigest } from '../core/units.ts'
import { type KeyRing, keyIdOf, rawKeyOf, rsaKeyIdOf } from './public-key.ts'
import { pssVerifier } from './verify-node.ts'

const publicKey = v.strictObject({
  keytype: v.literal('ed25519'),
  scheme: v.literal('ed25519'),
  keyval: v.strictObject({ public: v.pipe(v.string(), v.check(isDigest, 'not 32 bytes in hex')) }),
})
const role = v.strictObject({
  threshold: v.pipe(v.number(), v.integer(), v.minValue(1)),
  keys: v.record(v.string(), publicKey),
})

const trustFile = v.strictObject({
  v: v.literal(1),
  /** Keys that sign manifests. */
  release: role,
  /** Keys that sign seals; bootloaders hold them, at least two by id where keys are to be rotated. */
  seal: role,
  /** Keys that sign what a skill announces; nothing else may be signed by them. */
  skill: role,
  /** RSA-2048 public keys (PEM) of the kindle profile by key id. */
  rsa: v.record(v.string(), v.pipe(v.string(), v.maxLength(4096))),
})
export type TrustFile = v.InferOutput<typeof trustFile>

export interface Trust {
  readonly release: KeyRing
  readonly seal: KeyRing
  readonly skill: KeyRing
  readonly rsa: ReadonlyMap<string, string>
}

/** @param bytes the file. @returns the keys, or EB-KEY. */
export function decodeTrust(bytes: Uint8Array, path: string): Result<Trust, Fault> {
  let document: unknown
  try {
    document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    return fail(fault('EB-KEY', `trust file ${path} is not JSON`))
  }
  const parsed = v.safeParse(trustFile, document)
  if (!parsed.success) {
    const [issue] = parsed.issues
    return fail(fault('EB-KEY', `trust file ${path}: ${v.getDotPath(issue) ?? 'document'}: ${issue.message}`))
  }
  const release = ringOf(parsed.output.release, 'release', path)
  if (!release.ok) return release
  const seal = ringOf(parsed.output.seal, 'seal', path)
  if (!seal.ok) return seal
  const skill = ringOf(parsed.output.skill, 'skill', path)
  if (!skill.ok) return skill
  const rsa = new Map(Object.entries(parsed.output.rsa))
  for (const [id, pem] of rsa) {
    if (rsaKeyIdOf(pem) !== id) {
      return fail(fault('EB-KEY', `trust file ${path}: RSA key ${id.slice(0, 8)} does not have its own id`))
    }
    if (pssVerifier(pem) === null) {
      return fail(fault('EB-KEY', `trust file ${path}: RSA key ${id.slice(0, 8)} is no good RSA key`))
    }
  }
  return ok({ release: release.value, seal: seal.value, skill: skill.value, rsa })
}

function ringOf(it: TrustFile['release'], name: string, path: string): Result<KeyRing, Fault> {
  const keys = new Map<string, Uint8Array>()
  for (const [id, key] of Object.entries(it.keys)) {
    const raw = rawKeyOf(key)
    if (raw === null || keyIdOf(key) !== id) {
      return fail(
        fault('EB-KEY', `trust file ${path}: ${name} key ${id.slice(0, 8)} does not have its own id`),
      )
    }
    keys.set(id, raw)
  }
  if (it.threshold > keys.size) {
    return fail(fault('EB-KEY', `trust file ${path}: ${name} needs ${it.threshold} of ${keys.size} keys`))
  }
  return ok({ keys, threshold: it.threshold })
}
