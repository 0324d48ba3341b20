/**
 * Ed25519 by @noble/curves: the second, independent implementation, used by the bootloader so that one
 * flaw in a crypto library does not open both the agent and the loader.
 * Promise: strict RFC 8032: S < L, canonical encodings, no key of small order; malformed input is `false`.
 * Leaves to others: which keys are trusted.
 */
import { ed25519 } from '@noble/curves/ed25519.js'
import type { Verify } from '../keys/public-key.ts'

export const verifyNoble: Verify = (publicKey, message, signature) => {
  if (publicKey.length !== 32 || signature.length !== 64) return false
  try {
    return ed25519.verify(signature, message, publicKey, { zip215: false })
  } catch {
    return false
  }
}
