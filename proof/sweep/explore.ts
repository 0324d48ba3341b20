/**
 * Cuts the power of a story at every operation in every way, and runs what is left to its end; two deep when
 * asked: each recovery is cut again at each of its own operations. And kills the agent at every operation.
 * Promise: operations are counted in a story without cuts first, and each planned cut must come; a crash state
 * goes on from a copy of what the power left, so the cost grows with the operations, not with their square.
 * Leaves to others: dividing the work (adapters/workers.ts), which states (crash-states.ts), what must hold
 * (../checkers, ../verdict.ts).
 */
import { crashedDisk } from '../../bootloader-sim/devices/block-device.ts'
import type { Fate } from '../../bootloader-sim/devices/fate.ts'
import { crashedFiles } from '../../bootloader-sim/devices/file-store.ts'
import { assert, present } from '../../core/assert.ts'
import { comesToRest } from '../at-rest.ts'
import { play } from '../player.ts'
import type { Scenario } from '../scenario.ts'
import {
  beginStory,
  firstScene,
  imageOf,
  type Scene,
  type SceneImage,
  type Stage,
  sceneAfterCut,
} from '../scene.ts'
import { otherwise, otherwiseUnderCuts } from '../verdict.ts'
import { type CrashPoint, type CrashState, crashStates } from './crash-states.ts'
import { type Identity, identity } from './identity.ts'
import { killAt } from './kills.ts'
import type { Cell, Ending, FoundViolation, SweptOperation, Way } from './result.ts'

/** More would only repeat the first ones. */
const violationsKept = 20

export interface SweepPlan {
  readonly scenario: Scenario
  readonly stage: Stage
  readonly depth: 1 | 2
  /** Of so many equal runs of operations this one. */
  readonly part: number
  readonly parts: number
  /** End as soon as an invariant by name does not hold: what a hunt for planted bugs wants. */
  readonly untilFirst?: boolean
}

export interface SweepPart {
  readonly operations: readonly SweptOperation[]
  readonly planned: number
  readonly fired: number
  /** Kills of the agent; each one came. */
  readonly kills: number
  readonly violations: readonly FoundViolation[]
  /** Identities of all different crash images. */
  readonly images: Iterable<string>
}

/** How the future of one crash state was. */
interface Future {
  readonly ending: Ending
  readonly violation: Omit<FoundViolation, 'replay'> | null
  /** Crash points of the recovery; empty unless asked for. */
  readonly points: readonly CrashPoint[]
}

/** @param tick told how many more states are done */
export async function sweepPart(plan: SweepPlan, tick: (states: number) => void): Promise<SweepPart> {
  const part = new Part(plan)
  const counted = await pointsOf(plan)
  const { points, violation } = await pointsOf(plan)
  if (violation !== null) {
    part.violations.push({ ...violation, replay: `${plan.scenario.name}/uncut` })
    return part
  }
  for (const [index, point] of points.entries()) {
    const planned = present(counted.points[index], 'counted operation')
    assert(planned.name === point.name, `operation ${index} was ${planned.name}, is ${point.name}`)
    if (Math.floor((index * plan.parts) / points.length) !== plan.part) continue
    const before = part.fired
    await part.cutAt(point)
    if (point.phase !== 'boot') await part.killAt(point)
    tick(part.fired - before)
    if (part.enough()) break
  }
  return part
}

/** The story without cuts: its operations, and what is wrong with it. */
export interface Uncut {
  readonly points: readonly CrashPoint[]
  readonly violation: Omit<FoundViolation, 'replay'> | null
}

/** Every operation of the story without cuts, which must end as the scenario says. */
export async function pointsOf({ scenario, stage }: Pick<SweepPlan, 'scenario' | 'stage'>): Promise<Uncut> {
  const scene = await preparedScene(scenario, stage)
  const points = record(scene)
  const went = (await play(scene, scenario.steps, stage)) && (await comesToRest(scene))
  scene.observer.tell({ kind: 'end', converged: went })
  const wrong = went ? otherwise(scene, scenario.expect, stage, false) : 'the board does not come to rest'
  return { points: points(), violation: violationOf(scene, wrong) }
}

/** A running board that has played what comes before the story. */
export async function preparedScene({ prepare }: Scenario, stage: Stage): Promise<Scene> {
  const scene = await firstScene(stage)
  await scene.board.powerOn()
  const ready =
    (await comesToRest(scene)) && (await play(scene, prepare, stage)) && (await comesToRest(scene))
  // What is broken in the preparation already is told with the story.
  assert(ready || scene.observer.violation() !== null, 'the scenario cannot be prepared')
  beginStory(scene)
  return scene
}

/** Takes an image before and after each operation from now on. */
function record(scene: Scene): () => readonly CrashPoint[] {
  const { power } = scene.board
  const points: CrashPoint[] = []
  const underway = new Map<string, CrashPoint>()
  power.onBegin = (name) => {
    const point: CrashPoint = {
      number: points.length,
      name,
      phase: phaseOf(scene),
      atMs: scene.world.time.nowMs(),
      before: imageOf(scene),
      after: null,
    }
    underway.set(name, point)
    points.push(point)
  }
  const tell = power.onDone
  power.onDone = (name) => {
    tell(name)
    const point = underway.get(name)
    if (point !== undefined) points[point.number] = { ...point, after: imageOf(scene) }
  }
  return () => points
}

function phaseOf({ board, world }: Scene): string {
  if (board.agent() === null) return 'boot'
  const last = board.log.findLast((it) => it.event === 'update' || it.event === 'standing')
  if (last?.event === 'update') return String(last['to'])
  return last?.['standing'] === 'trial' ? 'trial' : world.time.nowMs() === 0 ? 'start' : 'IDLE'
}

class Part implements SweepPart {
  readonly operations: SweptOperation[] = []
  planned = 0
  fired = 0
  kills = 0
  readonly violations: FoundViolation[] = []
  readonly #plan: SweepPlan
  readonly #identity: Identity = identity()
  readonly #seen = new Map<string, Future>()
  readonly #images = new Set<string>()

  constructor(plan: SweepPlan) {
    this.#plan = plan
  }

  get images(): Iterable<string> {
    return this.#images
  }

  enough(): boolean {
    return this.#plan.untilFirst === true && this.violations.some((it) => /^I\d+$/.test(it.invariant))
  }

  async cutAt(point: CrashPoint): Promise<void> {
    const cells = new Map<Way, MutableCell>()
    const deeper = { states: 0, distinct: 0, violations: 0 }
    for (const state of crashStates(point)) {
      if (this.enough()) break
      const path = `${this.#plan.scenario.name}/${point.number}.${state.way}.${state.index}`
      const cell = cells.get(state.way) ?? newCell(state.way, path)
      cells.set(state.way, cell)
      const two = this.#plan.depth === 2
      const { future, isNew } = await this.#judge(state, path, two)
      cell.add(future, isNew, path)
      // A future that was known has no points: its second cuts were made before.
      if (!two) continue
      for (const second of future.points) {
        for (const again of crashStates(second)) {
          const deep = await this.#judge(again, `${path}/${second.number}.${again.way}.${again.index}`, false)
          deeper.states += 1
          if (deep.isNew) deeper.distinct += 1
          if (deep.future.violation !== null) deeper.violations += 1
        }
      }
    }
    this.operations.push({
      number: point.number,
      name: point.name,
      phase: point.phase,
      atMs: point.atMs,
      cells: [...cells.values()].map((it) => it.done()),
      deeper: this.#plan.depth === 2 ? deeper : null,
    })
  }

  async #judge(
    state: CrashState,
    path: string,
    recording: boolean,
  ): Promise<{ future: Future; isNew: boolean }> {
    this.planned += 1
    const { stage, scenario } = this.#plan
    const crashed = crashedImage(state.image, state.fates, stage)
    const media = this.#identity.media(crashed)
    const isNew = !this.#images.has(media)
    this.#images.add(media)
    const key = this.#identity.whole(crashed, media)
    const known = this.#seen.get(key)
    if (known !== undefined) {
      this.fired += 1
      return { future: known, isNew }
    }
    const future = await futureOf(crashed, scenario, stage, { record: recording })
    this.fired += 1
    this.#seen.set(key, { ...future, points: [] })
    this.#keep(future.violation, path)
    return { future, isNew }
  }

  async killAt({ number }: CrashPoint): Promise<void> {
    if (this.enough()) return
    const { scenario, stage } = this.#plan
    this.#keep(await killedFuture(scenario, stage, number), `${scenario.name}/${number}.killed`)
    this.kills += 1
  }

  #keep(violation: Future['violation'], replay: string): void {
    if (violation !== null && this.violations.length < violationsKept) {
      this.violations.push({ ...violation, replay })
    }
  }
}

/** The story with the agent killed at one operation. @param begin told of the scene before its first step */
export async function killedFuture(
  scenario: Scenario,
  stage: Stage,
  operation: number,
  begin: (scene: Scene) => void = () => {},
): Promise<Future['violation']> {
  const scene = await preparedScene(scenario, stage)
  begin(scene)
  const checkIt = killAt(scene, operation)
  const went = (await play(scene, scenario.steps, stage)) && (await comesToRest(scene))
  checkIt()
  scene.observer.tell({ kind: 'end', converged: went })
  const wrong = went ? otherwiseUnderCuts(scene, scenario, stage) : 'the board does not come to rest'
  return violationOf(scene, wrong)
}

/** What the power leaves: media on which fate has decided, and nothing pending. */
export function crashedImage(image: SceneImage, fates: readonly Fate[], stage: Stage): SceneImage {
  const { storage } = image.board
  const sector = stage.options.sectorBytes ?? 4096
  let at = 0
  const disks = storage.disks.map((disk) => {
    const own = fates.slice(at, at + disk.unflushed.length)
    at += disk.unflushed.length
    return crashedDisk(disk, own, sector)
  })
  const files = crashedFiles(storage.files, fates.slice(at))
  return { ...image, board: { ...image.board, storage: { disks, files } }, pending: [] }
}

/** What is done beside running a crash state to its end. */
export interface FutureOptions {
  /** Take crash points of the recovery. */
  readonly record?: boolean
  /** Told of the scene before its power comes on. */
  readonly begin?: (scene: Scene) => void
}

export async function futureOf(
  crashed: SceneImage,
  scenario: Scenario,
  stage: Stage,
  options: FutureOptions = {},
): Promise<Future> {
  const scene = await sceneAfterCut(stage, crashed)
  const points = options.record === true ? record(scene) : () => []
  options.begin?.(scene)
  const { board, observer } = scene
  const before = board.boots.at(-1)
  const boots = board.boots.length
  await board.powerOn()
  const went = (await play(scene, scenario.steps, stage)) && (await comesToRest(scene))
  observer.tell({ kind: 'end', converged: went })
  const wrong = went ? otherwiseUnderCuts(scene, scenario, stage) : 'the board does not come to rest'
  const violation = violationOf(scene, wrong)
  if (violation !== null) return { ending: 'violation', violation, points: points() }
  if (otherwise(scene, scenario.expect, stage, true) !== null) {
    return { ending: 'otherwise', violation: null, points: points() }
  }
  return { ending: board.boots[boots] === before ? 'old' : 'new', violation: null, points: points() }
}

/**
 * What is wrong with a scene, first things first: an invariant; a program that ended by a broken assertion of its
 * own, even if the next start put it right; a story that ended otherwise.
 */
function violationOf(scene: Scene, wrong: string | null): Omit<FoundViolation, 'replay'> | null {
  const { board, observer, world } = scene
  const seen = { atMs: world.time.nowMs(), operation: board.operations.length }
  const broken = board.ends.find((it) => it.code === 'EB-INTERNAL')
  if (observer.violation() !== null) return observer.violation()
  if (broken !== undefined) return { invariant: 'assertion', what: broken.what, ...seen }
  return wrong === null ? null : { invariant: 'story', what: wrong, ...seen }
}

interface MutableCell {
  add(future: Future, isNew: boolean, path: string): void
  done(): Cell
}

function newCell(way: Way, firstPath: string): MutableCell {
  const counts = { states: 0, distinct: 0 }
  const endings = { old: 0, new: 0, otherwise: 0, violation: 0 }
  let replay = firstPath
  return {
    add({ ending }, isNew, path) {
      counts.states += 1
      if (isNew) counts.distinct += 1
      if (ending === 'violation' && endings.violation === 0) replay = path
      endings[ending] += 1
    },
    done: () => ({ way, ...counts, endings, replay }),
  }
}
