/**
 * Releases as files: `releases/{id}/manifest.json`, `{blobId}.index`, `{blobId}.blob`; `incoming/` for uploads.
 * Promise: a release directory appears under its name whole and on the disk, or not at all; what an upload
 * that was refused or cut off left behind is gone at the latest after the next start.
 * Leaves to others: checking (../../http/adapters/upload.ts), the database row that makes a release known.
 */
import { randomBytes } from 'node:crypto'
import { readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { raise } from '../../../core/errors.ts'
import { createFileSink } from '../../../images/release/adapters/file-bytes.ts'
import { type ByteSource, eachStep, memorySource } from '../../../images/release/byte-source.ts'
import type { Release } from '../../../images/release/reader.ts'
import { codeOf, ensureDirectory, syncDirectory } from '../../adapters/files.ts'
import type { ReleaseInfo } from '../../core/model.ts'

/** One file of a release as it is served. */
export interface ServedFile {
  readonly path: string
  readonly bytes: number
  /** Strong, quotes included. */
  readonly etag: string
  readonly type: 'application/json' | 'application/octet-stream'
}

export interface BlobFiles {
  /** A path for an upload; nothing is there yet. */
  incoming(): string
  /** Copies the parts of a checked release to their place. @returns a function that takes them away again. */
  place(release: Release): Promise<() => Promise<void>>
  /** @returns null when the release has no such file. */
  find(release: ReleaseInfo, name: string): ServedFile | null
  /** Removes uploads that never ended and directories that no release of `known` owns. */
  sweep(known: (releaseId: string) => boolean): Promise<void>
}

/** @param directory of the hub's data. @throws EverbootError EB-FILE. */
export async function openBlobFiles(directory: string): Promise<BlobFiles> {
  const releases = join(directory, 'releases')
  const incoming = join(directory, 'incoming')
  await ensureDirectory(releases)
  await ensureDirectory(incoming)
  return {
    incoming: () => join(incoming, `${randomBytes(8).toString('hex')}.ebr`),
    async place(release) {
      const staged = join(incoming, randomBytes(8).toString('hex'))
      const place = join(releases, release.manifest.id)
      const remove = async (): Promise<void> => {
        await rm(staged, { recursive: true, force: true })
        await rm(place, { recursive: true, force: true })
      }
      try {
        await stage(release, staged)
        // What stands there belongs to no known release: registration would have been refused.
        await rm(place, { recursive: true, force: true })
        await rename(staged, place)
        await syncDirectory(releases)
        return remove
      } catch (cause) {
        await rm(staged, { recursive: true, force: true })
        raise('EB-FILE', `release ${release.manifest.id} cannot be stored: ${codeOf(cause)}`, { cause })
      }
    },
    find: (release, name) => servedFile(join(releases, release.id), release, name),
    async sweep(known) {
      for (const name of await readdir(incoming))
        await rm(join(incoming, name), { recursive: true, force: true })
      for (const name of await readdir(releases)) {
        if (!known(name)) await rm(join(releases, name), { recursive: true, force: true })
      }
    },
  }
}

/** Only names that the release itself has lead to a path, so none can lead elsewhere. */
function servedFile(directory: string, release: ReleaseInfo, name: string): ServedFile | null {
  const file = (bytes: number, sha256: string, type: ServedFile['type']): ServedFile => ({
    path: join(directory, name),
    bytes,
    etag: `"sha256-${sha256}"`,
    type,
  })
  if (name === 'manifest.json') {
    return file(release.manifest.bytes, release.manifest.sha256, 'application/json')
  }
  for (const blob of release.blobs) {
    if (name === `${blob.id}.blob`) return file(blob.bytes, blob.sha256, 'application/octet-stream')
    if (name === `${blob.id}.index`)
      return file(blob.index.bytes, blob.index.sha256, 'application/octet-stream')
  }
  return null
}

async function stage(release: Release, directory: string): Promise<void> {
  await ensureDirectory(directory)
  const { manifest, manifestBytes } = release
  await copy(memorySource(manifestBytes, 'manifest'), join(directory, 'manifest.json'))
  for (const { id } of manifest.blobs) {
    await copy(release.index(id), join(directory, `${id}.index`))
    await copy(release.blob(id), join(directory, `${id}.blob`))
  }
  await syncDirectory(directory)
}

async function copy(source: ByteSource, path: string): Promise<void> {
  const sink = await createFileSink(path, 0o600)
  try {
    await eachStep(source, 'EB-CONTAINER', (bytes) => sink.write(bytes))
  } catch (caught) {
    await sink.abandon()
    throw caught
  }
  await sink.finish()
}
