/**
 * Seeds: each is a board with random options that gets one wish after another while faults from the atlas
 * strike at random; then the faults are over, and everything must come right.
 * Promise: one seed, one story, to the last operation. Every invariant is checked at everything that happens.
 * Leaves to others: which faults there are (fault-atlas.ts), the invariants (../checkers).
 */
import { assert } from '../../core/assert.ts'
import { type SeededRandom, seededRandom } from '../../core/prng.ts'
import { atRest } from '../at-rest.ts'
import type { Violation } from '../observer.ts'
import type { Scenario } from '../scenario.ts'
import { boardName, firstScene, type Scene, type Stage } from '../scene.ts'
import { makeStage, type PartsFor } from '../stage.ts'
import { type Chronicle, chronicle, watch } from './chronicle.ts'
import { faultAtlas, healAll } from './fault-atlas.ts'

const seconds = 1000
const hour = 3_600 * seconds
/** Of 8 events of the agent, one is followed by a fault. */
const oneIn = 8
/** Stages are made once for all seeds: six shapes of boards and releases. */
const shapes = [
  { pieces: 4, sectorBytes: 4096 },
  { pieces: 6, sectorBytes: 512 },
  { pieces: 9, sectorBytes: 4096 },
  { pieces: 16, sectorBytes: 512 },
] as const

const releases: Scenario['releases'] = {
  'good-1': { behaviour: 'healthy', securityVersion: 1, floorAfterCommit: null },
  'good-2': { behaviour: 'healthy', securityVersion: 2, floorAfterCommit: null },
  'good-3': { behaviour: 'healthy', securityVersion: 2, floorAfterCommit: 2 },
  'good-4': { behaviour: 'healthy', securityVersion: 3, floorAfterCommit: 3 },
  'sick-1': { behaviour: 'sick', securityVersion: 3, floorAfterCommit: null },
  'sick-2': { behaviour: 'sick', securityVersion: 4, floorAfterCommit: 4 },
  'hangs-1': { behaviour: 'hang', securityVersion: 3, floorAfterCommit: null },
  'deaf-1': { behaviour: 'no hub', securityVersion: 3, floorAfterCommit: null },
}

/** What came of one seed. */
export interface SeedResult {
  readonly seed: number
  readonly violation: Violation | null
  /** Faults that struck, by name. */
  readonly faults: Readonly<Record<string, number>>
  readonly boots: number
  readonly operations: number
  readonly attempts: number
  /** Over everything that happened. */
  readonly digest: string
}

/** @param tick told how many more seeds are done */
export async function swarm(
  seeds: readonly number[],
  partsFor: PartsFor,
  tick: (seeds: number) => void,
): Promise<readonly SeedResult[]> {
  const stages = await swarmStages(partsFor)
  const results: SeedResult[] = []
  for (const seed of seeds) {
    results.push((await playSeed(seed, stages)).result)
    tick(1)
  }
  return results
}

export async function swarmStages(partsFor: PartsFor): Promise<readonly Stage[]> {
  const stages: Stage[] = []
  for (const shape of shapes) {
    stages.push(await makeStage({ releases, piecesMin: 1 }, { seed: 1, ...shape }, partsFor))
  }
  return stages
}

/** @param stopAt the story ends before this operation of the board */
export async function playSeed(
  seed: number,
  stages: readonly Stage[],
  stopAt: number | null = null,
): Promise<{ readonly result: SeedResult; readonly chronicle: Chronicle }> {
  const random = seededRandom(seed)
  const shape = stages[random.below(stages.length)]
  assert(shape !== undefined, 'a stage')
  const stage = { ...shape, parts: { ...shape.parts, seed } }
  const scene = await firstScene(stage)
  const notes = chronicle(() => scene.world.time.nowMs())
  watch(scene, notes)
  if (stopAt !== null) stopBefore(scene, notes, stopAt)
  const faults = new Map<string, number>()
  await scene.board.powerOn()
  await until(scene, () => atRest(scene), hour)
  const attempts = await unsafePhase(scene, stage, random, (name) => {
    notes.note(`fault ${name}`)
    faults.set(name, (faults.get(name) ?? 0) + 1)
  })
  const converged = await healedPhase(scene)
  scene.observer.tell({ kind: 'end', converged })
  const { board, observer, world } = scene
  const violation =
    observer.violation() ??
    (converged
      ? null
      : { invariant: 'I13', what: 'does not come to rest', atMs: world.time.nowMs(), operation: 0 })
  const result = {
    seed,
    violation,
    faults: Object.fromEntries(faults),
    boots: board.boots.length,
    operations: board.operations.length,
    attempts,
    digest: notes.digest(),
  }
  return { result, chronicle: notes }
}

/** The story is over for whoever reads it; what comes after is not noted. */
function stopBefore({ board }: Scene, notes: Chronicle, operation: number): void {
  const begin = board.power.onBegin
  board.power.onBegin = (name) => {
    if (board.operations.length >= operation) notes.close()
    begin(name)
  }
}

/** Wishes and faults. @returns how many wishes */
async function unsafePhase(
  scene: Scene,
  stage: Stage,
  random: SeededRandom,
  struck: (name: string) => void,
): Promise<number> {
  const { board, world } = scene
  // Each seed knows some faults only, so that rare ones meet too.
  const known = faultAtlas.filter(() => random.below(4) === 0)
  const wishes = [...stage.releases].filter(([name]) => name !== 'factory').map(([, it]) => it)
  let on = true
  const log = board.onLog
  board.onLog = (event) => {
    log(event)
    if (!on || known.length === 0 || random.below(oneIn) !== 0) return
    const fault = known[random.below(known.length)]
    if (fault === undefined) return
    world.time.clock.timer(random.below(3 * seconds), () => {
      if (!on) return
      struck(fault.name)
      fault.strike(scene, random)
    })
  }
  const rounds = 2 + random.below(3)
  for (let round = 0; round < rounds && scene.observer.violation() === null; round += 1) {
    const wish = wishes[random.below(wishes.length)]
    assert(wish !== undefined, 'a release')
    await world.rollOut(wish, [boardName])
    await until(scene, () => false, random.below(1200) * seconds)
  }
  on = false
  return rounds
}

async function healedPhase(scene: Scene): Promise<boolean> {
  await healAll(scene)
  await until(scene, () => false, 10 * seconds)
  return until(scene, () => atRest(scene), 24 * hour)
}

async function until(scene: Scene, condition: () => boolean, limitMs: number): Promise<boolean> {
  const violated = (): boolean => scene.observer.violation() !== null
  const came = await scene.world.time.until(() => violated() || condition(), limitMs)
  return came && !violated()
}
