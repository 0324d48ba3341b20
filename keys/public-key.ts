/**
 * Public keys in TUF's form and sets of them.
 * Promise: a key id is the SHA-256 of the canonical key; a key whose id does not match is no key; one
 * algorithm per key type, never taken from a signature.
 * Leaves to others: private keys (key-directory.ts) and verification itself (`Verify`).
 */
import { createHash } from 'node:crypto'
import { isDigest } from '../core/units.ts'
import { canonicalBytes } from './canonical.ts'

/** An Ed25519 public key as TUF 1.0 writes it; `public` is 32 bytes in hex. */
export interface PublicKey {
  readonly keytype: 'ed25519'
  readonly scheme: 'ed25519'
  readonly keyval: { readonly public: string }
}

/** True when `signature` (64 bytes) over `message` was made by `publicKey` (32 bytes). Never throws. */
export type Verify = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean

/** Keys that may sign one kind of thing, by key id, and how many of them must. */
export interface KeyRing {
  readonly keys: ReadonlyMap<string, Uint8Array>
  readonly threshold: number
}

export function publicKeyOf(raw: Uint8Array): PublicKey {
  return { keytype: 'ed25519', scheme: 'ed25519', keyval: { public: Buffer.from(raw).toString('hex') } }
}

export function keyIdOf(key: PublicKey): string {
  return createHash('sha256').update(canonicalBytes(key)).digest('hex')
}

/** The id of an RSA public key in PEM, by the same rule (TUF 1.0, `rsassa-pss-sha256`). */
export function rsaKeyIdOf(pem: string): string {
  const key = { keytype: 'rsa', scheme: 'rsassa-pss-sha256', keyval: { public: pem } }
  return createHash('sha256').update(canonicalBytes(key)).digest('hex')
}

/** The 32 bytes of a key, or null when it is not a well-formed Ed25519 key. */
export function rawKeyOf(key: PublicKey): Uint8Array | null {
  if (key.keytype !== 'ed25519' || key.scheme !== 'ed25519' || !isDigest(key.keyval.public)) return null
  return Buffer.from(key.keyval.public, 'hex')
}
