/**
 * A publisher in memory: keys, and releases whose image says in its first block how it will behave.
 * Promise: same seed and same calls, same keys and bytes (Ed25519 signatures have no chance in them).
 * Leaves to others: the RSA key of the kindle profile, which cannot be made from a seed.
 */
import { createHash } from 'node:crypto'
import { orThrow, raise } from '../core/errors.ts'
import { type SeededRandom, seededRandom } from '../core/prng.ts'
import type { Digest } from '../core/units.ts'
import type { AssignedRelease } from '../core/wire/messages.ts'
import { memorySource } from '../images/release/byte-source.ts'
import type { Manifest } from '../images/release/manifest.ts'
import { compressPiece } from '../images/release/piece.ts'
import { derivedSecrets } from '../images/release/secrets.ts'
import { writeRelease } from '../images/release/writer.ts'
import { wrapKey } from '../keys/key-wrap.ts'
import { ed25519Signer, type KeySigner, type PssSigner } from '../keys/signer.ts'
import type { Trust } from '../keys/trust.ts'
import { type SlotPage, slotPages } from './slot-pages.ts'

/** How a system behaves once it is started. */
export type Behaviour = 'healthy' | 'sick' | 'no verdict' | 'no hub' | 'no agent' | 'hang'

export interface MadeRelease {
  readonly manifest: Manifest
  readonly manifestBytes: Uint8Array
  /** By name: `manifest.json`, `rootfs.index`, `rootfs.blob`. */
  readonly files: ReadonlyMap<string, Uint8Array>
  readonly contentKeys: ReadonlyMap<string, Uint8Array>
  /** The image of the first partition. */
  readonly image: Uint8Array
  /** All images by name. */
  readonly images: ReadonlyMap<string, Uint8Array>
  /** What a slot that holds it must have, by name of the image. */
  readonly pages: ReadonlyMap<string, readonly SlotPage[]>
}

export interface Publisher {
  readonly trust: Trust
  readonly releaseSigner: KeySigner
  readonly sealSigner: KeySigner
  /** The private halves, so that one can look for them where they must not be. */
  readonly privateKeys: readonly Uint8Array[]
  make(version: string, behaviour: Behaviour, options?: MakeOptions): Promise<MadeRelease>
}

export interface MakeOptions {
  readonly securityVersion?: number
  readonly floorAfterCommit?: number
  readonly hardware?: readonly string[]
  readonly product?: string
  readonly pieces?: number
  /** Pieces that compress to a few bytes instead of random ones. */
  readonly plain?: boolean
  readonly profile?: 'standard' | 'kindle'
  /** Names of further images beside `rootfs`. */
  readonly more?: readonly string[]
  /** zstd level; 0 stores pieces as they are, so that bytes do not depend on the version of zstd. */
  readonly level?: number
}

export const pieceBytes = 4096

export function publisher(seed = 1, rsaSigner: PssSigner | null = null): Publisher {
  const random = seededRandom(seed)
  const privateKeys = [bytesOf(random, 32), bytesOf(random, 32)] as const
  const skill = signerOf(createHash('sha256').update(privateKeys[0]).update('skill').digest())
  const release = signerOf(privateKeys[0])
  const seal = signerOf(privateKeys[1])
  const rsa = new Map(rsaSigner === null ? [] : [[rsaSigner.keyId, rsaSigner.publicPem]])
  const ring = (signer: KeySigner) => ({
    keys: new Map([[signer.keyId, Buffer.from(signer.publicKey.keyval.public, 'hex') as Uint8Array]]),
    threshold: 1,
  })
  return {
    trust: { release: ring(release), seal: ring(seal), skill: ring(skill), rsa },
    releaseSigner: release,
    sealSigner: seal,
    privateKeys,
    async make(version, behaviour, options = {}) {
      const { pieces = 16, plain = false, profile = 'standard', more = [], level = 1 } = options
      if (profile === 'kindle' && rsaSigner === null) raise('EB-KEY', 'this publisher has no RSA key')
      const image = imageOf(random, version, behaviour, { pieces, plain })
      const files = new Map<string, Uint8Array>()
      const images = new Map<string, Uint8Array>([
        ['rootfs', image],
        ...more.map((name) => [name, bytesOf(random, pieceBytes * 3)] as const),
      ])
      const made = await writeRelease(
        {
          product: options.product ?? 'demo',
          version,
          securityVersion: options.securityVersion ?? 1,
          floorAfterCommit: options.floorAfterCommit ?? null,
          hardware: options.hardware ?? ['sim'],
          profile,
          suite: profile === 'kindle' ? 'aes-256-cbc' : 'chacha20-poly1305',
          pieceBytes,
          level,
        },
        [...images].map(([name, bytes]) => ({ name, source: memorySource(bytes, name) })),
        {
          secrets: derivedSecrets(version, { version, behaviour, salt: random.uint32() }),
          compress: async (raw, level) => compressPiece(raw, level),
          files: {
            async create(name) {
              const parts: Uint8Array[] = []
              return {
                write: async (bytes) => void parts.push(new Uint8Array(bytes)),
                finish: async () => void files.set(name, Buffer.concat(parts)),
              }
            },
          },
          releaseSigner: release,
          sealSigner: seal,
          rsaSigner: profile === 'kindle' ? rsaSigner : null,
          progress: () => {},
        },
      )
      const manifestBytes = files.get('manifest.json') ?? new Uint8Array(0)
      const pages = new Map([...images].map(([name, bytes]) => [name, slotPages(bytes)]))
      return { manifest: made.manifest, manifestBytes, files, contentKeys: made.keys, image, images, pages }
    },
  }
}

/** How the system in a slot behaves, from its first block. */
export function behaviourOf(firstBlock: Uint8Array): Behaviour {
  const text = Buffer.from(firstBlock).toString('latin1').split('\0')[0] ?? ''
  return (text.split(' ')[1] ?? 'hang').replace('-', ' ') as Behaviour
}

/** What the hub hands to a device with this wrapping key. */
export function assignedTo(release: MadeRelease, wrappingKey: Uint8Array): AssignedRelease {
  const { manifest, manifestBytes, contentKeys } = release
  const sha256 = createHash('sha256').update(manifestBytes).digest('hex') as Digest
  const keys = [...contentKeys].map(([blob, key]) => [
    blob,
    Buffer.from(wrapKey(wrappingKey, key)).toString('base64'),
  ])
  return {
    id: manifest.id,
    manifest: { path: `/blobs/${manifest.id}/manifest.json`, bytes: manifestBytes.length, sha256 },
    keys: Object.fromEntries(keys) as Record<string, string>,
  }
}

function imageOf(
  random: SeededRandom,
  version: string,
  behaviour: Behaviour,
  { pieces, plain }: { readonly pieces: number; readonly plain: boolean },
): Uint8Array {
  const image = plain
    ? Buffer.alloc(pieces * pieceBytes, version)
    : Buffer.from(bytesOf(random, pieces * pieceBytes))
  image.fill(0, 0, pieceBytes)
  image.write(`${version} ${behaviour.replace(' ', '-')}`)
  // A run of zeros in the middle, as real images have.
  const middle = Math.floor(pieces / 2) * pieceBytes
  image.fill(0, middle, middle + 2 * pieceBytes)
  return image
}

export function bytesOf(random: SeededRandom, count: number): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(count / 4))
  for (let index = 0; index < words.length; index += 1) words[index] = random.uint32()
  return new Uint8Array(words.buffer, 0, count)
}

/** RFC 8410: what comes before the 32 bytes of a private key in PKCS #8. */
const pkcs8Head = '302e020100300506032b657004220420'

function signerOf(privateKey: Uint8Array): KeySigner {
  const der = Buffer.concat([Buffer.from(pkcs8Head, 'hex'), privateKey])
  const pem = `-----BEGIN PRIVATE KEY-----\n${der.toString('base64')}\n-----END PRIVATE KEY-----\n`
  return orThrow(ed25519Signer(pem, 'a key of the simulation'))
}
