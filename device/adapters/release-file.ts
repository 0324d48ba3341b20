/**
 * An `.ebr` on the device (USB stick, upload), offered to the agent as if a hub served it.
 * Promise: container, manifest and key wraps are checked as they are read; the download code sees the same
 * ranges, lengths and tags as over HTTP.
 * Leaves to others: everything that is done with the bytes.
 */
import { createHash } from 'node:crypto'
import { EverbootError, fault, orThrow, raise } from '../../core/errors.ts'
import type { FetchRequest, FetchResponse } from '../../core/ports.ts'
import type { Digest } from '../../core/units.ts'
import { MiB } from '../../core/units.ts'
import { type FileSource, openFileSource } from '../../images/release/adapters/file-bytes.ts'
import { type ByteSource, memorySource, readExactly } from '../../images/release/byte-source.ts'
import { openContainer } from '../../images/release/container.ts'
import type { Release } from '../../images/release/reader.ts'
import { openWraps } from '../../images/release/wraps.ts'
import type { ReleaseFile } from '../board.ts'
import type { AgentSettings } from '../settings.ts'

/** @throws EverbootError EB-FILE, EB-CONTAINER, the fault of the manifest, EB-WRONG-DEVICE */
export async function openReleaseFile(path: string, settings: AgentSettings): Promise<ReleaseFile> {
  const file = await openFileSource(path)
  try {
    return await releaseFile(path, file, settings)
  } catch (caught) {
    await file.close()
    throw caught
  }
}

async function releaseFile(path: string, file: FileSource, settings: AgentSettings): Promise<ReleaseFile> {
  const { release: ring } = settings.trust
  const release = orThrow(await openContainer(file, ring, settings.verify))
  const { manifest, manifestBytes } = release
  const keys = await keysOf(release, settings)
  const base = `/blobs/${manifest.id}`
  const parts = new Map<string, ByteSource>([
    [`${base}/manifest.json`, memorySource(manifestBytes, `manifest of ${path}`)],
  ])
  for (const { id } of manifest.blobs) {
    parts.set(`${base}/${id}.index`, release.index(id))
    parts.set(`${base}/${id}.blob`, release.blob(id))
  }
  const sha256 = createHash('sha256').update(manifestBytes).digest('hex') as Digest
  return {
    assigned: {
      id: manifest.id,
      manifest: { path: `${base}/manifest.json`, bytes: manifestBytes.length, sha256 },
      keys,
    },
    fetch: { get: (request) => respond(request, parts) },
    close: () => file.close(),
  }
}

async function keysOf(release: Release, settings: AgentSettings): Promise<Record<string, string>> {
  const { wraps, manifest } = release
  if (wraps === null) raise('EB-WRONG-DEVICE', `release ${manifest.id} comes without content keys`)
  const bytes = new Uint8Array(wraps.bytes)
  await readExactly(wraps, 0, bytes, 'EB-CONTAINER')
  const devices = orThrow(openWraps(bytes, manifest, settings.trust.release, settings.verify))
  const own = devices.get(settings.deviceId)
  if (own === undefined) {
    throw new EverbootError(
      fault('EB-WRONG-DEVICE', `release ${manifest.id} has no content key for ${settings.deviceId}`),
    )
  }
  return Object.fromEntries(own)
}

async function respond(
  request: FetchRequest,
  parts: ReadonlyMap<string, ByteSource>,
): Promise<FetchResponse> {
  const source = parts.get(request.url)
  if (source === undefined) return answer(404, null, async () => null)
  const { start, endExclusive } = request.range ?? { start: 0, endExclusive: source.bytes }
  let at = start
  const read = async (): Promise<Uint8Array | null> => {
    if (at >= endExclusive) return null
    const part = new Uint8Array(Math.min(MiB, endExclusive - at))
    await readExactly(source, at, part, 'EB-CONTAINER')
    at += part.length
    return part
  }
  const range = request.range === undefined ? null : { start, endExclusive, size: source.bytes }
  return answer(range === null ? 200 : 206, range, read)
}

function answer(
  status: number,
  contentRange: FetchResponse['contentRange'],
  read: () => Promise<Uint8Array | null>,
): FetchResponse {
  return { status, etag: null, contentRange, contentLength: null, retryAfterMs: null, read, cancel: () => {} }
}
