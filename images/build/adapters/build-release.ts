/**
 * Builds an `.ebr` from an input and a key directory: what `everboot image build` does, for demo and boards too.
 * Promise: the output appears whole or not at all; temporary files lie beside it and are removed, also after a
 * failure; with a seed the same input and options give the same file.
 * Leaves to others: options (the command line checks them), the release itself (images/release).
 */
import { randomBytes } from 'node:crypto'
import { cp, mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { raise } from '../../../core/errors.ts'
import { keyLimits } from '../../../core/limits.ts'
import { type KeyDirectory, keyDirectory } from '../../../keys/adapters/key-directory.ts'
import {
  createFileSink,
  type FileSink,
  type FileSource,
  openFileSource,
  writeWhole,
} from '../../release/adapters/file-bytes.ts'
import { memorySource } from '../../release/byte-source.ts'
import { type ContainerParts, containerBytes, writeContainer } from '../../release/container.ts'
import type { Manifest } from '../../release/manifest.ts'
import { derivedSecrets, derivedUuid, type ReleaseSecrets, randomSecrets } from '../../release/secrets.ts'
import { encodeWraps } from '../../release/wraps.ts'
import {
  blobFile,
  type ImageInput,
  indexFile,
  manifestFile,
  measureImage,
  type ReleaseFiles,
  type ReleaseOptions,
  writeRelease,
} from '../../release/writer.ts'
import { compressOnThreads } from './expand.ts'
import type { FilesystemPlan } from './filesystem-image.ts'
import { type InputPlan, prepareImage } from './image-input.ts'

export interface BuildRequest {
  /** Directory or image file: the image `rootfs`. */
  readonly input: string
  /** Raw images of the other partitions of a slot. */
  readonly more?: readonly { readonly name: string; readonly path: string }[]
  /** The `.ebr` to make; replaced when it exists. */
  readonly out: string
  readonly keys: string
  readonly options: ReleaseOptions
  /** Of a directory; null: ext4, of the size that its content needs. */
  readonly filesystem: FilesystemPlan['kind'] | null
  readonly bytes: number | null
  /** Devices to wrap the content key for; null: every device that has a wrapping key. */
  readonly devices: readonly string[] | null
  /** Same input, options and seed: same file. null: another release each time. */
  readonly seed: string | null
  /** Where to put the three static files too, below the release id. */
  readonly releaseDirectory: string | null
  readonly signal: AbortSignal
  /** Told what is being done and how far it is, in bytes; total 0 when that is unknown. */
  readonly phase: (name: string, done: number, total: number) => void
}

export interface BuiltRelease {
  readonly manifest: Manifest
  readonly file: string
  /** Of the `.ebr`. */
  readonly bytes: number
  readonly form: string
  /** Secret: by id of the blob. */
  readonly contentKeys: ReadonlyMap<string, Uint8Array>
  readonly devices: readonly string[]
  /** Where the static files are, when they were wanted. */
  readonly directory: string | null
}

/** Image name of releases with one image. */
const imageName = 'rootfs'
/** 2020-01-01: the time in reproducible filesystems. */
const reproducibleEpochSeconds = 1_577_836_800

/** @throws EverbootError */
export async function buildRelease(request: BuildRequest): Promise<BuiltRelease> {
  const keys = keyDirectory(request.keys)
  const signers = {
    releaseSigner: await keys.releaseSigner(),
    sealSigner: await keys.sealSigner(),
    rsaSigner: request.options.profile === 'kindle' ? await keys.rsaSigner() : null,
  }
  const wrappingKeys = await wrappingKeysOf(keys, request.devices)
  const work = await workDirectory(request.out)
  try {
    const prepared = await prepareImage(inputPlan(request, work))
    const more: (ImageInput & { readonly source: FileSource })[] = []
    try {
      for (const { name, path } of request.more ?? []) more.push({ name, source: await openFileSource(path) })
      const first: ImageInput = { name: imageName, source: prepared.source }
      const { secrets, images } = await secretsFor(request, [first, ...more])
      const made = await writeFiles(work, (files) =>
        writeRelease(request.options, images, {
          ...signers,
          secrets,
          compress: compressOnThreads,
          files,
          progress: step(request, 'sealing'),
        }),
      )
      const wraps = encodeWraps(made.manifest.id, made.keys, wrappingKeys, signers.releaseSigner)
      const bytes = await pack(request, work, made.manifest, wrappingKeys.size === 0 ? null : wraps)
      const directory = await keepFiles(request, work, made.manifest)
      const devices = [...wrappingKeys.keys()]
      const { manifest, keys: contentKeys } = made
      return { manifest, file: request.out, bytes, form: prepared.form, contentKeys, devices, directory }
    } finally {
      for (const it of more) await it.source.close()
      await prepared.source.close()
    }
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/** Gives files in the work directory, and closes them also when the work fails. */
async function writeFiles<T>(work: string, act: (files: ReleaseFiles) => Promise<T>): Promise<T> {
  const sinks: FileSink[] = []
  try {
    return await act({
      async create(name) {
        const sink = await createFileSink(join(work, name))
        sinks.push(sink)
        return sink
      },
    })
  } finally {
    for (const it of sinks) await it.abandon()
  }
}

function inputPlan(request: BuildRequest, workDirectory: string): InputPlan {
  const { filesystem, bytes, signal, phase, seed } = request
  const purpose = `${request.options.product}\0${request.options.version}`
  const fixed =
    seed === null ? null : { uuid: derivedUuid(seed, purpose), epochSeconds: reproducibleEpochSeconds }
  return { path: request.input, workDirectory, filesystem, bytes, fixed, signal, phase }
}

/** Every option and all clear images go into derived keys; the compressor too, since it makes what is sealed. */
async function secretsFor(
  request: BuildRequest,
  images: readonly ImageInput[],
): Promise<{ readonly secrets: ReleaseSecrets; readonly images: readonly ImageInput[] }> {
  if (request.seed === null) {
    return { secrets: randomSecrets({ bytes: (count) => randomBytes(count) }), images }
  }
  const measured = await inOrder(images, (it) => measureImage(it, step(request, 'hashing')))
  const compressor = `zstd ${process.versions['zstd'] ?? 'unknown'}`
  const inputs = { format: 1, options: request.options, images: measured, compressor }
  const known = images.map((it, index) => {
    const verityRoot = measured[index]?.verityRoot
    return verityRoot === undefined ? it : { ...it, verityRoot }
  })
  return { secrets: derivedSecrets(request.seed, inputs), images: known }
}

function step(request: BuildRequest, name: string): (done: number, total: number) => void {
  return (done, total) => {
    if (request.signal.aborted) raise('EB-CANCELLED', `building ${request.out} was stopped`)
    request.phase(name, done, total)
  }
}

async function wrappingKeysOf(
  keys: KeyDirectory,
  devices: readonly string[] | null,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const ids = devices ?? (await keys.deviceIds())
  if (ids.length > keyLimits.devicesMax) {
    raise('EB-LIMIT', `${ids.length} devices, limit ${keyLimits.devicesMax}`)
  }
  const found = new Map<string, Uint8Array>()
  for (const id of ids) found.set(id, await keys.wrappingKey(id))
  return found
}

async function workDirectory(out: string): Promise<string> {
  const parent = dirname(resolve(out))
  try {
    await mkdir(parent, { recursive: true })
    return await mkdtemp(join(parent, '.everboot-build-'))
  } catch (cause) {
    raise('EB-FILE', `${parent} cannot be written: ${(cause as Error).message}`, { cause })
  }
}

async function pack(
  request: BuildRequest,
  work: string,
  manifest: Manifest,
  wraps: Uint8Array | null,
): Promise<number> {
  const opened: FileSource[] = []
  const openPart = async (name: string): Promise<FileSource> => {
    const source = await openFileSource(join(work, name))
    opened.push(source)
    return source
  }
  try {
    const parts: ContainerParts = {
      manifest: await openPart(manifestFile),
      indexes: await inOrder(manifest.blobs, (it) => openPart(indexFile(it.id))),
      blobs: await inOrder(manifest.blobs, (it) => openPart(blobFile(it.id))),
      wraps: wraps === null ? null : memorySource(wraps, 'key wraps'),
    }
    const total = containerBytes(parts)
    const report = step(request, 'packing')
    let done = 0
    await writeWhole(request.out, (sink) =>
      writeContainer(parts, {
        async write(bytes) {
          await sink.write(bytes)
          done += bytes.length
          report(done, total)
        },
      }),
    )
    return total
  } finally {
    for (const source of opened) await source.close()
  }
}

async function keepFiles(request: BuildRequest, work: string, manifest: Manifest): Promise<string | null> {
  if (request.releaseDirectory === null) return null
  const target = join(request.releaseDirectory, manifest.id)
  try {
    await mkdir(target, { recursive: true })
    const names = manifest.blobs.flatMap((it) => [indexFile(it.id), blobFile(it.id)])
    for (const name of [...names, manifestFile]) await move(join(work, name), join(target, name))
    return target
  } catch (cause) {
    raise('EB-FILE', `${target} cannot be written: ${(cause as Error).message}`, { cause })
  }
}

/** Renames, or copies to another filesystem. */
async function move(from: string, to: string): Promise<void> {
  const same = (await stat(from)).dev === (await stat(dirname(to))).dev
  if (same) await rename(from, to)
  else await cp(from, to, { errorOnExist: false })
}

async function inOrder<T, R>(items: readonly T[], act: (item: T) => Promise<R>): Promise<readonly R[]> {
  const results: R[] = []
  for (const item of items) results.push(await act(item))
  return results
}
