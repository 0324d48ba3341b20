/**
 * Room on the medium for clips that come.
 * Promise: what updates need stays free, also when several clips come at once: clips that are there give way to one that
 * somebody waits for; one that is fetched ahead pushes out nothing.
 * Leaves to others: which clips give way (clip-cache.ts).
 */
import { raise } from '../../core/errors.ts'
import type { ClipFiles } from '../../core/ports.ts'
import type { Urgency } from './clip-fetcher.ts'
import type { ClipStore } from './clip-store.ts'
import { sealedBytes } from './content-file.ts'
import { turns } from './turns.ts'

export class Room {
  readonly #files: Pick<ClipFiles, 'freeBytes'>
  readonly #store: Pick<ClipStore, 'giveWay'>
  readonly #reserveBytes: number
  readonly #oneByOne = turns()
  /** Of clips that are being stored. */
  #storing = 0
  /** Bytes that are being fetched and not on the medium yet. */
  fetching: () => number = () => 0

  /** @param reserveBytes what updates need */
  constructor(files: Pick<ClipFiles, 'freeBytes'>, store: Pick<ClipStore, 'giveWay'>, reserveBytes: number) {
    this.#files = files
    this.#store = store
    this.#reserveBytes = reserveBytes
  }

  /** Calls `begin` when there is room. @param urgency asked when there is none. @throws EverbootError EB-CLIP-FULL */
  make<T>(bytes: number, urgency: () => Urgency, begin: () => T): Promise<T> {
    return this.#oneByOne(async () => {
      const missing = await this.#missing(bytes)
      if (missing > 0 && urgency() === 'now') await this.#store.giveWay(missing)
      if (missing > 0 && (await this.#missing(bytes)) > 0) {
        raise('EB-CLIP-FULL', `a clip has ${bytes} bytes, and the medium has no room besides the reserve`)
      }
      return begin()
    })
  }

  /** Room for a clip that is stored. @returns to be called when it is on the medium, or will not be */
  take(bytes: number): Promise<() => void> {
    return this.make(
      bytes,
      () => 'now',
      () => {
        this.#storing += bytes
        return () => {
          this.#storing -= bytes
        }
      },
    )
  }

  async #missing(bytes: number): Promise<number> {
    const free = await this.#files.freeBytes()
    return sealedBytes(bytes) + this.fetching() + this.#storing + this.#reserveBytes - free
  }
}
