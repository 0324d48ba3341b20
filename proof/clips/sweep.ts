/**
 * Cuts the power of a story of the clip cache at every operation on its files in every way, opens what is left, and
 * goes on with the story; two deep when asked: each recovery is cut again at each of its own operations. And kills the
 * program at every operation.
 * Promise: as of ../sweep/explore.ts: operations are counted in a story without cuts first, each planned cut comes.
 * Leaves to others: which states (../sweep/crash-states.ts), what must hold (i15.ts), what is done (story.ts).
 */
import { createHash } from 'node:crypto'
import type { Fate, Pending } from '../../bootloader-sim/devices/fate.ts'
import {
  crashedFiles,
  type FilesImage,
  type SimFiles,
  simFiles,
} from '../../bootloader-sim/devices/file-store.ts'
import { createPower } from '../../bootloader-sim/devices/power.ts'
import { assert } from '../../core/assert.ts'
import type { ClipStore } from '../../device/clips/clip-store.ts'
import { openClipStore } from '../../device/clips/recovery.ts'
import { type CrashPoint, crashStates } from '../sweep/crash-states.ts'
import type { Cell, Ending, FoundViolation, SweepResult, SweptOperation, Way } from '../sweep/result.ts'
import { broken } from './i15.ts'
import { type Allowed, type Deed, shortStory, story, storyLimits } from './story.ts'

/** Where a story of clips stands when the power goes. */
export interface ClipsImage {
  readonly files: FilesImage
  readonly pending: readonly Pending[]
  /** Deeds that were done and told. */
  readonly done: number
  /** Opened so often: chance is drawn by it. */
  readonly generation: number
}

interface Future {
  readonly ending: Ending
  readonly what: string | null
  readonly points: readonly CrashPoint<ClipsImage>[]
}

const violationsKept = 20
/** 2026-06-01, as ms since 1970. */
const wallMs = 1_780_272_000_000

export async function sweepClips(depth: 1 | 2, tick: (states: number) => void): Promise<SweepResult> {
  const began = performance.now()
  const deeds = depth === 2 ? shortStory : story
  const sweep = new ClipsSweep(deeds, depth)
  await sweep.run(tick)
  return {
    scenario: 'clips',
    about: 'Clips come and go in every way there is; what is served is what was stored.',
    ...{ depth, seed: 1, sectorBytes: 4096 },
    states: sweep.planned,
    distinct: sweep.distinct,
    planned: sweep.planned,
    fired: sweep.fired,
    kills: sweep.kills,
    violations: sweep.violations,
    seconds: (performance.now() - began) / 1000,
    operations: sweep.operations,
  }
}

class ClipsSweep {
  readonly operations: SweptOperation[] = []
  readonly violations: FoundViolation[] = []
  planned = 0
  fired = 0
  kills = 0
  readonly #deeds: readonly Deed[]
  readonly #depth: 1 | 2
  /** Clips after so many deeds, when nothing comes between. */
  readonly #told: Allowed[] = []
  readonly #seen = new Map<string, Future>()
  readonly #images = new Set<string>()

  constructor(deeds: readonly Deed[], depth: 1 | 2) {
    this.#deeds = deeds
    this.#depth = depth
  }

  get distinct(): number {
    return this.#images.size
  }

  async run(tick: (states: number) => void): Promise<void> {
    const empty = simFiles().image()
    const start = { files: empty, pending: [], done: 0, generation: 0 }
    const counted = await this.#play(start, true)
    const uncut = await this.#play(start, true)
    assert(counted.points.length === uncut.points.length, 'the story is the same each time')
    if (uncut.what !== null) {
      this.#found(uncut.what, 'clips/uncut', counted.points.length)
      return
    }
    for (const point of uncut.points) {
      const before = this.fired
      await this.#cutAt(point)
      await this.#killAt(point)
      tick(this.fired - before)
    }
  }

  async #cutAt(point: CrashPoint<ClipsImage>): Promise<void> {
    const cells = new Map<
      Way,
      { -readonly [Key in keyof Cell]: Cell[Key] } & { endings: Record<Ending, number> }
    >()
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

  async #judge(
    image: ClipsImage,
    fates: readonly Fate[],
    path: string,
    recording: boolean,
  ): Promise<{ future: Future; isNew: boolean }> {
    this.planned += 1
    const files = crashedFiles(image.files, fates)
    const media = mediaOf(files)
    const isNew = !this.#images.has(media)
    this.#images.add(media)
    const key = `${media} ${image.done} ${image.generation}`
    const known = this.#seen.get(key)
    this.fired += 1
    if (known !== undefined) return { future: { ...known, points: [] }, isNew }
    const future = await this.#play({ ...image, files, pending: [] }, recording)
    this.#seen.set(key, { ...future, points: [] })
    if (future.what !== null) this.#found(future.what, path, 0)
    return { future, isNew }
  }

  /** The program dies, the machine goes on: what was not synced is still to be read; later the power goes too. */
  async #killAt({ before, number }: CrashPoint<ClipsImage>): Promise<void> {
    this.kills += 1
    const { what } = await this.#play({ ...before, generation: before.generation + 1 }, false)
    if (what !== null) this.#found(what, `clips/${number}.killed`, 0)
  }

  #found(what: string, replay: string, operation: number): void {
    if (this.violations.length >= violationsKept) return
    const invariant = /^assertion|^EB-INTERNAL/.test(what) ? 'assertion' : 'I15'
    this.violations.push({ invariant, what, replay, atMs: 0, operation })
  }

  /** Opens what is there, looks at it, goes on with the story to its end, and loses the power once more. */
  async #play(image: ClipsImage, recording: boolean): Promise<Future> {
    const power = createPower()
    const files = simFiles(power)
    files.restore(image.files)
    const points: CrashPoint<ClipsImage>[] = []
    const stand = { done: image.done, generation: image.generation + 1, phase: 'open' }
    if (recording) record(power, files, stand, points)
    const fail = (what: string): Future => ({ ending: 'violation', what, points })
    try {
      const store = await open(files, stand.generation)
      if (this.#told.length === 0) this.#told.push(new Map())
      const at = await this.#standing(store, files, image.done)
      if (typeof at === 'string') return fail(at)
      let allowed = at.allowed
      for (const [index, deed] of this.#deeds.entries()) {
        if (index < at.from) continue
        stand.phase = deed.name
        await deed.run(store)
        await store.settle()
        stand.done = index + 1
        allowed = deed.allows(allowed)
        const wrong = (await broken(store, files, allowed)) ?? (await lasting(store, files, stand.generation))
        if (wrong !== null) return fail(`after "${deed.name}": ${wrong}`)
        if (this.#told.length === index + 1) this.#told.push(thereOf(store, allowed))
      }
      return { ending: at.ending, what: null, points }
    } catch (caught) {
      return fail(caught instanceof Error ? `${caught.name}: ${caught.message}` : String(caught))
    }
  }

  /** What the story had come to: before the deed under way, or after it; anything else is a violation. */
  async #standing(
    store: ClipStore,
    files: SimFiles,
    done: number,
  ): Promise<{ from: number; allowed: Allowed; ending: Ending } | string> {
    const [before, after] = [this.#told[done], this.#told[done + 1]]
    const there = new Set([...store.list()].map((it) => it.id))
    const isAs = (told: Allowed | undefined): told is Allowed =>
      told !== undefined && told.size === there.size && [...told.keys()].every((id) => there.has(id))
    let why = `${[...there].join(' ')} are there, ${[...(before?.keys() ?? [])].join(' ')} were told of`
    for (const [told, ending] of [
      [before, 'old'],
      [after, 'new'],
    ] as const) {
      if (!isAs(told)) continue
      const wrong = await broken(store, files, told)
      if (wrong === null) return { from: done, allowed: told, ending }
      why = wrong
    }
    return `at the start: ${why}`
  }
}

/** What was told is durable: the power goes now, and everything is there as before. */
async function lasting(store: ClipStore, files: SimFiles, generation: number): Promise<string | null> {
  const again = simFiles()
  const fates = files.pending().map(() => 'lost' as const)
  again.restore(crashedFiles(files.image(), fates))
  const after = [...(await open(again, generation + 1)).list()].map((it) => it.id).sort()
  const before = [...store.list()].map((it) => it.id).sort()
  if (after.join() === before.join()) return null
  return `${before.join(' ')} were told of, ${after.join(' ')} are durable`
}

/** Of what may be there what is. */
function thereOf(store: ClipStore, allowed: Allowed): Allowed {
  return new Map([...allowed].filter(([id]) => store.peek(id) !== null))
}

async function open(files: SimFiles, generation: number): Promise<ClipStore> {
  let drawn = generation * 1_000_003
  const bytes = (count: number): Uint8Array => {
    drawn += 1
    const some = createHash('sha512').update(`${drawn}`).digest()
    return new Uint8Array(some.subarray(0, count))
  }
  const clock = { monotonicMs: () => 1_000, wallMs: () => wallMs }
  const parts = {
    files,
    clock,
    entropy: { bytes },
    wrappingKey: new Uint8Array(32).fill(7),
    earliestWallMs: 1,
  }
  return (await openClipStore(parts, storyLimits)).store
}

function record(
  power: ReturnType<typeof createPower>,
  files: SimFiles,
  stand: { done: number; generation: number; phase: string },
  points: CrashPoint<ClipsImage>[],
): void {
  const imageNow = (): ClipsImage => ({
    files: files.image(),
    pending: files.pending(),
    done: stand.done,
    generation: stand.generation,
  })
  const underway = new Map<string, CrashPoint<ClipsImage>>()
  power.onBegin = (name) => {
    const point = {
      ...{ number: points.length, name, phase: stand.phase, atMs: 0 },
      before: imageNow(),
      after: null,
    }
    underway.set(name, point)
    points.push(point)
  }
  power.onDone = (name) => {
    const point = underway.get(name)
    if (point !== undefined) points[point.number] = { ...point, after: imageNow() }
  }
}

function emptyCell(way: Way, replay: string) {
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
