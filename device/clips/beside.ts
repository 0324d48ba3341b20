/**
 * The clip cache beside the updater: opened when the agent runs, told what the hub says, asked to give way.
 * Promise: whatever becomes of it, updates go on: nothing here throws or holds anybody up; what the hub announced
 * before the cache was open is not lost; a cache that cannot be opened is tried again.
 * Leaves to others: the cache (clip-service.ts), the connection (../report/hub-link.ts).
 */
import { clipLimits, servingLimits } from '../../core/clip-limits.ts'
import { faultOf } from '../../core/errors.ts'
import type { Clock, Events } from '../../core/ports.ts'
import type { ClipStats } from '../../core/wire/skills.ts'
import type { ClipService } from './clip-service.ts'

/** What the rest of the agent knows of clips. */
export interface ClipsBeside {
  /** The retained message of a skill. */
  announced(skill: string, payload: Uint8Array): void
  /** The hub can be reached. */
  linkUp(): void
  /** null: nothing has changed since it was asked last. */
  newFigures(): ClipStats | null
  /** An update needs room on the data partition. @returns bytes freed; 0 when there is nothing to free */
  giveWay(bytes: number): Promise<number>
}

export interface RunningClips extends ClipsBeside {
  /** Opens the cache; returns at once. */
  start(): void
  close(): Promise<void>
}

export interface BesidePorts {
  readonly clock: Clock
  readonly events: Events
  /** `release` lets go of its files, after it was closed. */
  open(): Promise<{ readonly service: ClipService; release(): Promise<void> }>
  /** Called with the open cache: what serves it. @returns what ends that */
  serve(service: ClipService): Promise<() => Promise<void>>
}

export function clipsBeside(ports: BesidePorts): RunningClips {
  const { clock, events } = ports
  let service: ClipService | null = null
  let end: (() => Promise<void>) | null = null
  let opening: Promise<void> | null = null
  let closed = false
  let cancelAgain = (): void => {}
  let told = ''
  /** What came before the cache was open: the newest of each skill. */
  const early = new Map<string, Uint8Array>()

  const failed = (event: string, caught: unknown): void => {
    const { code, what } = faultOf(caught)
    events.emit({ event, code, what })
  }
  const take = (skill: string, payload: Uint8Array): void => {
    service?.announced(skill, payload).catch((caught: unknown) => failed('skill failed', caught))
  }
  const open = async (): Promise<void> => {
    try {
      const opened = await ports.open()
      const shut = (): Promise<void> => opened.service.close().finally(() => opened.release())
      const unserve = await ports.serve(opened.service).catch(async (caught: unknown) => {
        await shut()
        throw caught
      })
      end = () => unserve().finally(shut)
      service = opened.service
      events.emit({ event: 'clips open', clips: service.stats().items })
      for (const [skill, payload] of early) take(skill, payload)
      early.clear()
    } catch (caught) {
      failed('clips closed', caught)
      if (!closed) cancelAgain = clock.timer(servingLimits.reopenMs, begin)
    }
  }
  const begin = (): void => {
    if (!closed) opening = open()
  }
  return {
    start: begin,
    announced(skill, payload) {
      if (service !== null) take(skill, payload)
      else if (early.has(skill) || early.size < clipLimits.skillsMax) early.set(skill, payload)
    },
    linkUp: () => service?.linkUp(),
    newFigures() {
      if (service === null) return null
      const figures = service.stats()
      const text = JSON.stringify(figures)
      if (text === told) return null
      told = text
      return figures
    },
    async giveWay(bytes) {
      try {
        return (await service?.giveWay(bytes)) ?? 0
      } catch (caught) {
        failed('clips do not give way', caught)
        return 0
      }
    },
    async close() {
      closed = true
      cancelAgain()
      await opening
      try {
        await end?.()
      } catch (caught) {
        failed('clips not closed', caught)
      }
    },
  }
}
