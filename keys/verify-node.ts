/**
 * Signature checks by node:crypto (OpenSSL): what the agent, the hub and the offline tools use.
 * Promise: one algorithm and one salt length each, never taken from the input; malformed input is `false`.
 * Leaves to others: the second implementation (@noble), which the bootloader uses.
 */
import { constants, createPublicKey, createVerify, type KeyObject, verify } from 'node:crypto'
import type { Verify } from './public-key.ts'

/** DER of an Ed25519 SubjectPublicKeyInfo before its 32 key bytes (RFC 8410). */
const ed25519Prefix = Buffer.from('302a300506032b6570032100', 'hex')

/** Ed25519 (RFC 8032). */
export const verifyEd25519: Verify = (publicKey, message, signature) => {
  if (publicKey.length !== 32 || signature.length !== 64) return false
  try {
    const der = Buffer.concat([ed25519Prefix, publicKey])
    return verify(null, message, createPublicKey({ key: der, format: 'der', type: 'spki' }), signature)
  } catch {
    return false
  }
}

/** RSA-PSS with SHA-256 and the longest salt a 2048-bit key allows, as the Kindle paper signs. */
export const pssSaltBytes = 222

/** Checks an RSA-2048-PSS-SHA-256 signature over data that comes in parts. */
export interface StreamingVerifier {
  update(part: Uint8Array): void
  /** @returns whether the signature is right; the verifier is used up. */
  verify(signature: Uint8Array): boolean
}

/** @param pem public key. @returns null when it is not an RSA key of at least 2048 bits with exponent ≥ 65537. */
export function pssVerifier(pem: string): StreamingVerifier | null {
  const key = rsaKey(pem)
  if (key === null) return null
  const verifier = createVerify('RSA-SHA256')
  return {
    update: (part) => void verifier.update(part),
    verify: (signature) =>
      verifier.verify({ key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: pssSaltBytes }, signature),
  }
}

function rsaKey(pem: string): KeyObject | null {
  try {
    const key = createPublicKey(pem)
    const details = key.asymmetricKeyDetails
    if (key.asymmetricKeyType !== 'rsa' || (details?.modulusLength ?? 0) < 2048) return null
    return (details?.publicExponent ?? 0n) >= 65537n ? key : null
  } catch {
    return null
  }
}
