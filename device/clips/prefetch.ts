/**
 * Fetches what skills list before anybody asks for it: skill by skill, in the order of their lists, a few clips at a time.
 * Promise: memory does not grow with what is still to be fetched; when the hub cannot be reached it is left alone until
 * it is heard of again, or for a while, and then goes on where it stopped; what failed is tried again, but not for ever.
 * Leaves to others: whether a clip is needed and has room, and fetching it (clip-service.ts).
 */
import { servingLimits } from '../../core/clip-limits.ts'
import type { Clock } from '../../core/ports.ts'
import type { ListedClip } from '../../core/wire/skills.ts'

/** @returns false when the hub could not give it, and may later. Never throws. */
export type FetchAhead = (skill: string, clip: ListedClip) => Promise<boolean>

/** What is to be fetched of one skill. */
interface Pass {
  readonly clips: readonly ListedClip[]
  readonly round: number
  readonly failed: ListedClip[]
  /** How many have begun, and how many of them have not ended. */
  begun: number
  running: number
}

/** One place is left to those who wait. */
const atOnce = servingLimits.fetchesMax - 1

export class Prefetch {
  readonly #clock: Pick<Clock, 'timer'>
  readonly #fetch: FetchAhead
  /** By skill. */
  readonly #passes = new Map<string, Pass>()
  #running = 0
  /** Set while the hub is left alone. */
  #endRest: (() => void) | null = null
  #closed = false

  constructor(clock: Pick<Clock, 'timer'>, fetch: FetchAhead) {
    this.#clock = clock
    this.#fetch = fetch
  }

  /** Begins anew with a skill. @param clips all that it lists */
  want(skill: string, clips: readonly ListedClip[]): void {
    this.#passes.delete(skill)
    if (clips.length > 0) this.#passes.set(skill, passOf(clips, 1))
    this.goOn()
  }

  /** The hub can be reached again. */
  goOn(): void {
    this.#endRest?.()
    this.#endRest = null
    this.#fill()
  }

  close(): void {
    this.#closed = true
    this.#endRest?.()
    this.#passes.clear()
  }

  #fill(): void {
    while (!this.#closed && this.#endRest === null && this.#running < atOnce) {
      const next = this.#next()
      if (next === null) return
      void this.#one(...next)
    }
  }

  #next(): readonly [skill: string, pass: Pass, clip: ListedClip] | null {
    for (const [skill, pass] of this.#passes) {
      const clip = pass.clips[pass.begun]
      if (clip !== undefined) return [skill, pass, clip]
    }
    return null
  }

  async #one(skill: string, pass: Pass, clip: ListedClip): Promise<void> {
    pass.begun += 1
    pass.running += 1
    this.#running += 1
    const had = await this.#fetch(skill, clip)
    this.#running -= 1
    pass.running -= 1
    if (!had && !this.#closed) {
      pass.failed.push(clip)
      this.#endRest ??= this.#clock.timer(servingLimits.breakerMs, () => this.goOn())
    }
    const through = pass.begun === pass.clips.length && pass.running === 0
    if (through && this.#passes.get(skill) === pass) this.#end(skill, pass)
    this.#fill()
  }

  #end(skill: string, { failed, round }: Pass): void {
    this.#passes.delete(skill)
    if (failed.length === 0 || round >= servingLimits.prefetchRounds) return
    this.#passes.set(skill, passOf(failed, round + 1))
  }
}

function passOf(clips: readonly ListedClip[], round: number): Pass {
  return { clips, round, failed: [], begun: 0, running: 0 }
}
