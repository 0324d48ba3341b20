/**
 * One content on its way from the hub: every piece is checked against the signed list before it is kept or heard, and
 * can be read by any number of readers while the rest is still coming.
 * Promise: memory for two pieces, however long the clip; goes on where it broke off; a wrong piece is fetched again and never
 * handed out; readers of what could not be kept still get all of it.
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
import { type ClipStore, type Description, keyOf } from './clip-store.ts'
import type { Draft, Reading } from './contents.ts'

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
  #readers = 0
  #over: Result<Kept, Fault> | null = null
  /** Keeps the content from going while somebody reads it; null: it is a draft still. */
  #lease: Reading | null = null
  #released = false
  #wakers: (() => void)[] = []

  /** Begins at once. @param url of the content. @param about how it is to be stored */
  constructor(ports: DownloadPorts, store: ClipStore, url: string, clip: ListedClip, about: Description) {
    this.#ports = ports
    this.#store = store
    this.#url = url
    this.clip = clip
    this.#draft = store.draft(false)
    this.ended = this.#run(about)
  }

  /** Gives up; who is listening is told. */
  stop(): void {
    this.#cancel.abort()
  }

  /** Checked bytes of a part, as they come. @throws EverbootError why the rest does not come */
  async *read(start: number, endExclusive: number): AsyncGenerator<Uint8Array, void> {
    this.#readers += 1
    try {
      for (let at = start; at < endExclusive; ) {
        const piece = Math.floor(at / pieceBytes)
        await this.#arrived(piece)
        const end = Math.min(endExclusive, (piece + 1) * pieceBytes)
        yield await this.#piece(piece, at, end)
        at = end
      }
    } finally {
      this.#readers -= 1
      if (this.#readers === 0 && this.#over !== null) await this.#letGo()
    }
  }

  async #piece(piece: number, start: number, endExclusive: number): Promise<Uint8Array> {
    if (piece === this.#pieces - 1) {
      const from = piece * pieceBytes
      return this.#latest.subarray(start - from, endExclusive - from)
    }
    const { bytes } = this.clip
    const parts =
      this.#lease?.part(start, endExclusive) ?? this.#store.readDraft(this.#draft, bytes, start, endExclusive)
    const part = await parts.next()
    if (part.done !== true && part.value !== null) return part.value
    throw new EverbootError(fault('EB-CLIP-DAMAGED', `clip ${this.clip.id} was damaged while it came`))
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

  async #run(about: Description): Promise<Result<Kept, Fault>> {
    let over: Result<Kept, Fault>
    try {
      over = await this.#fetchAll(about)
    } catch (caught) {
      over = fail(faultOf(caught))
    }
    this.#over = over
    this.#wake()
    if (this.#readers === 0) await this.#letGo()
    return over
  }

  async #fetchAll(about: Description): Promise<Result<Kept, Fault>> {
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
    if (fetched.value === null)
      return fail(fault('EB-CANCELLED', `clip ${this.clip.id} is not wanted any more`))
    const finished = await this.#draft.writer.finish()
    if (finished.sha256.toString('hex') !== this.clip.sha256) {
      return fail(fault('EB-PIECE', `clip ${this.clip.id} is not what its pieces make`))
    }
    return this.#keep(finished, about)
  }

  async #keep(
    finished: Awaited<ReturnType<Draft['writer']['finish']>>,
    about: Description,
  ): Promise<Result<Kept, Fault>> {
    try {
      await this.#store.place(this.#draft, finished, about)
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

  /** Nobody reads it any more: what was not kept goes. */
  async #letGo(): Promise<void> {
    if (this.#released) return
    this.#released = true
    if (this.#lease !== null) return this.#lease.done()
    // What cannot be removed now is removed at the next start.
    await this.#store.abandon(this.#draft).catch((caught: unknown) => {
      const { code, what } = faultOf(caught)
      this.#ports.events.emit({ event: 'clip not removed', clip: this.clip.id, code, what })
    })
  }
}

const roomCodes: ReadonlySet<string> = new Set([
  'EB-CLIP-FULL',
  'EB-CLIP-SIZE',
  'EB-CONFLICT',
  'EB-DATA-FULL',
])
