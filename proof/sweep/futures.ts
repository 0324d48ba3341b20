/**
 * Stories played to their end: without a cut, after a cut, with the agent killed.
 * Promise: the same image or operation has the same end; a story counts as ended when the board rests.
 * Leaves to others: which of them to play (explore.ts, ../replay.ts), what must hold (../checkers, ../verdict.ts).
 */
import { crashedDisk } from '../../bootloader-sim/devices/block-device.ts'
import type { Fate } from '../../bootloader-sim/devices/fate.ts'
import { crashedFiles } from '../../bootloader-sim/devices/file-store.ts'
import { assert } from '../../core/assert.ts'
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
import type { CrashPoint } from './crash-states.ts'
import { killAt } from './kills.ts'
import type { Ending, FoundViolation } from './result.ts'

/** How the future of one crash state was. */
export interface Future {
  readonly ending: Ending
  readonly violation: Omit<FoundViolation, 'replay'> | null
  /** Crash points of the recovery; empty unless asked for. */
  readonly points: readonly CrashPoint[]
}

/** The story without cuts: its operations, and what is wrong with it. */
export interface Uncut {
  readonly points: readonly CrashPoint[]
  readonly violation: Omit<FoundViolation, 'replay'> | null
}

/** Every operation of the story without cuts, which must end as the scenario says. */
export async function pointsOf({
  scenario,
  stage,
}: {
  readonly scenario: Scenario
  readonly stage: Stage
}): Promise<Uncut> {
  const scene = await preparedScene(scenario, stage)
  const points = record(scene)
  const went = (await play(scene, scenario.steps, stage)) && (await comesToRest(scene))
  scene.observer.tell({ kind: 'end', converged: went })
  const wrong = went ? otherwise(scene, scenario.expect, stage, false) : 'the board does not come to rest'
  return { points: points(), violation: violationOf(scene, wrong) }
}

/** A running board that has played what comes before the story. @param begin told of the scene before its first boot */
export async function preparedScene(
  { prepare }: Scenario,
  stage: Stage,
  begin: (scene: Scene) => void = () => {},
): Promise<Scene> {
  const scene = await firstScene(stage)
  begin(scene)
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
