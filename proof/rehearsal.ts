/**
 * Plays a scenario from beginning to end without cuts from outside, and says how it came out.
 * Promise: as a sweep plays it first: same scene, same checkers.
 * Leaves to others: cutting it everywhere (sweep/).
 */
import { comesToRest } from './at-rest.ts'
import type { Violation } from './observer.ts'
import { play } from './player.ts'
import type { Scenario } from './scenario.ts'
import type { Scene, Stage } from './scene.ts'
import { preparedScene } from './sweep/futures.ts'
import { otherwise } from './verdict.ts'

export interface Rehearsal {
  readonly scene: Scene
  readonly violation: Violation | null
  /** The step that did not come to its end, from 0; null: all did. */
  readonly stuckAt: number | null
  readonly atRest: boolean
  /** In words what came out otherwise than expected, or null. */
  readonly otherwise: string | null
}

/** @param begin told of the scene before its first step */
export async function rehearse(
  scenario: Scenario,
  stage: Stage,
  begin: (scene: Scene) => void = () => {},
): Promise<Rehearsal> {
  const scene = await preparedScene(scenario, stage)
  begin(scene)
  const { observer, story } = scene
  const played = await play(scene, scenario.steps, stage)
  const rested = played && (await comesToRest(scene))
  observer.tell({ kind: 'end', converged: rested })
  return {
    scene,
    violation: observer.violation(),
    stuckAt: played ? null : story.state.step - 1,
    atRest: rested,
    otherwise: otherwise(scene, scenario.expect, stage, false),
  }
}
