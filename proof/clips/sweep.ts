/**
 * Cuts the power of the story of clips at every operation on its files in every way, opens what is left, and goes on
 * with the story; two deep when asked: all that follows is cut again at each of its operations. And kills the program
 * at every operation.
 * Promise: as of ../sweep/explore.ts: operations are counted in a story without cuts first, each planned cut comes.
 * Leaves to others: which states (../sweep/crash-states.ts), what must hold (i15.ts, play.ts), what is done (story.ts).
 */
import { createHash } from 'node:crypto'
import type { Fate } from '../../bootloader-sim/devices/fate.ts'
import { crashedFiles, type FilesImage } from '../../bootloader-sim/devices/file-store.ts'
import { assert } from '../../core/assert.ts'
import { type CrashPoint, crashStates } from '../sweep/crash-states.ts'
import type { SweepPart } from '../sweep/explore.ts'
import type { Cell, Ending, FoundViolation, SweptOperation, Way } from '../sweep/result.ts'
import { type ClipsFuture, type ClipsImage, playClips, rehearseClips } from './play.ts'
import type { Allowed } from './story.ts'

/** Of so many equal runs of operations this one. */
export interface ClipsPlan {
  readonly depth: 1 | 2
  readonly part: number
  readonly parts: number
  /** End with the first violation: what a hunt for planted bugs wants. */
  readonly untilFirst?: boolean
}

/** What the sweep is called and is about, as scenarios are. */
export const clipsScenario = {
  name: 'clips',
  about:
    'Clips come and go in every way there is; what is there is what was told, what is served is what was stored.',
} as const

const violationsKept = 20

/** @param tick told how many more states are done */
export async function sweepClips(plan: ClipsPlan, tick: (states: number) => void): Promise<SweepPart> {
  const counted = await rehearseClips()
  const { told, uncut } = await rehearseClips()
  const names = (it: ClipsFuture): string => it.points.map(({ name }) => name).join()
  assert(names(counted.uncut) === names(uncut), 'the story is the same each time')
  const sweep = new ClipsSweep(plan.depth, told)
  if (uncut.violation !== null) {
    sweep.keep(uncut, 'clips/uncut')
    return sweep
  }
  for (const point of uncut.points) {
    if (Math.floor((point.number * plan.parts) / uncut.points.length) !== plan.part) continue
    const before = sweep.fired
    await sweep.cutAt(point)
    await sweep.killAt(point)
    tick(sweep.fired - before)
    if (plan.untilFirst === true && sweep.violations.length > 0) break
  }
  return sweep
}

/** The next run of the program reads what the last one left, durable or not. */
export function killed(before: ClipsImage): ClipsImage {
  return { ...before, generation: before.generation + 1 }
}

type OpenCell = { -readonly [Key in keyof Cell]: Cell[Key] } & { endings: Record<Ending, number> }

class ClipsSweep implements SweepPart {
  readonly operations: SweptOperation[] = []
  readonly violations: FoundViolation[] = []
  planned = 0
  fired = 0
  kills = 0
  readonly #depth: 1 | 2
  readonly #told: readonly Allowed[]
  readonly #seen = new Map<string, ClipsFuture>()
  readonly #images = new Set<string>()

  constructor(depth: 1 | 2, told: readonly Allowed[]) {
    this.#depth = depth
    this.#told = told
  }

  get images(): Iterable<string> {
    return this.#images
  }

  async cutAt(point: CrashPoint<ClipsImage>): Promise<void> {
    const cells = new Map<Way, OpenCell>()
    const deeper = { states: 0, distinct: 0, violations: 0 }
    for (const state of crashStates(point)) {
      const path = `clips/${point.number}.${state.way}.${state.index}`
      const cell = cells.get(state.way) ?? emptyCell(state.way, path)
      cells.set(state.way, cell)
      const { future, isNew } = await this.#judge(state.image, state.fates, path, this.#depth === 2)
      cell.states += 1
      if (isNew) cell.distinct += 1
      if (future.ending === 'violation' && cell.endings.violation === 0) cell.replay = path
      cell.endings[future.ending] += 1
      for (const second of future.points) {
        for (const again of crashStates(second)) {
          const deepPath = `${path}/${second.number}.${again.way}.${again.index}`
          const deep = await this.#judge(again.image, again.fates, deepPath, false)
          deeper.states += 1
          if (deep.isNew) deeper.distinct += 1
          if (deep.future.ending === 'violation') deeper.violations += 1
        }
      }
    }
    const { number, name, phase, atMs } = point
    this.operations.push({
      ...{ number, name, phase, atMs },
      cells: [...cells.values()],
      deeper: this.#depth === 2 ? deeper : null,
    })
  }

  /** The program dies, the machine goes on: what was not synced is still to be read. */
  async killAt({ before, number }: CrashPoint<ClipsImage>): Promise<void> {
    this.kills += 1
    this.keep(await playClips(killed(before), this.#told), `clips/${number}.killed`)
  }

  keep({ violation }: ClipsFuture, replay: string): void {
    if (violation === null || this.violations.length >= violationsKept) return
    this.violations.push({ ...violation, replay, atMs: 0, operation: 0 })
  }

  async #judge(
    image: ClipsImage,
    fates: readonly Fate[],
    path: string,
    recording: boolean,
  ): Promise<{ future: ClipsFuture; isNew: boolean }> {
    this.planned += 1
    const files = crashedFiles(image.files, fates)
    const media = mediaOf(files)
    const isNew = !this.#images.has(media)
    this.#images.add(media)
    const key = `${media} ${image.done} ${image.generation}`
    const known = this.#seen.get(key)
    if (known !== undefined) {
      this.fired += 1
      return { future: known, isNew }
    }
    const future = await playClips({ ...image, files, pending: [] }, this.#told, { recording })
    this.fired += 1
    // Second cuts of a future that is known were made before.
    this.#seen.set(key, { ...future, points: [] })
    this.keep(future, path)
    return { future, isNew }
  }
}

function emptyCell(way: Way, replay: string): OpenCell {
  return { way, replay, states: 0, distinct: 0, endings: { old: 0, new: 0, otherwise: 0, violation: 0 } }
}

function mediaOf(files: FilesImage): string {
  const hash = createHash('sha256')
  for (const [name, number] of [...files.durable].sort(([a], [b]) => (a < b ? -1 : 1))) {
    hash
      .update(`${name}=`)
      .update(files.inodes.get(number)?.synced ?? '')
      .update('|')
  }
  return hash.digest('base64').slice(0, 20)
}
