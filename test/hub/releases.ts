/**
 * Releases made on the spot: signed, sealed, packed as `.ebr`, with key wraps.
 */
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto'
import { orThrow } from '../../core/errors.ts'
import { memorySource } from '../../images/release/byte-source.ts'
import { writeContainer } from '../../images/release/container.ts'
import type { Manifest } from '../../images/release/manifest.ts'
import { compressPiece } from '../../images/release/piece.ts'
import { randomSecrets } from '../../images/release/secrets.ts'
import { encodeWraps } from '../../images/release/wraps.ts'
import { writeRelease } from '../../images/release/writer.ts'
import { ed25519Signer, type KeySigner } from '../../keys/signer.ts'
import type { TrustFile } from '../../keys/trust.ts'

export interface PublisherKeys {
  readonly release: KeySigner
  readonly seal: KeySigner
  readonly skill: KeySigner
  readonly trustFile: TrustFile
}

/** Fresh keys of a publisher. */
export function newKeys(): PublisherKeys {
  const release = newSigner()
  const seal = newSigner()
  const skill = newSigner()
  const role = (signer: KeySigner) => ({ threshold: 1, keys: { [signer.keyId]: signer.publicKey } })
  const trustFile = { v: 1, release: role(release), seal: role(seal), skill: role(skill), rsa: {} } as const
  return { release, seal, skill, trustFile }
}

export interface MadeRelease {
  readonly manifest: Manifest
  readonly manifestBytes: Buffer
  /** By name: `manifest.json`, `rootfs.index`, `rootfs.blob`. */
  readonly files: ReadonlyMap<string, Buffer>
  /** The `.ebr`. */
  readonly file: Buffer
  /** The same with key wraps for these devices. */
  withWraps(devices: readonly string[]): Promise<Buffer>
}

export async function makeRelease(
  keys: PublisherKeys,
  version: string,
  options: { readonly bytes?: number; readonly devices?: readonly string[] } = {},
): Promise<MadeRelease> {
  const { release, seal } = keys
  const files = new Map<string, Buffer>()
  const image = randomBytes(options.bytes ?? 40_000)
  const written = await writeRelease(
    {
      product: 'demo',
      version,
      securityVersion: 1,
      floorAfterCommit: null,
      hardware: ['sim'],
      profile: 'standard',
      suite: 'aes-256-gcm',
      pieceBytes: 16_384,
      level: 1,
    },
    [{ name: 'rootfs', source: memorySource(image, 'image') }],
    {
      secrets: randomSecrets({ bytes: (count) => randomBytes(count) }),
      compress: async (raw, level) => compressPiece(raw, level),
      files: { create: async (name) => collector((bytes) => files.set(name, bytes)) },
      releaseSigner: release,
      sealSigner: seal,
      rsaSigner: null,
      progress: () => undefined,
    },
  )
  const { manifest } = written
  const withWraps = async (devices: readonly string[]): Promise<Buffer> => {
    const wrappingKeys = new Map(devices.map((it) => [it, createHash('sha256').update(it).digest()] as const))
    const wraps = devices.length === 0 ? null : encodeWraps(manifest.id, written.keys, wrappingKeys, release)
    const source = (name: string) => memorySource(files.get(name) ?? new Uint8Array(0), name)
    const packed: { bytes: Buffer } = { bytes: Buffer.alloc(0) }
    const sink = collector((bytes) => {
      packed.bytes = bytes
    })
    await writeContainer(
      {
        manifest: source('manifest.json'),
        indexes: manifest.blobs.map((it) => source(`${it.id}.index`)),
        blobs: manifest.blobs.map((it) => source(`${it.id}.blob`)),
        wraps: wraps === null ? null : memorySource(wraps, 'wraps'),
      },
      sink,
    )
    await sink.finish()
    return packed.bytes
  }
  return {
    manifest,
    manifestBytes: files.get('manifest.json') ?? Buffer.alloc(0),
    files,
    file: await withWraps(options.devices ?? []),
    withWraps,
  }
}

function collector(done: (bytes: Buffer) => void) {
  const parts: Uint8Array[] = []
  return {
    write: async (bytes: Uint8Array) => void parts.push(bytes.slice()),
    finish: async () => done(Buffer.concat(parts)),
  }
}

function newSigner(): KeySigner {
  const { privateKey } = generateKeyPairSync('ed25519')
  return orThrow(ed25519Signer(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), 'test key'))
}
