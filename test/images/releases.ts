/**
 * Releases in memory for tests: small images, fixed keys, every file at hand to be damaged.
 */
import { hash, randomBytes } from 'node:crypto'
import { orThrow } from '../../core/errors.ts'
import { memorySource } from '../../images/release/byte-source.ts'
import { openContainer, writeContainer } from '../../images/release/container.ts'
import type { Manifest } from '../../images/release/manifest.ts'
import { compressPiece } from '../../images/release/piece.ts'
import type { Release } from '../../images/release/reader.ts'
import { derivedSecrets, type ReleaseSecrets } from '../../images/release/secrets.ts'
import { encodeWraps } from '../../images/release/wraps.ts'
import { type ReleaseOptions, writeRelease } from '../../images/release/writer.ts'
import { pssSigner } from '../../keys/signer.ts'
import type { Trust } from '../../keys/trust.ts'
import { verifyEd25519 } from '../../keys/verify-node.ts'
import { ringOf, testSigner } from '../keys/signers.ts'

export const releaseSigner = testSigner('release')
export const sealSigner = testSigner('seal')
/** Made anew for each run: a checked-in private key would be copied somewhere. */
export const rsaSigner = orThrow(
  pssSigner(
    process
      .getBuiltinModule('node:crypto')
      .generateKeyPairSync('rsa', { modulusLength: 2048 })
      .privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    'test RSA key',
  ),
)
export const trust: Trust = {
  release: ringOf([releaseSigner]),
  seal: ringOf([sealSigner, testSigner('seal-2')]),
  skill: ringOf([testSigner('skill')]),
  rsa: new Map([[rsaSigner.keyId, rsaSigner.publicPem]]),
}
export const wrappingKeys: ReadonlyMap<string, Uint8Array> = new Map([
  ['dev-1', hash('sha256', 'wrapping key 1', 'buffer')],
  ['dev-2', hash('sha256', 'wrapping key 2', 'buffer')],
])

export const standard: ReleaseOptions = {
  product: 'demo',
  version: '1.2.3',
  securityVersion: 7,
  floorAfterCommit: null,
  hardware: ['sim', 'board.rev-2'],
  profile: 'standard',
  suite: 'chacha20-poly1305',
  pieceBytes: 4096,
  level: 3,
}
export const kindle: ReleaseOptions = {
  ...standard,
  profile: 'kindle',
  suite: 'aes-256-cbc',
  pieceBytes: 8192,
  level: 0,
}

export interface MadeRelease {
  readonly manifest: Manifest
  /** By file name. */
  readonly files: ReadonlyMap<string, Uint8Array>
  readonly keys: ReadonlyMap<string, Uint8Array>
  /** The `.ebr` with wraps for dev-1 and dev-2. */
  readonly container: Uint8Array
  readonly image: Uint8Array
}

/** An image with one piece of each kind: compressible, zeros, random; the last one short. */
export function smallImage(bytes = 4096 * 4 - 100): Uint8Array {
  const image = randomBytes(bytes)
  image.fill('compressible ', 0, 4096)
  image.fill(0, 4096, 8192)
  return image
}

export async function make(
  options: ReleaseOptions,
  image: Uint8Array = smallImage(),
  secrets: ReleaseSecrets = derivedSecrets('seed', { options, image: hash('sha256', image) }),
): Promise<MadeRelease> {
  const files = new Map<string, Uint8Array>()
  const made = await writeRelease(options, [{ name: 'rootfs', source: memorySource(image, 'image') }], {
    secrets,
    compress: async (raw, level) => compressPiece(raw, level),
    files: {
      async create(name) {
        const parts: Uint8Array[] = []
        return {
          write: async (bytes) => void parts.push(bytes.slice()),
          finish: async () => void files.set(name, Buffer.concat(parts)),
        }
      },
    },
    releaseSigner,
    sealSigner,
    rsaSigner,
    progress: () => {},
  })
  const wraps = encodeWraps(made.manifest.id, made.keys, wrappingKeys, releaseSigner)
  return { ...made, files, container: await pack(files, wraps), image }
}

/** Packs the files of a release with one image. */
export async function pack(
  files: ReadonlyMap<string, Uint8Array>,
  wraps: Uint8Array | null,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  const source = (name: string) => memorySource(files.get(name) ?? new Uint8Array(0), name)
  await writeContainer(
    {
      manifest: source('manifest.json'),
      indexes: [source('rootfs.index')],
      blobs: [source('rootfs.blob')],
      wraps: wraps === null ? null : memorySource(wraps, 'key wraps'),
    },
    { write: async (bytes) => void parts.push(bytes.slice()) },
  )
  return Buffer.concat(parts)
}

/** @throws EverbootError */
export async function open(container: Uint8Array, by: Trust = trust): Promise<Release> {
  return orThrow(await openContainer(memorySource(container, 'it.ebr'), by.release, verifyEd25519))
}

/** A copy with one bit turned over. */
export function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const changed = Uint8Array.from(bytes)
  changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
  return changed
}
