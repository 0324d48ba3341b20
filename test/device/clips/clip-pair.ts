/**
 * The clip cache and its model side by side: each step is done by both, and after it everything that can be seen
 * of them must be the same: the answer, what the listener heard and in which order, all lists, all figures.
 */
import { expect } from 'vitest'
import type {
  CacheLimits,
  CacheListener,
  ClipCache,
  KnownRows,
  NewClip,
} from '../../../device/clips/cache-types.ts'
import { createClipCache } from '../../../device/clips/clip-cache.ts'
import { ClipModel } from './clip-model.ts'

/** What is said, in order. */
export interface Heard extends CacheListener {
  readonly said: string[]
  /** Rows of the clips and contents that left, by what was said of them. */
  readonly rows: [said: string, row: number][]
}

export function hearing(): Heard {
  const said: string[] = []
  const rows: [string, number][] = []
  return {
    said,
    rows,
    left: (clip, skill, content, why, row) => {
      said.push(`left ${clip} ${skill} ${content} ${why}`)
      rows.push([`clip ${clip}`, row])
    },
    contentLeft: (content, bytes, row) => {
      said.push(`gone ${content} ${bytes}`)
      rows.push([`content ${content}`, row])
    },
    full: (bytes) => said.push(`full ${bytes}`),
  }
}

export type Step =
  | { readonly do: 'put'; readonly clip: string; readonly it: NewClip }
  | { readonly do: 'get' | 'peek' | 'remove'; readonly clip: string }
  | { readonly do: 'pin'; readonly clip: string; readonly pinned: boolean }
  | { readonly do: 'invalidateSkill' | 'missed' | 'clipsOf'; readonly skill: string }
  | { readonly do: 'invalidateContent' | 'contentBytes'; readonly content: string }
  | { readonly do: 'giveWay'; readonly bytes: number }
  | { readonly do: 'expire'; readonly max: number }
  | { readonly do: 'setLimits'; readonly limits: CacheLimits }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'clear' | 'renew' }

export class ClipPair {
  private readonly heard = hearing()
  private readonly model: ClipModel
  private readonly real: ClipCache
  private nowMs = 1_000_000
  /** Rows of the clips and contents that were there after the last step, when that was looked at. */
  private rows: ReadonlyMap<string, number> | null = new Map()

  constructor(limits: CacheLimits) {
    this.real = createClipCache(limits, this.heard)
    this.model = new ClipModel(limits)
  }

  /**
   * Fills the empty cache: the model clip by clip, the real one at once, when it takes them so.
   * @param list the same by turns as `rows` by rows. @returns whether it took them at once
   */
  load(list: readonly (readonly [clip: string, it: NewClip])[], rows: KnownRows, isOnce: boolean): boolean {
    const { real, model, nowMs } = this
    const expected = list.map(([clip, it]) => model.put(clip, it, nowMs))
    const said = model.said()
    const isPlain = said.length === 0 && expected.every((it) => it === 'added' || it === 'alias')
    const loaded = real.load(rows, nowMs)
    expect(loaded).toBe(isPlain && isOnce)
    expect(this.heard.said).toEqual([])
    if (!loaded) {
      expect(real.stats()).toMatchObject({ items: 0, contents: 0, sizeBytes: 0, pinnedBytes: 0 })
      expect(list.map(([clip, it]) => real.put(clip, it, nowMs))).toEqual(expected)
      expect(this.heard.said.splice(0)).toEqual(said)
    }
    this.look()
    this.rows = null
    return loaded
  }

  /** @param look compare all lists and figures as well, not only the answer and what is said */
  step(step: Step, look: boolean): void {
    const [mine, expected] = this.both(step)
    expect(mine).toEqual(expected)
    expect(this.heard.said.splice(0)).toEqual(this.model.said())
    if (look) {
      this.look()
      this.checkRows()
    } else this.rows = null
  }

  look(): void {
    const { real, model } = this
    expect(real.stats()).toEqual(model.stats())
    expect([...real.entries()]).toEqual(model.entries())
    expect([...real.contents()]).toEqual(model.contents())
    expect([...real.skills()]).toEqual(model.skills())
    this.checkLimits()
  }

  private both(step: Step): readonly [unknown, unknown] {
    const { real, model, nowMs } = this
    switch (step.do) {
      case 'put':
        return [real.put(step.clip, step.it, nowMs), model.put(step.clip, step.it, nowMs)]
      case 'get':
        return [real.get(step.clip, nowMs), model.get(step.clip, nowMs)]
      case 'pin':
        return [real.pin(step.clip, step.pinned), model.pin(step.clip, step.pinned)]
      case 'peek':
      case 'remove':
        return [real[step.do](step.clip), model[step.do](step.clip)]
      case 'invalidateSkill':
      case 'missed':
        return [real[step.do](step.skill), model[step.do](step.skill)]
      case 'clipsOf':
        return [[...real.clipsOf(step.skill)], model.clipsOf(step.skill)]
      case 'invalidateContent':
        return [real.invalidateContent(step.content), model.invalidateContent(step.content)]
      case 'contentBytes': {
        const found = model.contents().find(({ content }) => content === step.content)
        return [real.contentBytes(step.content), found?.bytes ?? null]
      }
      case 'giveWay':
        return [real.giveWay(step.bytes), model.giveWay(step.bytes)]
      case 'expire':
        return this.expire(step.max)
      case 'setLimits':
        return [real.setLimits(step.limits), model.setLimits(step.limits)]
      case 'clear':
        return [real.clear(), model.clear()]
      case 'wait':
        this.nowMs = Math.max(0, nowMs + step.ms)
        return [0, 0]
      case 'renew':
        return this.renew()
    }
  }

  /** Which ones of those that are due leave, the real one may choose, if it is as many as asked. */
  private expire(max: number): readonly [unknown, unknown] {
    const due = this.model.due(this.nowMs)
    const taken = this.real.expire(this.nowMs, max)
    const left = this.heard.said.filter((it) => it.startsWith('left ')).map((it) => it.split(' ')[1] ?? '')
    expect(due).toEqual(expect.arrayContaining(left))
    this.model.expire(left)
    return [taken, Math.min(max, due.length)]
  }

  /** A snapshot put into an empty cache shows the same entries in the same order; nobody leaves. */
  private renew(): readonly [unknown, unknown] {
    const { nowMs } = this
    const before = [...this.real.entries()]
    if (this.isOver() || before.some((it) => !it.pinned && it.expiresMs !== null && it.expiresMs <= nowMs)) {
      return [0, 0]
    }
    const silent = hearing()
    const fresh = createClipCache(this.model.limits, silent)
    for (const { clip, ...it } of before) fresh.put(clip, it, nowMs)
    expect(silent.said).toEqual([])
    const after = [...fresh.entries()]
    expect(after.map(({ clip }) => clip)).toEqual(before.map(({ clip }) => clip))
    const isPast = (at: number): boolean =>
      Math.max(before[at]?.addedMs ?? 0, before[at]?.accessedMs ?? 0) <= nowMs
    return [after.filter((_, at) => isPast(at)), before.filter((_, at) => isPast(at))]
  }

  /** Whether pins are above limits that were lowered: then they cannot all be put again. */
  private isOver(): boolean {
    const stats = this.real.stats()
    return (
      stats.sizeBytes > stats.maxBytes ||
      stats.items > stats.maxItems ||
      stats.pinnedBytes > this.model.limits.pinnedBytes ||
      [...this.real.skills()].some(({ bytes, quota }) => bytes > quota)
    )
  }

  /** A row is nobody else's while its clip is there, and what leaves is named with the row that it had. */
  private checkRows(): void {
    const { real } = this
    const clips = [...real.names()]
    const contents = [...new Set(clips.map((it) => real.peek(it)?.content ?? ''))]
    const rows = [clips.map((it) => real.row(it)), contents.map((it) => real.contentRow(it))]
    for (const list of rows) {
      expect(new Set(list).size).toBe(list.length)
      for (const row of list) expect(row >= 0 && row < 1_000).toBe(true)
    }
    const now = new Map<string, number>()
    for (const [at, it] of clips.entries()) now.set(`clip ${it}`, rows[0]?.[at] ?? -1)
    for (const [at, it] of contents.entries()) now.set(`content ${it}`, rows[1]?.[at] ?? -1)
    const left = this.heard.rows.splice(0)
    if (this.rows !== null) {
      for (const [name, row] of left) expect(row).toBe(this.rows.get(name))
      for (const [name, row] of this.rows) expect(now.get(name) ?? row).toBe(row)
    }
    this.rows = now
  }

  private checkLimits(): void {
    const { real, model } = this
    const { limits } = model
    const stats = real.stats()
    const entries = [...real.entries()]
    if (stats.sizeBytes > limits.bytes) expect(stats.sizeBytes).toBe(stats.pinnedBytes)
    if (stats.items > limits.items) expect(stats.items).toBe(stats.pinnedItems)
    for (const it of real.skills()) {
      if (it.bytes > it.quota) expect(it.bytes).toBe(it.pinnedBytes)
      const own = entries.filter(({ skill }) => skill === it.id)
      expect(own.reduce((all, { bytes }) => all + bytes, 0)).toBe(it.bytes)
    }
    const contents = new Map(entries.map(({ content, bytes }) => [content, bytes]))
    expect([...contents.values()].reduce((all, bytes) => all + bytes, 0)).toBe(stats.sizeBytes)
  }
}
