/**
 * Makes a release: blob and index of each image, seal, signed manifest. Pure over its ports.
 * Promise: the manifest that is signed is one that `openManifest` takes; with derived secrets the same
 * arguments give the same bytes. Failures are thrown as `EverbootError`.
 * Leaves to others: images from directories and archives (images/build), packing into one file (container.ts).
 */
import { present } from '../../core/assert.ts'
import { orThrow, raise } from '../../core/errors.ts'
import { releaseLimits } from '../../core/limits.ts'
import { blockBytes, type Digest, hex, roundUp, safeName } from '../../core/units.ts'
import { type Signer, signEnvelope } from '../../keys/envelope.ts'
import type { PssSigner } from '../../keys/signer.ts'
import { type ByteSink, type ByteSource, eachStep } from './byte-source.ts'
import type { Suite } from './content-cipher.ts'
import { type ImagePorts, writeImage } from './image-writer.ts'
import { type Blob, type Image, type Manifest, readManifest, shortNameForm } from './manifest.ts'
import type { Progress } from './reader.ts'
import { encodeSeal } from './seal.ts'
import type { ReleaseSecrets } from './secrets.ts'
import { verityBuilder } from './verity.ts'

/** What the publisher decides about a release. */
export interface ReleaseOptions {
  readonly product: string
  readonly version: string
  readonly securityVersion: number
  readonly floorAfterCommit: number | null
  readonly hardware: readonly string[]
  readonly profile: 'standard' | 'kindle'
  readonly suite: Suite
  readonly pieceBytes: number
  /** zstd level; 0 stores pieces as they are. */
  readonly level: number
}

export interface ImageInput {
  /** Also the id of its blob. */
  readonly name: string
  readonly source: ByteSource
  /** As measured before, when secrets are derived from it: if the image has changed since, nothing is signed. */
  readonly verityRoot?: Digest
}

/** Where the files of a release go; `create` may be called again before the file before is finished. */
export interface ReleaseFiles {
  create(name: string): Promise<ByteSink & { finish(): Promise<void> }>
}

export interface WriterPorts {
  readonly secrets: ReleaseSecrets
  readonly compress: ImagePorts['compress']
  readonly files: ReleaseFiles
  readonly releaseSigner: Signer
  readonly sealSigner: Signer
  /** Needed by the kindle profile only. */
  readonly rsaSigner: PssSigner | null
  readonly progress: Progress
}

export interface WrittenRelease {
  readonly manifest: Manifest
  /** Content keys by blob id. */
  readonly keys: ReadonlyMap<string, Uint8Array>
}

export const manifestFile = 'manifest.json'
export const indexFile = (blobId: string): string => `${blobId}.index`
export const blobFile = (blobId: string): string => `${blobId}.blob`

/** Writes index and blob of each image, then the manifest, through `ports.files`. @throws EverbootError */
export async function writeRelease(
  options: ReleaseOptions,
  inputs: readonly ImageInput[],
  ports: WriterPorts,
): Promise<WrittenRelease> {
  const id = releaseId(options.product, options.version, ports.secrets.idSuffix)
  const keys = new Map<string, Uint8Array>()
  const images: Image[] = []
  const blobs: Blob[] = []
  const total = inputs.reduce((sum, it) => sum + it.source.bytes, 0)
  let before = 0
  for (const input of inputs) {
    const key = ports.secrets.contentKey(input.name)
    keys.set(input.name, key)
    const done = before
    const made = await writeOne(id, options, input, key, ports, (bytes) =>
      ports.progress(done + bytes, total),
    )
    images.push(made.image)
    blobs.push(made.blob)
    before += input.source.bytes
  }
  const manifest = manifestOf(id, options, images, blobs, ports.sealSigner)
  const bytes = signEnvelope(manifest, [ports.releaseSigner])
  if (bytes.length > releaseLimits.manifestBytesMax) {
    raise('EB-LIMIT', `the manifest has ${bytes.length} bytes, limit ${releaseLimits.manifestBytesMax}`, {
      todo: 'use larger pieces',
    })
  }
  const sink = await ports.files.create(manifestFile)
  await sink.write(bytes)
  await sink.finish()
  return { manifest, keys }
}

/** What a clear image is, before anything is sealed: the base of derived secrets. */
export interface MeasuredImage {
  readonly name: string
  readonly bytes: number
  readonly verityRoot: Digest
}

/** Reads an image once. @throws EverbootError EB-IMAGE */
export async function measureImage(input: ImageInput, progress: Progress = () => {}): Promise<MeasuredImage> {
  const { bytes } = input.source
  const verity = verityBuilder(roundUp(Math.max(bytes, 1), blockBytes))
  await eachStep(input.source, 'EB-IMAGE', (part, offset) => {
    verity.update(wholeBlocks(part))
    progress(offset + part.length, bytes)
  })
  if (bytes === 0) raise('EB-IMAGE', `${input.source.name} is empty`)
  return { name: input.name, bytes, verityRoot: verity.finish() }
}

/** @throws EverbootError EB-USAGE when the names do not make an id of at most 64 characters. */
function releaseId(product: string, version: string, suffix: string): string {
  const id = `${product}-${version}-${suffix}`
  if (safeName.test(id) && shortNameForm.test(product) && shortNameForm.test(version)) return id
  raise('EB-USAGE', `the release id ${id} is not 1 to 64 of A-Z a-z 0-9 . _ -`, {
    todo: 'choose a shorter product or version',
  })
}

async function writeOne(
  id: string,
  options: ReleaseOptions,
  input: ImageInput,
  contentKey: Uint8Array,
  ports: WriterPorts,
  progress: (bytes: number) => void,
): Promise<{ readonly image: Image; readonly blob: Blob }> {
  const { suite, pieceBytes, level, profile } = options
  const blob = await ports.files.create(blobFile(input.name))
  const index = await ports.files.create(indexFile(input.name))
  const made = await writeImage(
    {
      releaseId: id,
      name: input.name,
      source: input.source,
      suite,
      contentKey,
      pieceBytes,
      level,
      hashClear: profile === 'kindle',
    },
    { blob, index, compress: ports.compress, iv: (piece) => ports.secrets.iv(input.name, piece), progress },
  )
  await blob.finish()
  await index.finish()
  if (input.verityRoot !== undefined && input.verityRoot !== made.image.verityRoot) {
    raise('EB-IMAGE', `${input.source.name} changed while it was read`, { todo: 'build from a file at rest' })
  }
  if (profile === 'standard') return made
  const rsa = present(ports.rsaSigner, 'RSA signer of the kindle profile')
  const sha256 = present(made.sha256, 'hash of the clear image')
  const sig = Buffer.from(rsa.sign(sha256, ports.secrets.salt(input.name))).toString('base64')
  return {
    image: { ...made.image, rsa: { keyid: rsa.keyId, sha256: hex(sha256) as Digest, sig } },
    blob: made.blob,
  }
}

function manifestOf(
  id: string,
  options: ReleaseOptions,
  images: readonly Image[],
  blobs: readonly Blob[],
  sealSigner: Signer,
): Manifest {
  const { product, version, securityVersion, floorAfterCommit, hardware, profile } = options
  const label = { product, version, securityVersion, floorAfterCommit }
  const seal = Buffer.from(encodeSeal({ ...label, releaseId: id, images }, sealSigner)).toString('base64')
  const type = { _type: 'everboot-release', format: 1, id } as const
  return orThrow(readManifest({ ...type, ...label, hardware, profile, images, blobs, seal }))
}

/** The last part of an image, padded with zeros; others as they are. */
function wholeBlocks(part: Uint8Array): Uint8Array {
  if (part.length % blockBytes === 0) return part
  const padded = new Uint8Array(roundUp(part.length, blockBytes))
  padded.set(part)
  return padded
}
