/**
 * Brings one image into the spare slot: piece after piece, each checked before it is written, missing runs
 * of pieces in one range request each.
 * Promise: resumable at every instant. What a mark covers is on the medium; after a start only pieces past
 * the mark are looked at again, and those that are whole are kept. Memory is one range buffer and a few
 * pieces, whatever the size of the image.
 * Leaves to others: the manifest, the final read-back, when to stop (`cancelled`).
 */
import { hash } from 'node:crypto'
import { assert } from '../../core/assert.ts'
import { readWhole } from '../../core/block-io.ts'
import type { Fault } from '../../core/errors.ts'
import { giveBack } from '../../core/give-back.ts'
import { downloadLimits } from '../../core/limits.ts'
import type { BlockDevice, Clock, Events, Fetch, PieceCodec, Random } from '../../core/ports.ts'
import { fail, ok, type Result } from '../../core/result.ts'
import { indexKey } from '../../images/release/content-cipher.ts'
import { entriesPerPage, type IndexEntry } from '../../images/release/index-page.ts'
import { pieceRange } from '../../images/release/manifest.ts'
import { pieceAad } from '../../images/release/piece.ts'
import { slotWriter } from '../slots/slot-writer.ts'
import type { PlannedImage } from '../update/plan.ts'
import { indexReader } from './index-reader.ts'
import { pieceStream } from './piece-stream.ts'
import { progressKeeper, type Tally } from './progress.ts'
import { fetchRange, type RangeBody } from './range-fetch.ts'
import { type RetryHost, retrying } from './retrying.ts'
import { throttle } from './throttle.ts'
import type { TransferFault } from './transfer-fault.ts'

export interface FetcherPorts {
  readonly fetch: Fetch
  readonly clock: Clock
  readonly random: Random
  readonly codec: PieceCodec
  readonly events: Events
}

export interface DownloadJob extends RetryHost {
  readonly releaseId: string
  readonly planned: PlannedImage
  readonly indexUrl: string
  readonly blobUrl: string
  /** The partition, opened exclusively. */
  readonly device: BlockDevice
  /** Pieces before this one are on the medium. */
  readonly mark: number
  /**
   * How much past the mark may be there already: nothing (what is read does not count, zeros neither), what one
   * mark can lag, or all of it.
   */
  readonly rescan: 'none' | 'window' | 'all'
  /** Bytes per second, or null. */
  readonly throttle: number | null
  /** Makes "pieces before `mark` are on the medium" durable; called after a flush of the device. */
  saveMark(mark: number, tally: Tally): Promise<void>
  /** Told now and then, for people. */
  onProgress(rawBytesDone: number, tally: Tally): void
}

export type DownloadEnd = 'complete' | 'cancelled'

/** @returns how it ended, or the fault that ends the attempt. @throws EverbootError EB-SLOT-IO, EB-DATA-*. */
export async function downloadImage(
  job: DownloadJob,
  ports: FetcherPorts,
): Promise<Result<DownloadEnd, Fault>> {
  const run = downloadRun(job, ports)
  try {
    const ended = await retrying(run.advance, run.next, job, ports)
    return ended.ok ? ok(ended.value ?? 'cancelled') : ended
  } finally {
    await run.rest()
  }
}

interface DownloadRun {
  /** First piece that is not done. */
  next(): number
  /** Goes on until all is done, it is cancelled, or something fails. */
  advance(): Promise<Result<DownloadEnd, TransferFault>>
  /** Returns when nothing is under way any more. */
  rest(): Promise<void>
}

function downloadRun(job: DownloadJob, ports: FetcherPorts): DownloadRun {
  const { planned, device } = job
  const { blob, image } = planned
  const writer = slotWriter(device, image.paddedBytes, blob.pieceBytes, job.rescan === 'none')
  const index = indexReader(
    job.indexUrl,
    blob,
    {
      suite: blob.suite,
      key: indexKey(planned.contentKey),
      releaseId: job.releaseId,
      blobId: blob.id,
      pieces: blob.pieces,
      blobBytes: blob.bytes,
    },
    ports.fetch,
    ports.clock,
    job.cancelled,
  )
  const progress = progressKeeper(job, writer, ports.clock)
  const present = presenceCheck(job)
  const slower = throttle(job.throttle, ports.clock)
  let etag: string | null = null
  let next = job.mark

  /** Deals with pieces that need no network; stops at the first that does. */
  const localPieces = async (): Promise<Result<IndexEntry | null, TransferFault>> => {
    while (next < blob.pieces && !job.cancelled.aborted) {
      const entry = await index.entry(next)
      progress.indexBytes(index.fetchedBytes, next)
      if (!entry.ok) return entry
      const { offset, bytes } = pieceRange(blob, image.paddedBytes, next)
      if (await present(next, offset, bytes, entry.value)) {
        // Past a mark they had been fetched before the last stop; without one they may be of another attempt.
        if (job.rescan === 'window' && job.mark > 0) progress.found(entry.value.sealedBytes)
      } else if (entry.value.kind === 'zero') await writer.writeZeros(offset, bytes)
      else return entry
      next += 1
      await progress.done(next, bytes)
    }
    return ok(null)
  }

  /** Pieces from `next` on that follow each other in the blob and on one index page. */
  const runFrom = async (first: IndexEntry): Promise<Result<readonly IndexEntry[], TransferFault>> => {
    const run = [first]
    let end = first.offset + first.sealedBytes
    const pageEnd = (Math.floor(next / entriesPerPage) + 1) * entriesPerPage
    for (let piece = next + 1; piece < Math.min(pageEnd, blob.pieces); piece += 1) {
      const entry = await index.entry(piece)
      if (!entry.ok) return entry
      if (entry.value.offset !== end) break
      end += entry.value.sealedBytes
      if (end - first.offset > downloadLimits.rangeBytesMax) break
      const { offset, bytes } = pieceRange(blob, image.paddedBytes, piece)
      if (entry.value.kind !== 'zero' && (await present(piece, offset, bytes, entry.value))) break
      run.push(entry.value)
    }
    while (run.at(-1)?.kind === 'zero') run.pop()
    return ok(run)
  }

  /** Fetches a run in one request and writes its pieces as they become whole. */
  const fetchRun = async (run: readonly IndexEntry[]): Promise<Result<void, TransferFault>> => {
    const [first, last] = [run[0], run.at(-1)]
    assert(first !== undefined && last !== undefined, 'a run has pieces')
    const body = await fetchRange(
      {
        url: job.blobUrl,
        start: first.offset,
        endExclusive: last.offset + last.sealedBytes,
        fileBytes: blob.bytes,
        etag,
      },
      ports.fetch,
      ports.clock,
      job.cancelled,
    )
    if (!body.ok) {
      if (body.error.fault.code === 'EB-CHANGED') etag = null
      return body
    }
    etag = body.value.etag
    const outcome = await takePieces(body.value, run)
    body.value.cancel()
    return outcome
  }

  const takePieces = async (
    body: RangeBody,
    run: readonly IndexEntry[],
  ): Promise<Result<void, TransferFault>> => {
    const largest = Math.max(...run.map((it) => it.sealedBytes))
    const stream = pieceStream(body, largest, async (bytes) => {
      progress.fetched(bytes)
      await slower(bytes)
    })
    for (const entry of run) {
      if (job.cancelled.aborted) return ok(undefined)
      if (entry.kind === 'zero') {
        const { offset, bytes } = pieceRange(blob, image.paddedBytes, next)
        await writer.writeZeros(offset, bytes)
        next += 1
        await progress.done(next, bytes)
        continue
      }
      const sealed = await stream.next(entry.sealedBytes)
      if (!sealed.ok) return sealed
      const stored = await store(entry, sealed.value)
      if (!stored.ok) return stored
    }
    return stream.end()
  }

  const store = async (entry: IndexEntry, sealed: Uint8Array): Promise<Result<void, TransferFault>> => {
    const { offset, bytes } = pieceRange(blob, image.paddedBytes, next)
    const opened = await ports.codec.open({
      suite: blob.suite,
      compression: entry.kind === 'zstd' ? 'zstd' : 'none',
      key: planned.contentKey,
      pieceIndex: next,
      aad: pieceAad(job.releaseId, blob.id, next, blob.pieces),
      sealed,
      sealedSha256: entry.sealedSha256,
      rawBytes: bytes,
      rawSha256: entry.rawSha256,
    })
    if (!opened.ok) return fail({ class: 'bytes', fault: opened.error, retryAfterMs: null })
    await writer.write(offset, opened.value)
    giveBack(opened.value)
    next += 1
    progress.useful(sealed.length)
    await progress.done(next, bytes)
    return ok(undefined)
  }

  return {
    next: () => next,
    rest: progress.rest,
    async advance() {
      for (;;) {
        const first = await localPieces()
        if (!first.ok) return first
        if (job.cancelled.aborted) return ok('cancelled')
        if (first.value === null) {
          await progress.finish(next)
          return ok('complete')
        }
        const run = await runFrom(first.value)
        if (!run.ok) return run
        const fetched = await fetchRun(run.value)
        if (!fetched.ok) return fetched
      }
    },
  }
}

/** Whether a piece past the mark is already in the slot, whole. */
function presenceCheck(job: DownloadJob) {
  const { blob } = job.planned
  const window = Math.ceil(downloadLimits.rescanBytes / blob.pieceBytes) + 1
  const spans = { none: 0, window, all: blob.pieces }
  const last = job.mark + spans[job.rescan]
  const buffer = job.device.allocate(blob.pieceBytes)
  const known = { piece: -1, present: false }
  return async (piece: number, offset: number, bytes: number, entry: IndexEntry): Promise<boolean> => {
    if (piece >= last) return false
    if (known.piece === piece) return known.present
    const part = buffer.subarray(0, bytes)
    await readWhole(job.device, offset, part, 'the spare slot')
    known.piece = piece
    known.present = hash('sha256', part, 'buffer').compare(entry.rawSha256) === 0
    return known.present
  }
}
