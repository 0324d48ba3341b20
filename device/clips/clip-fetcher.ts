/**
 * Brings contents from the hub: one download for each content however many want it, few at a time, those that somebody
 * waits for before those that may be wanted.
 * Promise: the hub is left alone when it fails again and again, and is not asked twice for what it does not have; nothing
 * is under way any more when `close` returns.
 * Leaves to others: what a download is (clip-download.ts), which clips there are (catalog.ts), room (clip-service.ts).
 */
import { servingLimits } from '../../core/clip-limits.ts'
import { EverbootError, errorTable, type Fault, fault, faultOf } from '../../core/errors.ts'
import type { Result } from '../../core/result.ts'
import type { ListedClip } from '../../core/wire/skills.ts'
import { Breaker, Negatives } from './breaker.ts'
import { ClipDownload, type DownloadPorts, type Kept } from './clip-download.ts'
import type { ClipStore } from './clip-store.ts'
import type { Description } from './store-types.ts'

/** `now`: somebody waits for it; `some time`: a prefetch. */
export type Urgency = 'now' | 'some time'

/** A clip that is to be fetched. */
export interface Wish {
  readonly clip: ListedClip
  /** How it is to be stored. */
  readonly about: Description
  /** Asked when it has come: its skill may have changed meanwhile. */
  readonly wanted: () => boolean
}

/** Calls `begin` when there is room for so many bytes on the medium. @throws EverbootError EB-CLIP-FULL when there is none */
export type MakeRoom = <T>(bytes: number, urgency: () => Urgency, begin: () => T) => Promise<T>

interface Fetching {
  readonly wish: Wish
  urgency: Urgency
  /** Null: it is its turn already. */
  turn: { begin(): void; refuse(why: EverbootError): void } | null
  readonly begun: Promise<ClipDownload>
  download: ClipDownload | null
}

export class ClipFetcher {
  readonly #ports: DownloadPorts
  readonly #store: ClipStore
  readonly #hubUrl: string
  readonly #makeRoom: MakeRoom
  readonly #breaker: Breaker
  readonly #negatives: Negatives
  /** By SHA-256; those that wait for their turn in the order in which they came. */
  readonly #all = new Map<string, Fetching>()
  #running = 0
  #closed = false

  constructor(ports: DownloadPorts, store: ClipStore, hubUrl: string, makeRoom: MakeRoom) {
    this.#ports = ports
    this.#store = store
    this.#hubUrl = hubUrl
    this.#makeRoom = makeRoom
    this.#breaker = new Breaker(ports.clock)
    this.#negatives = new Negatives(ports.clock)
  }

  /**
   * The download of a content, begun or joined.
   * @throws EverbootError EB-HUB-UNREACHABLE, EB-CLIP-MISSING, EB-LIMIT when it would be in vain; EB-CLIP-FULL; EB-CANCELLED
   */
  async fetch(wish: Wish, urgency: Urgency): Promise<ClipDownload> {
    if (this.#closed) throw new EverbootError(closedFault)
    const { sha256 } = wish.clip
    const known = this.#all.get(sha256)
    if (known !== undefined && known.download?.isOver !== true) {
      if (urgency === 'now') {
        known.urgency = 'now'
        this.#next()
      }
      return known.begun
    }
    const why = this.#inVain(wish.clip, this.#breaker.waitMs()) ?? this.#crowded()
    if (why !== null) throw new EverbootError(why)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const begun = promise.then(() => this.#begin(it))
    const it: Fetching = { wish, urgency, turn: { begin: resolve, refuse: reject }, begun, download: null }
    this.#all.set(sha256, it)
    this.#next()
    return begun
  }

  /** Whether the hub has a content now; null: it does not say. */
  async ask(sha256: string): Promise<boolean | null> {
    if (this.#closed || this.#breaker.enter() > 0) return null
    try {
      const url = this.#urlOf(sha256)
      const answer = await this.#ports.fetch.get({ url, range: { start: 0, endExclusive: 1 } })
      answer.cancel()
      if (answer.status < 500) this.#breaker.answered()
      else this.#breaker.failed()
      return answer.status === 206 ? true : answer.status === 404 ? false : null
    } catch (caught) {
      this.#count(faultOf(caught))
      throw caught
    }
  }

  /** Bytes of what is coming and not on the medium yet. */
  get missingBytes(): number {
    let bytes = 0
    for (const { download } of this.#all.values()) bytes += download?.missingBytes ?? 0
    return bytes
  }

  /** The hub can be asked again: what it did not have, it may have now. */
  linkUp(): void {
    this.#breaker.answered()
    this.#negatives.clear()
  }

  /** Returns when nothing is under way any more. */
  async close(): Promise<void> {
    this.#closed = true
    const all = [...this.#all.values()]
    for (const { turn } of all) turn?.refuse(new EverbootError(closedFault))
    await Promise.all(
      all.map(async ({ begun }) => {
        const download = await begun.catch(() => null)
        await download?.close()
      }),
    )
  }

  #inVain(clip: ListedClip, waitMs: number): Fault | null {
    if (this.#negatives.has(clip.sha256)) return fault('EB-CLIP-MISSING', `the hub has no clip ${clip.id}`)
    if (waitMs === 0) return null
    const what = `the hub failed ${servingLimits.breakerFailures} times in a row, next try in ${Math.ceil(waitMs / 1000)} s`
    return fault('EB-HUB-UNREACHABLE', what)
  }

  #crowded(): Fault | null {
    const waiting = this.#all.size - this.#running
    return waiting < servingLimits.waitingMax
      ? null
      : fault('EB-LIMIT', `${waiting} clips wait for the network`)
  }

  /** Its turn has come; the hub may have failed others meanwhile. */
  async #begin(it: Fetching): Promise<ClipDownload> {
    const { clip, about, wanted } = it.wish
    try {
      const why = this.#inVain(clip, this.#breaker.enter())
      if (why !== null) throw new EverbootError(why)
      const download = await this.#makeRoom(
        clip.bytes,
        () => it.urgency,
        () => {
          if (this.#closed) throw new EverbootError(closedFault)
          const url = this.#urlOf(clip.sha256)
          it.download = new ClipDownload(this.#ports, this.#store, url, clip, about, wanted)
          return it.download
        },
      )
      void download.ended.then((outcome) => this.#ended(it, outcome))
      return download
    } catch (caught) {
      this.#leave(it)
      throw caught
    }
  }

  #ended(it: Fetching, outcome: Result<Kept, Fault>): void {
    if (outcome.ok) this.#breaker.answered()
    else {
      const { code, what } = outcome.error
      const { clip } = it.wish
      this.#ports.events.emit({ event: 'clip not fetched', clip: clip.id, code, what })
      if (code === 'EB-CLIP-MISSING' || code === 'EB-AUTH') this.#negatives.add(clip.sha256)
      this.#count(outcome.error)
    }
    this.#leave(it)
  }

  /** What a failure says of the hub. One of this device says nothing; one that the hub answers is no silence. */
  #count({ code }: Fault): void {
    const { family } = errorTable[code]
    if (family === 'network' && code !== 'EB-AUTH') this.#breaker.failed()
    else if (family === 'network' || family === 'refused') this.#breaker.answered()
  }

  #leave(it: Fetching): void {
    const { sha256 } = it.wish.clip
    if (this.#all.get(sha256) === it) this.#all.delete(sha256)
    this.#running -= 1
    this.#next()
  }

  #next(): void {
    while (!this.#closed && this.#running < servingLimits.fetchesMax) {
      const it = this.#mostUrgent()
      if (it === null) return
      this.#running += 1
      it.turn?.begin()
      it.turn = null
    }
  }

  #mostUrgent(): Fetching | null {
    let first: Fetching | null = null
    for (const it of this.#all.values()) {
      if (it.turn === null) continue
      if (it.urgency === 'now') return it
      first ??= it
    }
    // One place is kept for somebody who waits.
    return this.#running < servingLimits.fetchesMax - 1 ? first : null
  }

  #urlOf(sha256: string): string {
    return `${this.#hubUrl}/clips/${sha256}`
  }
}

const closedFault = fault('EB-CANCELLED', 'the clip cache is being closed', 'ask again when it is open')
