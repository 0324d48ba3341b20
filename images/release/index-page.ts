/**
 * The index of a blob: for each piece its kind, where its ciphertext lies and the hashes of both its forms,
 * in binary pages of at most 64 KiB that are sealed one by one.
 * Promise: a page is read only after its hash matched the manifest and its AEAD tag held; entries that
 * point outside the blob, overlap or leave gaps are refused.
 * Leaves to others: fetching pages, opening pieces. `docs/FORMAT.md` has the layout.
 *
 * Page, little endian: magic "EBIX", u32 version 1, u32 page number, u32 first piece, u32 entries, 12 zero
 * bytes; then entries of 80 bytes: u8 kind, 3 zero bytes, u32 sealed length, u64 offset in the blob,
 * SHA-256 of the raw piece, SHA-256 of the sealed piece; then the AEAD tag (16 bytes).
 */
import { hash } from 'node:crypto'
import { type Fault, fault } from '../../core/errors.ts'
import { releaseLimits } from '../../core/limits.ts'
import { fail, ok, type Result } from '../../core/result.ts'
import { openAead, type Suite, sealAead, tagBytes } from './content-cipher.ts'

export const entryBytes = 80
export const pageHeaderBytes = 32
export const entriesPerPage = Math.floor(
  (releaseLimits.indexPageBytesMax - pageHeaderBytes - tagBytes) / entryBytes,
)
const magic = 0x5849_4245
const pageVersion = 1

/** `zero`: nothing in the blob; `zstd`, `stored`: compressed or as it is. */
export type PieceKind = 'zero' | 'zstd' | 'stored'
const kindNumbers: Readonly<Record<PieceKind, number>> = { zero: 0, zstd: 1, stored: 2 }
const kinds: readonly PieceKind[] = ['zero', 'zstd', 'stored']

export interface IndexEntry {
  readonly kind: PieceKind
  /** Where the sealed piece starts in the blob. */
  readonly offset: number
  readonly sealedBytes: number
  readonly rawSha256: Uint8Array
  readonly sealedSha256: Uint8Array
}

export interface IndexPage {
  readonly page: number
  readonly firstPiece: number
  readonly entries: readonly IndexEntry[]
}

/** What binds a page to its place. */
export interface PageContext {
  readonly suite: Suite
  /** `indexKey()` of the content key. */
  readonly key: Uint8Array
  readonly releaseId: string
  readonly blobId: string
  readonly pieces: number
  readonly blobBytes: number
}

export function pageCount(pieces: number): number {
  return Math.ceil(pieces / entriesPerPage)
}

/** Pieces described by page `page`. */
export function pageEntries(pieces: number, page: number): number {
  return Math.min(entriesPerPage, pieces - page * entriesPerPage)
}

/** Where page `page` lies in the index file. */
export function pageRange(pieces: number, page: number): { readonly offset: number; readonly bytes: number } {
  return {
    offset: page * sealedPageBytes(entriesPerPage),
    bytes: sealedPageBytes(pageEntries(pieces, page)),
  }
}

/** Length of the whole index file. */
export function indexBytes(pieces: number): number {
  const last = pageCount(pieces) - 1
  const { offset, bytes } = pageRange(pieces, last)
  return offset + bytes
}

/** @returns the sealed page */
export function sealPage(page: number, entries: readonly IndexEntry[], context: PageContext): Uint8Array {
  const clear = new Uint8Array(pageHeaderBytes + entries.length * entryBytes)
  const view = new DataView(clear.buffer)
  view.setUint32(0, magic, true)
  view.setUint32(4, pageVersion, true)
  view.setUint32(8, page, true)
  view.setUint32(12, page * entriesPerPage, true)
  view.setUint32(16, entries.length, true)
  entries.forEach((entry, index) => {
    const at = pageHeaderBytes + index * entryBytes
    view.setUint8(at, kindNumbers[entry.kind])
    view.setUint32(at + 4, entry.sealedBytes, true)
    view.setBigUint64(at + 8, BigInt(entry.offset), true)
    clear.set(entry.rawSha256, at + 16)
    clear.set(entry.sealedSha256, at + 48)
  })
  return sealAead(pageSuite(context.suite), context.key, page, pageAad(context, page), clear)
}

/**
 * @param sealed the page as fetched; @param sha256 its hash in the manifest, hex
 * @returns its entries, or EB-INDEX
 */
export function openPage(
  sealed: Uint8Array,
  page: number,
  sha256: string,
  context: PageContext,
): Result<IndexPage, Fault> {
  const bad = (what: string): Result<IndexPage, Fault> =>
    fail(fault('EB-INDEX', `index page ${page} of blob ${context.blobId}: ${what}`))
  if (hash('sha256', sealed) !== sha256) return bad('wrong hash')
  const clear = openAead(pageSuite(context.suite), context.key, page, pageAad(context, page), sealed)
  if (clear === null) return bad('cannot be opened')
  const wanted = pageEntries(context.pieces, page)
  if (clear.length !== pageHeaderBytes + wanted * entryBytes) return bad('wrong length')
  const view = new DataView(clear.buffer, clear.byteOffset, clear.byteLength)
  const header = [magic, pageVersion, page, page * entriesPerPage, wanted, 0, 0, 0]
  if (!header.every((word, index) => view.getUint32(index * 4, true) === word)) return bad('wrong header')
  const entries: IndexEntry[] = []
  let next: number | null = null
  for (let index = 0; index < wanted; index += 1) {
    const entry = entryAt(clear, view, pageHeaderBytes + index * entryBytes)
    if (entry === null) return bad(`entry ${index} is malformed`)
    if (next !== null && entry.offset !== next) return bad(`entry ${index} does not follow the one before`)
    next = entry.offset + entry.sealedBytes
    if (next > context.blobBytes) return bad(`entry ${index} lies outside the blob`)
    entries.push(entry)
  }
  return ok({ page, firstPiece: page * entriesPerPage, entries })
}

function entryAt(clear: Uint8Array, view: DataView, at: number): IndexEntry | null {
  const kind = kinds[view.getUint8(at)]
  const padding = view.getUint8(at + 1) | view.getUint8(at + 2) | view.getUint8(at + 3)
  const sealedBytes = view.getUint32(at + 4, true)
  const offset = Number(view.getBigUint64(at + 8, true))
  if (kind === undefined || padding !== 0 || !Number.isSafeInteger(offset)) return null
  if (sealedBytes > releaseLimits.sealedPieceBytesMax || (kind === 'zero') !== (sealedBytes === 0))
    return null
  return {
    kind,
    offset,
    sealedBytes,
    rawSha256: clear.slice(at + 16, at + 48),
    sealedSha256: clear.slice(at + 48, at + 80),
  }
}

function sealedPageBytes(entries: number): number {
  return pageHeaderBytes + entries * entryBytes + tagBytes
}

/** CBC has no tag; its index is sealed with GCM. */
function pageSuite(suite: Suite): Exclude<Suite, 'aes-256-cbc'> {
  return suite === 'aes-256-cbc' ? 'aes-256-gcm' : suite
}

function pageAad(context: PageContext, page: number): Uint8Array {
  return new TextEncoder().encode(
    `everboot index\0${context.releaseId}\0${context.blobId}\0${page}\0${pageCount(context.pieces)}`,
  )
}
