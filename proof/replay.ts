/**
 * Plays a seed of the swarm or a crash state of a sweep again, and writes down what happens.
 * Promise: the same argument gives the same lines.
 * Leaves to others: printing (cli.ts).
 */
import { present } from '../core/assert.ts'
import { raise } from '../core/errors.ts'
import type { Violation } from './observer.ts'
import { rehearse } from './rehearsal.ts'
import type { Scenario } from './scenario.ts'
import type { Stage } from './scene.ts'
import { makeStage, type PartsFor, type StageOptions } from './stage.ts'
import { chronicle, watch } from './swarm/chronicle.ts'
import { playSeed, swarmStages } from './swarm/swarm.ts'
import { type CrashPoint, crashStates } from './sweep/crash-states.ts'
import { crashedImage, futureOf, killedFuture, pointsOf } from './sweep/futures.ts'
import { ways } from './sweep/result.ts'

export interface Replayed {
  /** The last events, oldest first. */
  readonly events: readonly string[]
  readonly count: number
  /** SHA-256 over all events. */
  readonly digest: string
  readonly violation: Violation | null
}

/** @param argument `SEED` or `SEED:STEP`: stop before that operation */
export async function replaySeed(argument: string, partsFor: PartsFor): Promise<Replayed> {
  const [seed, step] = argument.split(':')
  const stages = await swarmStages(partsFor)
  const stopAt = step === undefined ? null : Number(step)
  const { result, chronicle: notes } = await playSeed(Number(seed), stages, stopAt)
  return {
    events: notes.lines(),
    count: notes.count(),
    digest: notes.digest(),
    violation: stopAt === null ? result.violation : null,
  }
}

const uncutForm = /^[^/]+\/uncut$/
const killForm = /^[^/]+\/(\d+)\.killed$/
const pathForm = /^[^/]+(\/\d+\.(before|torn|after|subset)\.\d+){1,2}$/

/**
 * @param path as a sweep prints it: `update/37.torn.1`, two cuts: `update/37.torn.1/12.before.0`, a kill of the
 *   agent: `update/37.killed`, or the story as it is: `update/uncut`
 */
export async function replayCrash(
  path: string,
  scenario: Scenario,
  shape: StageOptions,
  partsFor: PartsFor,
): Promise<Replayed> {
  const killed = killForm.exec(path)?.[1]
  const uncut = uncutForm.test(path)
  if (killed === undefined && !uncut && !pathForm.test(path)) {
    raise('EB-USAGE', `${path} is no crash state; such as update/37.torn.1 or update/37.killed`)
  }
  const stage = await makeStage(scenario, shape, partsFor)
  if (uncut) return replayUncut(scenario, stage)
  if (killed !== undefined) return replayKill(Number(killed), scenario, stage)
  const [first, second] = path.split('/').slice(1)
  const { points } = await pointsOf({ scenario, stage })
  const state = stateAt(points, present(first, 'cut'))
  const crashed = crashedImage(state.image, state.fates, stage)
  const notes = chronicle(() => now())
  let now = (): number => 0
  if (second === undefined) {
    const future = await futureOf(crashed, scenario, stage, {
      begin(scene) {
        now = () => scene.world.time.nowMs()
        notes.note(`cut ${first}: ${pointName(points, present(first, 'cut'))}`)
        watch(scene, notes)
      },
    })
    return {
      events: notes.lines(),
      count: notes.count(),
      digest: notes.digest(),
      violation: future.violation,
    }
  }
  const recovery = await futureOf(crashed, scenario, stage, { record: true })
  const again = stateAt(recovery.points, second)
  const future = await futureOf(crashedImage(again.image, again.fates, stage), scenario, stage, {
    begin(scene) {
      now = () => scene.world.time.nowMs()
      notes.note(`cut ${first}: ${pointName(points, present(first, 'cut'))}`)
      notes.note(`cut ${second}: ${pointName(recovery.points, second)}`)
      watch(scene, notes)
    },
  })
  return { events: notes.lines(), count: notes.count(), digest: notes.digest(), violation: future.violation }
}

async function replayUncut(scenario: Scenario, stage: Stage): Promise<Replayed> {
  let now = (): number => 0
  const notes = chronicle(() => now())
  const { violation } = await rehearse(scenario, stage, (scene) => {
    now = () => scene.world.time.nowMs()
    watch(scene, notes)
  })
  return { events: notes.lines(), count: notes.count(), digest: notes.digest(), violation }
}

async function replayKill(operation: number, scenario: Scenario, stage: Stage): Promise<Replayed> {
  const { points } = await pointsOf({ scenario, stage })
  const name = points[operation]?.name
  if (name === undefined) raise('EB-USAGE', `there are ${points.length} operations, none is ${operation}`)
  let now = (): number => 0
  const notes = chronicle(() => now())
  const violation = await killedFuture(scenario, stage, operation, (scene) => {
    now = () => scene.world.time.nowMs()
    notes.note(`kill at ${operation}: ${name}`)
    watch(scene, notes)
  })
  return { events: notes.lines(), count: notes.count(), digest: notes.digest(), violation }
}

function stateAt(points: readonly CrashPoint[], cut: string) {
  const [number, way, index] = cut.split('.')
  const point = points[Number(number)]
  const known = ways.find((it) => it === way)
  const state =
    point === undefined
      ? undefined
      : crashStates(point).find((it) => it.way === known && it.index === Number(index))
  return state ?? raise('EB-USAGE', `there is no crash state ${cut} among ${points.length} operations`)
}

function pointName(points: readonly CrashPoint[], cut: string): string {
  return points[Number(cut.split('.')[0])]?.name ?? 'nothing'
}
