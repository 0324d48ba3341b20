/**
 * Private keys of the publisher at work: Ed25519 for manifests and seals, RSA-PSS for the kindle profile.
 * Promise: a key of another kind or size is refused (EB-KEY); the private half never leaves the signer.
 * Leaves to others: where the PEM files lie (adapters/key-directory.ts) and checking (verify-node.ts).
 */
import {
  constants,
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  privateEncrypt,
  sign,
} from 'node:crypto'
import { assert, present } from '../core/assert.ts'
import { type Fault, fault } from '../core/errors.ts'
import { fail, ok, type Result } from '../core/result.ts'
import type { Signer } from './envelope.ts'
import { keyIdOf, type PublicKey, publicKeyOf, rsaKeyIdOf } from './public-key.ts'
import { pssSaltBytes } from './verify-node.ts'

/** An Ed25519 signer that knows its public half. */
export interface KeySigner extends Signer {
  readonly publicKey: PublicKey
}

/** Makes RSA-2048-PSS-SHA-256 signatures over digests. */
export interface PssSigner {
  readonly keyId: string
  readonly publicPem: string
  /**
   * @param sha256 32 bytes, of the message
   * @param salt 222 bytes; random, or derived where the output must be reproducible
   * @returns 256 bytes
   */
  sign(sha256: Uint8Array, salt: Uint8Array): Uint8Array
}

/** @param pem PKCS#8; @param path names the file in the fault. @returns EB-KEY for anything but Ed25519. */
export function ed25519Signer(pem: string, path: string): Result<KeySigner, Fault> {
  const key = privateKey(pem)
  if (key === null) return fail(fault('EB-KEY', `${path} is not a private key in PEM`))
  if (key.asymmetricKeyType !== 'ed25519') {
    return fail(fault('EB-KEY', `${path} holds a key of type ${key.asymmetricKeyType}, not ed25519`))
  }
  const { x } = createPublicKey(key).export({ format: 'jwk' })
  const publicKey = publicKeyOf(Buffer.from(present(x, 'public half'), 'base64url'))
  return ok({ publicKey, keyId: keyIdOf(publicKey), sign: (message) => sign(null, message, key) })
}

/** @param pem PKCS#8; @param path names the file in the fault. @returns EB-KEY for anything but RSA-2048, e = 65537. */
export function pssSigner(pem: string, path: string): Result<PssSigner, Fault> {
  const key = privateKey(pem)
  if (key === null) return fail(fault('EB-KEY', `${path} is not a private key in PEM`))
  const { modulusLength, publicExponent } = key.asymmetricKeyDetails ?? {}
  if (key.asymmetricKeyType !== 'rsa' || modulusLength !== 2048 || publicExponent !== 65537n) {
    const size = modulusLength === undefined ? '' : ` of ${modulusLength} bits`
    return fail(fault('EB-KEY', `${path} holds a key of type ${key.asymmetricKeyType}${size}, not RSA-2048`))
  }
  const publicPem = createPublicKey(key).export({ type: 'spki', format: 'pem' }) as string
  return ok({
    keyId: rsaKeyIdOf(publicPem),
    publicPem,
    sign: (sha256, salt) =>
      privateEncrypt({ key, padding: constants.RSA_NO_PADDING }, pssEncode(sha256, salt)),
  })
}

const encodedBytes = 256
const hashBytes = 32

/**
 * EMSA-PSS for 2048-bit keys, SHA-256, MGF1-SHA-256 (RFC 8017, section 9.1.1). Done here because Node takes
 * no salt from outside, which a reproducible release needs.
 */
function pssEncode(messageHash: Uint8Array, salt: Uint8Array): Uint8Array {
  assert(messageHash.length === hashBytes && salt.length === pssSaltBytes, 'PSS takes SHA-256 and 222 bytes')
  const hash = sha256(new Uint8Array(8), messageHash, salt)
  const block = new Uint8Array(encodedBytes - hashBytes - 1)
  block[block.length - salt.length - 1] = 1
  block.set(salt, block.length - salt.length)
  for (let at = 0, counter = 0; at < block.length; at += hashBytes, counter += 1) {
    const mask = sha256(hash, Uint8Array.of(0, 0, 0, counter))
    for (let index = 0; index < hashBytes && at + index < block.length; index += 1) {
      block[at + index] = (block[at + index] ?? 0) ^ (mask[index] ?? 0)
    }
  }
  // The encoded message has 2047 bits: its first bit is zero.
  block[0] = (block[0] ?? 0) & 0x7f
  return Buffer.concat([block, hash, Uint8Array.of(0xbc)])
}

function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

function privateKey(pem: string): KeyObject | null {
  try {
    return createPrivateKey(pem)
  } catch {
    return null
  }
}
