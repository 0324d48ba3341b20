/**
 * Whether a story ended as its scenario says.
 * Leaves to others: the invariants, which hold whatever a scenario expects (checkers/).
 */
import type { Expectation, Scenario } from './scenario.ts'
import { boardName, type Scene, type Stage } from './scene.ts'

/** @returns in words what is otherwise, or null. `boots` and `notices` count only without cuts. */
export function otherwise(scene: Scene, expected: Expectation, stage: Stage, cut: boolean): string | null {
  const { world, board, observer, story } = scene
  const seq = world.wanted(boardName)
  const report = world.reports(boardName).findLast((it) => it.seq === seq)
  if ((report?.result ?? null) !== expected.result) {
    return `the final report is ${report?.result ?? 'missing'} ${report?.code ?? ''}, expected ${expected.result}`
  }
  if (expected.code !== undefined && report?.code !== expected.code) {
    return `the final report says ${report?.code}, expected ${expected.code}`
  }
  const slot = board.boots.at(-1)
  const runs = slot === undefined ? null : observer.truth.slot(slot)
  const wanted = stage.releases.get(expected.runs)
  if (runs !== wanted) return `${runs?.manifest.id ?? 'nothing whole'} runs, expected ${wanted?.manifest.id}`
  if (cut) return null
  const boots = board.boots.slice(story.state.bootsBefore).join('')
  if (expected.boots !== undefined && boots !== expected.boots) {
    return `boots ${boots}, expected ${expected.boots}`
  }
  const notices = world.statuses(boardName).flatMap((it) => it.notice?.code ?? [])
  if (expected.notices !== undefined && notices.join() !== expected.notices.join()) {
    return `notices ${notices.join()}, expected ${expected.notices.join()}`
  }
  return null
}

/** @returns null when the story ended in one of the ways that the scenario allows after cuts */
export function otherwiseUnderCuts(scene: Scene, scenario: Scenario, stage: Stage): string | null {
  const first = otherwise(scene, scenario.expect, stage, true)
  if (first === null) return null
  const allowed = scenario.underCuts.some((it) => otherwise(scene, it, stage, true) === null)
  return allowed ? null : first
}
