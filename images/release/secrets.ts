/**
 * What a release draws by chance: its id, content keys, IVs, salts; truly random, or derived so that the same
 * inputs give the same bytes again.
 * Promise: a derived key depends on every clear input, every option and the compressor, so other bytes are
 * never sealed under the same key and nonce. Derivation: HKDF-SHA256 (RFC 5869).
 * Leaves to others: keeping the seed. Who has the seed and the clear image has the content keys.
 */
import { createHash, hkdfSync } from 'node:crypto'
import type { Entropy } from '../../core/ports.ts'
import { hex } from '../../core/units.ts'
import { canonicalBytes } from '../../keys/canonical.ts'
import { contentKeyBytes } from '../../keys/key-wrap.ts'
import { pssSaltBytes } from '../../keys/verify-node.ts'
import { cbcIvBytes } from './content-cipher.ts'

export interface ReleaseSecrets {
  /** Twelve hex digits that tell this build from others of the version. */
  readonly idSuffix: string
  /** 32 bytes. */
  contentKey(blobId: string): Uint8Array
  /** 16 bytes, of one piece in the kindle profile. */
  iv(blobId: string, piece: number): Uint8Array
  /** 222 bytes, for the RSA signature of an image. */
  salt(imageName: string): Uint8Array
}

const suffixBytes = 6

/** Another release each time. */
export function randomSecrets(entropy: Entropy): ReleaseSecrets {
  return {
    idSuffix: hex(entropy.bytes(suffixBytes)),
    contentKey: () => entropy.bytes(contentKeyBytes),
    iv: () => entropy.bytes(cbcIvBytes),
    salt: () => entropy.bytes(pssSaltBytes),
  }
}

/**
 * The same release for the same arguments.
 * @param seed of the publisher, kept secret
 * @param inputs canonical JSON of all options and of the digests of all clear images
 */
export function derivedSecrets(seed: string, inputs: unknown): ReleaseSecrets {
  const salt = createHash('sha256').update(canonicalBytes(inputs)).digest()
  const derive = (purpose: string, bytes: number): Uint8Array =>
    new Uint8Array(hkdfSync('sha256', seed, salt, `everboot ${purpose}`, bytes))
  return {
    idSuffix: hex(derive('release id', suffixBytes)),
    contentKey: (blobId) => derive(`content key\0${blobId}`, contentKeyBytes),
    iv: (blobId, piece) => derive(`iv\0${blobId}\0${piece}`, cbcIvBytes),
    salt: (imageName) => derive(`salt\0${imageName}`, pssSaltBytes),
  }
}

/** A UUID for a made filesystem, the same for the same seed and purpose. */
export function derivedUuid(seed: string, purpose: string): string {
  const bytes = new Uint8Array(hkdfSync('sha256', seed, '', `everboot uuid\0${purpose}`, 16))
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  return hex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
