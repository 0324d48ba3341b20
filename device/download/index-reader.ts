/**
 * The index of one blob, page by page as pieces are asked for.
 * Promise: an entry comes from a page whose hash the manifest pins, checked each time the page is loaded; at
 * most one page is held.
 * Leaves to others: retrying; what is done with the pieces.
 */
import { fault } from '../../core/errors.ts'
import type { Clock, Fetch } from '../../core/ports.ts'
import { fail, ok, type Result } from '../../core/result.ts'
import {
  entriesPerPage,
  type IndexEntry,
  type IndexPage,
  openPage,
  type PageContext,
  pageRange,
} from '../../images/release/index-page.ts'
import type { Blob } from '../../images/release/manifest.ts'
import { fetchRange } from './range-fetch.ts'
import { type TransferFault, transferFault } from './transfer-fault.ts'

export interface IndexReader {
  entry(piece: number): Promise<Result<IndexEntry, TransferFault>>
  /** Bytes of index fetched so far. */
  readonly fetchedBytes: number
}

/** @param url of the index file */
export function indexReader(
  url: string,
  blob: Blob,
  context: PageContext,
  fetch: Fetch,
  clock: Clock,
  cancelled: AbortSignal,
): IndexReader {
  let held: IndexPage | null = null
  let etag: string | null = null
  let fetchedBytes = 0

  const load = async (page: number): Promise<Result<IndexPage, TransferFault>> => {
    const { offset, bytes } = pageRange(blob.pieces, page)
    const request = { url, start: offset, endExclusive: offset + bytes, fileBytes: blob.index.bytes, etag }
    const response = await fetchRange(request, fetch, clock, cancelled)
    if (!response.ok) {
      if (response.error.fault.code === 'EB-CHANGED') etag = null
      return response
    }
    const sealed = Buffer.alloc(bytes)
    for (let filled = 0; ; ) {
      const part = await response.value.read()
      if (!part.ok) return part
      if (part.value === null) break
      sealed.set(part.value, filled)
      filled += part.value.length
      fetchedBytes += part.value.length
    }
    const sha256 = blob.index.pages[page]
    if (sha256 === undefined) return fail(transferFault('final', fault('EB-INDEX', `no index page ${page}`)))
    const opened = openPage(sealed, page, sha256, context)
    if (!opened.ok) return fail(transferFault('bytes', opened.error))
    etag = response.value.etag
    return opened
  }

  return {
    get fetchedBytes() {
      return fetchedBytes
    },
    async entry(piece) {
      const page = Math.floor(piece / entriesPerPage)
      if (held === null || held.page !== page) {
        held = null
        const loaded = await load(page)
        if (!loaded.ok) return loaded
        held = loaded.value
      }
      const entry = held.entries[piece - held.firstPiece]
      return entry === undefined
        ? fail(transferFault('final', fault('EB-INDEX', `the index has no piece ${piece}`)))
        : ok(entry)
    },
  }
}
