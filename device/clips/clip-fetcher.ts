/**
 * Brings contents from the hub: one download for each content however many want it, few at a time, those that somebody
 * waits for before those that may be wanted.
 * Promise: the hub is left alone when it fails again and again, and is not asked twice for what it does not have.
 * Leaves to others: what a download is (clip-download.ts), which clips there are (catalog.ts).
 */
import { servingLimits } from '../../core/clip-limits.ts'
import { EverbootError, type Fault, fault } from '../../core/errors.ts'
import type { Result } from '../../core/result.ts'
import type { ListedClip } from '../../core/wire/skills.ts'
import { Breaker, Negatives } from './breaker.ts'
import { ClipDownload, type DownloadPorts, type Kept } from './clip-download.ts'
import type { ClipStore, Description } from './clip-store.ts'

/** `now`: somebody waits for it; `some time`: a prefetch. */
export type Urgency = 'now' | 'some time'

interface Waiting {
  readonly sha256: string
  urgency: Urgency
  readonly begin: () => void
  readonly giveUp: () => void
}

export class ClipFetcher {
  readonly #ports: DownloadPorts
  readonly #store: ClipStore
  readonly #hubUrl: string
  readonly #breaker: Breaker
  readonly #negatives: Negatives
  /** By SHA-256. */
  readonly #downloads = new Map<string, Promise<ClipDownload>>()
  readonly #waiting: Waiting[] = []
  #running = 0
  #closed = false

  constructor(ports: DownloadPorts, store: ClipStore, hubUrl: string) {
    this.#ports = ports
    this.#store = store
    this.#hubUrl = hubUrl
    this.#breaker = new Breaker(ports.clock)
    this.#negatives = new Negatives(ports.clock)
  }

  /** The download of a content, begun or joined. @throws EverbootError EB-HUB-UNREACHABLE, EB-CLIP-MISSING, EB-LIMIT at once when it would be in vain */
  async fetch(clip: ListedClip, about: Description, urgency: Urgency): Promise<ClipDownload> {
    const known = this.#downloads.get(clip.sha256)
    if (known !== undefined) {
      if (urgency === 'now') this.#hurry(clip.sha256)
      return known
    }
    const why = this.#closed ? fault('EB-CANCELLED', 'the clip cache is closing') : this.#inVain(clip)
    if (why !== null) throw new EverbootError(why)
    const begun = this.#turn(clip.sha256, urgency).then(() => this.#begin(clip, about))
    this.#downloads.set(clip.sha256, begun)
    begun.catch(() => this.#downloads.delete(clip.sha256))
    return begun
  }

  /** The hub can be asked again: what it did not have, it may have now. */
  linkUp(): void {
    this.#breaker.answered()
    this.#negatives.clear()
  }

  /** Nothing is fetched any more when it returns, and nobody waits. */
  async close(): Promise<void> {
    this.#closed = true
    for (const { giveUp } of this.#waiting.splice(0)) giveUp()
    for (const download of [...this.#downloads.values()]) {
      const it = await download.catch(() => null)
      it?.stop()
      await it?.ended
    }
  }

  #inVain(clip: ListedClip): Fault | null {
    if (this.#negatives.has(clip.sha256)) return fault('EB-CLIP-MISSING', `the hub has no clip ${clip.id}`)
    const waitMs = this.#breaker.waitMs()
    if (waitMs > 0) {
      const what = `the hub failed ${servingLimits.breakerFailures} times in a row, next try in ${Math.ceil(waitMs / 1000)} s`
      return fault('EB-HUB-UNREACHABLE', what)
    }
    if (this.#waiting.length >= servingLimits.waitingMax) {
      return fault('EB-LIMIT', `${this.#waiting.length} clips wait for the network`)
    }
    return null
  }

  #begin(clip: ListedClip, about: Description): ClipDownload {
    const url = `${this.#hubUrl}/clips/${clip.sha256}`
    const download = new ClipDownload(this.#ports, this.#store, url, clip, about)
    download.ended.then((outcome) => this.#ended(clip, outcome))
    return download
  }

  #ended(clip: ListedClip, outcome: Result<Kept, Fault>): void {
    this.#downloads.delete(clip.sha256)
    this.#running -= 1
    if (outcome.ok) this.#breaker.answered()
    else {
      const { code, what } = outcome.error
      this.#ports.events.emit({ event: 'clip not fetched', clip: clip.id, code, what })
      if (code === 'EB-CLIP-MISSING' || code === 'EB-AUTH') this.#negatives.add(clip.sha256)
      else if (code !== 'EB-CANCELLED') this.#breaker.failed()
    }
    this.#next()
  }

  /** Somebody waits now for what was to be fetched some time. */
  #hurry(sha256: string): void {
    const waiting = this.#waiting.find((it) => it.sha256 === sha256)
    if (waiting === undefined) return
    waiting.urgency = 'now'
    this.#next()
  }

  #turn(sha256: string, urgency: Urgency): Promise<void> {
    return new Promise((resolve, reject) => {
      const giveUp = (): void => reject(new EverbootError(fault('EB-CANCELLED', 'the clip cache is closing')))
      this.#waiting.push({ sha256, urgency, begin: resolve, giveUp })
      this.#next()
    })
  }

  #next(): void {
    while (!this.#closed && this.#running < servingLimits.fetchesMax) {
      const urgent = this.#waiting.findIndex((it) => it.urgency === 'now')
      // One place is kept for somebody who waits.
      const at = urgent >= 0 ? urgent : this.#running < servingLimits.fetchesMax - 1 ? 0 : -1
      const [turn] = at < 0 ? [] : this.#waiting.splice(at, 1)
      if (turn === undefined) return
      this.#running += 1
      turn.begin()
    }
  }
}
