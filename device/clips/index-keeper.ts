/**
 * What the index has still to hear of the clip cache, and telling it.
 * Promise: what was noted is told with the next change, or with a later one when that fails; files go only when the
 * index has forgotten them, and one that cannot be removed is tried again. Clips may expire while it is told.
 * Leaves to others: one piece of work after the other (clip-store.ts), the index itself (index-log.ts).
 */
import { present } from '../../core/assert.ts'
import { indexLimits } from '../../core/clip-limits.ts'
import { EverbootError } from '../../core/errors.ts'
import { figuresList, figuresNow } from './figures.ts'
import type { IndexRecord } from './index-record.ts'
import type { StoreState } from './store-types.ts'

export class IndexKeeper {
  readonly #state: StoreState
  #noted: IndexRecord[] = []
  /** As the index knows them, as text. */
  #figures: string

  /** @param state before anything is done with it */
  constructor(state: StoreState) {
    this.#state = state
    this.#figures = figuresList(state.figures).join()
  }

  /** There is something that the index has not heard. */
  get behind(): boolean {
    return this.#noted.length > 0
  }

  note(record: IndexRecord): void {
    this.#noted.push(record)
  }

  /** The figures are to be told with the next change, if they are others than before. */
  noteFigures(): void {
    const { cache, figures } = this.#state
    const now = figuresList(figuresNow(figures, cache.stats()))
    const text = now.join()
    if (text !== this.#figures) this.note({ kind: 'figures', figures: now })
    this.#figures = text
  }

  /** The index hears of what was noted and of these, then the files of what left go. */
  async keep(records: readonly IndexRecord[] = []): Promise<void> {
    await this.#state.contents.sweep(await this.tell(records))
  }

  /** As `keep`, anew and whole: nothing is left in the file of what is not there any more. */
  async rewrite(): Promise<void> {
    await this.#state.contents.sweep(await this.#rewrite())
  }

  /**
   * As `keep`, on a medium that may be full and does not even take the news: files first, then. What is missing is
   * noticed at the next start.
   */
  async keepWhenFull(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (caught) {
      if (!(caught instanceof EverbootError) || caught.fault.code !== 'EB-DATA-FULL') throw caught
      await this.#state.contents.free()
      await work()
    }
  }

  /** The index hears of it. @returns files that may go */
  async tell(records: readonly IndexRecord[]): Promise<readonly string[]> {
    const { log, age, contents } = this.#state
    const all = [...this.#noted, ...records]
    if (all.length === 0) return contents.orphans()
    // So many do not fit a frame.
    if (log.overgrown || all.length > indexLimits.changesMax) return this.#rewrite()
    return this.#telling(() => log.append([...all, { kind: 'age', ...age.mark() }]))
  }

  #rewrite(): Promise<readonly string[]> {
    return this.#telling(() => this.#state.log.rewrite(this.#snapshot()))
  }

  /** What is noted and dropped while it is told waits for the next time. */
  async #telling(told: () => Promise<void>): Promise<readonly string[]> {
    const { contents } = this.#state
    const noted = this.#noted
    const orphans = contents.orphans()
    this.#noted = []
    try {
      await told()
    } catch (caught) {
      this.#noted = [...noted, ...this.#noted]
      contents.keepOrphans(orphans)
      throw caught
    }
    return orphans
  }

  /** All that there is, the least recent first. What expires while it is written is left out, or told of next. */
  *#snapshot(): IterableIterator<IndexRecord> {
    const { cache, contents, clips, skills, figures, age } = this.#state
    const order = Array.from(cache.entries(), (it) => it.clip)
    const stats = cache.stats()
    yield { kind: 'room', clips: stats.items, contents: stats.contents }
    yield { kind: 'age', ...age.mark() }
    yield { kind: 'figures', figures: figuresList(figuresNow(figures, stats)) }
    for (const [skill, seq] of skills) yield { kind: 'skill', skill, seq }
    const told = new Set<string>()
    for (const id of order) {
      const entry = cache.peek(id)
      if (entry === null) continue
      const content = present(contents.get(entry.content), 'the content of a clip')
      const record = present(clips.get(id), 'a clip of the cache')
      if (!told.has(content.key)) yield content
      told.add(content.key)
      const { accesses, accessedMs, addedMs, expiresMs, pinned } = entry
      const lastAccessMs = accesses === 0 ? 0 : accessedMs
      yield { ...record, pinned, accesses, lastAccessMs, addedMs, expiresMs: expiresMs ?? 0 }
    }
  }
}
