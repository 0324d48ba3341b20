/**
 * The `.ebr` file: a whole release in one file, for USB sticks and upload.
 * Promise: the header says nothing that the parts do not say too, and is compared with what they say, so each
 * byte of the file is under some check; a file that is truncated, extended or in another order is refused
 * (EB-CONTAINER) before anything else of it is believed.
 * Leaves to others: index pages, blobs and pieces, which reader.ts checks.
 *
 * Header, little endian: magic "EVERBOOT", u32 format 1, u32 parts; then for each part u32 kind, u32 zero,
 * u64 bytes. Kinds in this order: 1 manifest; 2 index of each blob; 3 each blob, both in the order of the
 * manifest; 4 key wraps (only when there are some). The parts follow without gaps.
 */
import { EverbootError, type Fault, fault, raise } from '../../core/errors.ts'
import { releaseLimits } from '../../core/limits.ts'
import { fail, ok, type Result } from '../../core/result.ts'
import type { KeyRing, Verify } from '../../keys/public-key.ts'
import { type ByteSink, type ByteSource, eachStep, readExactly, windowOf } from './byte-source.ts'
import { type Manifest, openManifest } from './manifest.ts'
import type { Release } from './reader.ts'

const magic = new TextEncoder().encode('EVERBOOT')
const format = 1
const headBytes = 16
const partBytes = 16
const partsMax = 2 + 2 * releaseLimits.blobsMax
const kindNumbers = { manifest: 1, index: 2, blob: 3, wraps: 4 } as const

interface Part {
  readonly kind: number
  readonly offset: number
  readonly bytes: number
}

/** The parts of a container, each to be copied as it is. */
export interface ContainerParts {
  readonly manifest: ByteSource
  /** In the order of the manifest's blobs. */
  readonly indexes: readonly ByteSource[]
  readonly blobs: readonly ByteSource[]
  readonly wraps: ByteSource | null
}

/** Writes an `.ebr` front to back. */
export async function writeContainer(parts: ContainerParts, sink: ByteSink): Promise<void> {
  const all = [
    parts.manifest,
    ...parts.indexes,
    ...parts.blobs,
    ...(parts.wraps === null ? [] : [parts.wraps]),
  ]
  const kinds = kindsOf(parts.blobs.length, parts.wraps !== null)
  await sink.write(encodeHeader(all.map((it, index) => ({ kind: kinds[index] ?? 0, bytes: it.bytes }))))
  for (const part of all) await eachStep(part, 'EB-CONTAINER', (bytes) => sink.write(bytes))
}

/**
 * Checks the header against file and manifest, and the manifest's signature.
 * @returns the release, its parts still unread; or EB-CONTAINER, or the fault of the manifest
 */
export async function openContainer(
  file: ByteSource,
  ring: KeyRing,
  verify: Verify,
): Promise<Result<Release, Fault>> {
  try {
    const parts = await readParts(file)
    const manifestBytes = await manifestOf(file, parts)
    const opened = openManifest(manifestBytes, ring, verify)
    return opened.ok ? ok(releaseOf(file, parts, manifestBytes, opened.value)) : opened
  } catch (caught) {
    if (!(caught instanceof EverbootError)) throw caught
    return fail(caught.fault)
  }
}

/** The manifest of a container, nothing of it checked but the header. @throws EverbootError EB-CONTAINER, EB-ENDLESS */
export async function readManifestBytes(file: ByteSource): Promise<Uint8Array> {
  return manifestOf(file, await readParts(file))
}

/** Bytes that a container of these parts has. */
export function containerBytes(parts: ContainerParts): number {
  const all = [
    parts.manifest,
    ...parts.indexes,
    ...parts.blobs,
    ...(parts.wraps === null ? [] : [parts.wraps]),
  ]
  return all.reduce((sum, it) => sum + it.bytes, headBytes + all.length * partBytes)
}

function releaseOf(
  file: ByteSource,
  parts: readonly Part[],
  manifestBytes: Uint8Array,
  manifest: Manifest,
): Release {
  const blobs = manifest.blobs
  const wraps = parts.find((it) => it.kind === kindNumbers.wraps)
  const wanted = [
    manifestBytes.length,
    ...blobs.map((it) => it.index.bytes),
    ...blobs.map((it) => it.bytes),
    ...(wraps === undefined ? [] : [wraps.bytes]),
  ]
  if (wanted.length !== parts.length || wanted.some((bytes, index) => parts[index]?.bytes !== bytes)) {
    raise('EB-CONTAINER', `${file.name} has parts of other lengths than its manifest says`)
  }
  const source = (name: string, index: number): ByteSource => {
    const part = parts[index]
    if (part === undefined) raise('EB-NOT-FOUND', `release ${manifest.id} has no ${name}`)
    return windowOf(file, `${name} of ${file.name}`, part.offset, part.bytes)
  }
  const number = (blobId: string): number => {
    const found = blobs.findIndex((it) => it.id === blobId)
    return found < 0 ? Number.NaN : found
  }
  return {
    manifest,
    manifestBytes,
    index: (blobId) => source(`index ${blobId}`, 1 + number(blobId)),
    blob: (blobId) => source(`blob ${blobId}`, 1 + blobs.length + number(blobId)),
    wraps: wraps === undefined ? null : source('key wraps', parts.indexOf(wraps)),
  }
}

async function manifestOf(file: ByteSource, parts: readonly Part[]): Promise<Uint8Array> {
  const bytes = new Uint8Array(parts[0]?.bytes ?? 0)
  await readExactly(file, parts[0]?.offset ?? 0, bytes, 'EB-CONTAINER')
  return bytes
}

/** The table of parts, agreeing with the length of the file. @throws EverbootError EB-CONTAINER, EB-UNSUPPORTED, EB-ENDLESS */
async function readParts(file: ByteSource): Promise<readonly Part[]> {
  const head = new Uint8Array(headBytes)
  await readExactly(file, 0, head, 'EB-CONTAINER')
  if (Buffer.compare(head.subarray(0, magic.length), magic) !== 0) {
    raise('EB-CONTAINER', `${file.name} is not an Everboot release file`)
  }
  const view = new DataView(head.buffer)
  const found = view.getUint32(8, true)
  if (found !== format) raise('EB-UNSUPPORTED', `${file.name} has format ${found}, not ${format}`)
  const count = view.getUint32(12, true)
  if (count < 3 || count > partsMax) raise('EB-CONTAINER', `${file.name} has ${count} parts`)
  const table = new Uint8Array(count * partBytes)
  await readExactly(file, headBytes, table, 'EB-CONTAINER')
  return partsFrom(table, count, file)
}

function partsFrom(table: Uint8Array, count: number, file: ByteSource): readonly Part[] {
  const view = new DataView(table.buffer)
  const wraps = count % 2 === 0
  const kinds = kindsOf((count - (wraps ? 2 : 1)) / 2, wraps)
  const parts: Part[] = []
  let offset = headBytes + table.length
  for (let index = 0; index < count; index += 1) {
    const at = index * partBytes
    const kind = view.getUint32(at, true)
    const bytes = Number(view.getBigUint64(at + 8, true))
    if (kind !== kinds[index] || view.getUint32(at + 4, true) !== 0) {
      raise('EB-CONTAINER', `${file.name}: part ${index} is of kind ${kind}, not ${kinds[index] ?? 0}`)
    }
    if (!Number.isSafeInteger(offset + bytes))
      raise('EB-CONTAINER', `${file.name}: part ${index} is too long`)
    parts.push({ kind, offset, bytes })
    offset += bytes
  }
  if (offset !== file.bytes) {
    raise('EB-CONTAINER', `${file.name} has ${file.bytes} bytes, its header says ${offset}`)
  }
  limit(parts[0]?.bytes ?? 0, releaseLimits.manifestBytesMax, `the manifest in ${file.name}`)
  if (wraps) limit(parts.at(-1)?.bytes ?? 0, releaseLimits.wrapsBytesMax, `the key wraps in ${file.name}`)
  return parts
}

function limit(bytes: number, bytesMax: number, what: string): void {
  if (bytes > bytesMax)
    throw new EverbootError(fault('EB-ENDLESS', `${what} has ${bytes} bytes, limit ${bytesMax}`))
}

function kindsOf(blobs: number, wraps: boolean): readonly number[] {
  const { manifest, index, blob } = kindNumbers
  const each = (kind: number): number[] => Array.from({ length: blobs }, () => kind)
  return [manifest, ...each(index), ...each(blob), ...(wraps ? [kindNumbers.wraps] : [])]
}

function encodeHeader(parts: readonly { readonly kind: number; readonly bytes: number }[]): Uint8Array {
  const header = new Uint8Array(headBytes + parts.length * partBytes)
  const view = new DataView(header.buffer)
  header.set(magic, 0)
  view.setUint32(8, format, true)
  view.setUint32(12, parts.length, true)
  parts.forEach((part, index) => {
    view.setUint32(headBytes + index * partBytes, part.kind, true)
    view.setBigUint64(headBytes + index * partBytes + 8, BigInt(part.bytes), true)
  })
  return header
}
