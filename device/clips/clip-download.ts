/**
 * One content on its way from the hub: every piece is checked against the signed list before it is kept or heard, and
 * can be read by any number of readers while the rest is still coming.
 * Promise: memory for a few pieces, however long the clip; goes on where it broke off; a wrong piece is fetched again and
 * never handed out; readers of what the cache has no room for still get all of it; no draft is left behind.
 * Leaves to others: which contents are fetched and when (clip-fetcher.ts).
 */
import { checkPiece } from '../../audio/list-entry.ts'
import { assert } from '../../core/assert.ts'
import { clipLimits, servingLimits } from '../../core/clip-limits.ts'
import { EverbootError, type Fault, fault, faultOf } from '../../core/errors.ts'
import type { Clock, Events, Fetch, Random } from '../../core/ports.ts'
import { fail, ok, type Result } from '../../core/result.ts'
import type { ListedClip } from '../../core/wire/skills.ts'
import { fetchRange, type RangeBody } from '../download/range-fetch.ts'
import { retrying } from '../download/retrying.ts'
import { type TransferFault, transferFault } from '../download/transfer-fault.ts'
import { type ClipStore, keyOf } from './clip-store.ts'
import type { Draft, Reading } from './contents.ts'
import type { Description } from './store-types.ts'

export interface DownloadPorts {
  readonly fetch: Fetch
  readonly clock: Clock
  readonly random: Random
  readonly events: Events
}

/** How a download ended: kept, or heard only, since there is no room for it. */
export type Kept = 'kept' | 'not kept'

const pieceBytes = clipLimits.pieceBytes

export class ClipDownload {
  readonly clip: ListedClip
  /** Never rejects. */
  readonly ended: Promise<Result<Kept, Fault>>
  readonly #ports: DownloadPorts
  readonly #store: ClipStore
  readonly #url: string
  readonly #draft: Draft
  readonly #cancel = new AbortController()
  /** The newest piece that was checked, which may not be on the file yet. */
  #latest = Buffer.alloc(0)
  #pieces = 0
  /** Readers, and those who may read yet. */
  #holders = 0
  #over: Result<Kept, Fault> | null = null
  /** Keeps the content from going while somebody reads it; null: it is a draft still. */
  #lease: Reading | null = null
  #released: Promise<void> | null = null
  #wakers: (() => void)[] = []

  /** Begins at once. @param url of the content. @param about how it is to be stored. @param wanted asked before it is */
  constructor(
    ports: DownloadPorts,
    store: ClipStore,
    url: string,
    clip: ListedClip,
    about: Description,
    wanted: () => boolean,
  ) {
    this.#ports = ports
    this.#store = store
    this.#url = url
    this.clip = clip
    this.#draft = store.draft(false)
    this.ended = this.#run(about, wanted)
  }

  /** Nothing more comes. */
  get isOver(): boolean {
    return this.#over !== null
  }

  /** Bytes that are not on the medium yet: those that are still to come, and the newest piece. */
  get missingBytes(): number {
    return this.isOver ? 0 : this.clip.bytes - Math.max(0, this.#pieces - 1) * pieceBytes
  }

  /** What has come stays readable until the function that is returned is called. */
  hold(): () => void {
    this.#holders += 1
    let held = true
    return () => {
      if (!held) return
      held = false
      this.#holders -= 1
      if (this.isOver) void this.#letGo()
    }
  }

  /** Ends it, also for those who listen. Nothing is under way any more when it returns. */
  async close(): Promise<void> {
    this.#cancel.abort()
    await this.ended
    this.#released ??= this.#release()
    await this.#released
  }

  /** Checked bytes of a part, as they come. @throws EverbootError why the rest does not come */
  async *read(start: number, endExclusive: number): AsyncGenerator<Uint8Array, void> {
    const done = this.hold()
    try {
      for (let at = start; at < endExclusive; ) {
        const piece = Math.floor(at / pieceBytes)
        await this.#arrived(piece)
        const end = Math.min(endExclusive, (piece + 1) * pieceBytes)
        yield await this.#piece(piece, at, end)
        at = end
      }
    } finally {
      done()
    }
  }

  async #piece(piece: number, start: number, endExclusive: number): Promise<Uint8Array> {
    if (piece === this.#pieces - 1) {
      const from = piece * pieceBytes
      return this.#latest.subarray(start - from, endExclusive - from)
    }
    const lease = this.#lease
    const part = await this.#part(lease, start, endExclusive)
    if (part !== null) return part
    // The draft may have gone meanwhile, since the same content had come by another way.
    const later = lease === null ? this.#lease : null
    const again = later === null ? null : await this.#part(later, start, endExclusive)
    if (again !== null) return again
    throw new EverbootError(fault('EB-CLIP-DAMAGED', `clip ${this.clip.id} was damaged while it came`))
  }

  async #part(lease: Reading | null, start: number, endExclusive: number): Promise<Uint8Array | null> {
    const { bytes } = this.clip
    const parts =
      lease?.part(start, endExclusive) ?? this.#store.readDraft(this.#draft, bytes, start, endExclusive)
    const part = await parts.next()
    return part.done === true ? null : part.value
  }

  async #arrived(piece: number): Promise<void> {
    while (piece >= this.#pieces) {
      const over = this.#over
      if (over !== null && !over.ok) throw new EverbootError(over.error)
      assert(over === null, 'a download that has ended well has all pieces')
      await new Promise<void>((resolve) => this.#wakers.push(resolve))
    }
  }

  #wake(): void {
    for (const wake of this.#wakers.splice(0)) wake()
  }

  async #run(about: Description, wanted: () => boolean): Promise<Result<Kept, Fault>> {
    let over: Result<Kept, Fault>
    try {
      over = await this.#fetchAll(about, wanted)
    } catch (caught) {
      over = fail(faultOf(caught))
    }
    this.#over = over
    this.#wake()
    if (this.#holders === 0) void this.#letGo()
    return over
  }

  async #fetchAll(about: Description, wanted: () => boolean): Promise<Result<Kept, Fault>> {
    const { clock } = this.#ports
    let tries = 0
    let before = 0
    const action = async (): Promise<Result<true, TransferFault>> => {
      const outcome = await this.#fetchRest()
      tries = this.#pieces > before ? 1 : tries + 1
      before = this.#pieces
      if (outcome.ok) return outcome
      const { error } = outcome
      if (error.class === 'final' && error.fault.code === 'EB-HTTP-STATUS') {
        return fail({ ...error, fault: fault('EB-CLIP-MISSING', error.fault.what) })
      }
      if (tries < servingLimits.fetchTries) return outcome
      // Somebody may be listening: better the truth than silence.
      return fail({ ...error, class: 'final' })
    }
    const host = {
      cancelled: this.#cancel.signal,
      waitForLink: (waitMs: number) => clock.sleep(waitMs),
    }
    const fetched = await retrying(action, () => this.#pieces, host, this.#ports)
    if (!fetched.ok) return fetched
    if (fetched.value === null) return fail(cancelled(this.clip))
    const finished = await this.#draft.writer.finish()
    if (finished.sha256.toString('hex') !== this.clip.sha256) {
      return fail(fault('EB-PIECE', `clip ${this.clip.id} is not what its pieces make`))
    }
    return this.#keep(finished, about, wanted)
  }

  async #keep(
    finished: Awaited<ReturnType<Draft['writer']['finish']>>,
    about: Description,
    wanted: () => boolean,
  ): Promise<Result<Kept, Fault>> {
    try {
      await this.#store.place(this.#draft, finished, about, wanted)
      this.#lease = this.#store.lease(keyOf(this.clip.sha256))
      return ok('kept')
    } catch (caught) {
      const { code, what } = faultOf(caught)
      if (!roomCodes.has(code)) throw caught
      this.#ports.events.emit({ event: 'clip not kept', clip: this.clip.id, code, what })
      return ok('not kept')
    }
  }

  /** The pieces that are missing, by one request. */
  async #fetchRest(): Promise<Result<true, TransferFault>> {
    const { clip } = this
    const start = this.#pieces * pieceBytes
    const etag = `"sha256-${clip.sha256}"`
    const request = { url: this.#url, start, endExclusive: clip.bytes, fileBytes: clip.bytes, etag }
    const { fetch, clock } = this.#ports
    const body = await fetchRange(request, fetch, clock, this.#cancel.signal)
    if (!body.ok) return body
    try {
      // It may have been given up before there was an answer that could be cancelled.
      if (this.#cancel.signal.aborted) return fail(transferFault('final', cancelled(clip)))
      return await this.#take(body.value)
    } finally {
      body.value.cancel()
    }
  }

  async #take(body: RangeBody): Promise<Result<true, TransferFault>> {
    const { clip } = this
    const room = Buffer.allocUnsafe(pieceBytes)
    let filled = 0
    for (;;) {
      const part = await body.read()
      if (!part.ok) return part
      if (part.value === null) return ok(true)
      this.#store.countFetched(part.value.length)
      for (let at = 0; at < part.value.length; ) {
        const wanted = Math.min(pieceBytes, clip.bytes - this.#pieces * pieceBytes)
        const taken = part.value.subarray(at, at + wanted - filled)
        room.set(taken, filled)
        filled += taken.length
        at += taken.length
        if (filled < wanted) continue
        const piece = room.subarray(0, filled)
        if (!checkPiece(clip, this.#pieces, piece)) {
          const what = `piece ${this.#pieces} of clip ${clip.id} is not what the list says`
          return fail(transferFault('bytes', fault('EB-PIECE', what)))
        }
        await this.#draft.writer.write(piece)
        this.#latest = Buffer.from(piece)
        this.#pieces += 1
        filled = 0
        this.#wake()
      }
    }
  }

  /** Nobody reads it any more: what was not kept goes. Where it cannot be removed now, it is tried again later. */
  #letGo(): Promise<void> {
    if (this.#holders > 0) return Promise.resolve()
    this.#released ??= this.#release()
    return this.#released
  }

  async #release(): Promise<void> {
    try {
      if (this.#lease === null) await this.#store.abandon(this.#draft)
      else this.#lease.done()
    } catch (caught) {
      const { code, what } = faultOf(caught)
      this.#ports.events.emit({ event: 'clip not removed', clip: this.clip.id, code, what })
    }
  }
}

function cancelled({ id }: ListedClip): Fault {
  return fault('EB-CANCELLED', `clip ${id} is not wanted any more`, 'ask again if it is')
}

/** It was heard, and is not kept. */
const roomCodes: ReadonlySet<string> = new Set([
  'EB-CANCELLED',
  'EB-CLIP-FULL',
  'EB-CLIP-SIZE',
  'EB-CONFLICT',
  'EB-DATA-FULL',
])
