/**
 * Whether a story ended as its scenario says.
 * Leaves to others: the invariants, which hold whatever a scenario expects (checkers/).
 */
import { slotIds } from '../core/units.ts'
import type { Report } from '../core/wire/messages.ts'
import { sealedBytes } from './answers.ts'
import type { Expectation, Scenario } from './scenario.ts'
import { boardName, type Scene, type Stage } from './scene.ts'

/** @param cut the power was cut from outside: then only the end counts. @returns in words what is otherwise, or null */
export function otherwise(scene: Scene, expected: Expectation, stage: Stage, cut: boolean): string | null {
  return otherEnd(scene, expected, stage) ?? (cut ? null : otherWay(scene, expected, stage))
}

/** @returns null when the story ended in one of the ways that the scenario allows after cuts */
export function otherwiseUnderCuts(scene: Scene, scenario: Scenario, stage: Stage): string | null {
  const first = otherwise(scene, scenario.expect, stage, true)
  if (first === null) return null
  const allowed = scenario.underCuts.some((it) => otherwise(scene, it, stage, true) === null)
  return allowed ? null : first
}

function otherEnd(scene: Scene, expected: Expectation, stage: Stage): string | null {
  const { board, observer, story } = scene
  const report = reportOf(scene, story.state.wishes.at(-1)?.seq)
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
  const floors = [observer.truth.record()?.floor, observer.truth.stamp()?.floor]
  if (expected.floor !== undefined && floors.some((it) => it !== expected.floor)) {
    return `the floor is ${floors.join(' in the record and ')} in the stamp, expected ${expected.floor}`
  }
  return null
}

/** Everything that may differ after a cut. */
function otherWay(scene: Scene, expected: Expectation, stage: Stage): string | null {
  const { board, observer, story, world } = scene
  const { before, wishes } = story.state
  const { truth } = observer
  const statuses = world.statuses(boardName).slice(before.statuses)
  const logged = new Set(board.log.slice(before.logged).map((it) => it.event))
  const named = (slot: 'a' | 'b'): string | null =>
    [...stage.releases].find(([, it]) => it === truth.slot(slot))?.[0] ?? null
  const missing = expected.logged?.find((it) => !logged.has(it))
  return (
    differs('boots', board.boots.slice(before.boots).join(''), expected.boots) ??
    differs(
      'attempts',
      wishes
        .slice(before.wishes)
        .map((it) => outcome(reportOf(scene, it.seq)))
        .join(),
      expected.attempts?.join(),
    ) ??
    differs('notices', statuses.flatMap((it) => it.notice?.code ?? []).join(), expected.notices?.join()) ??
    differs('slot a holds', named('a'), expected.holds?.a) ??
    differs('slot b holds', named('b'), expected.holds?.b) ??
    differs('committed', slotIds.filter((it) => truth.record()?.[it].ok).join(''), expected.committed) ??
    (missing === undefined ? null : `the agent did not log "${missing}"`) ??
    differs('online', world.hub().state().devices.get(boardName)?.presence?.online, expected.online) ??
    tooMuch(scene, expected, stage)
  )
}

function reportOf({ world }: Scene, seq: number | undefined): Report | undefined {
  return world.reports(boardName).findLast((it) => it.seq === seq)
}

function outcome(report: Report | undefined): string {
  return report === undefined ? 'none' : (report.code ?? report.result)
}

function differs<T>(what: string, is: T, expected: T | undefined): string | null {
  return expected === undefined || is === expected ? null : `${what} ${is}, expected ${expected}`
}

function tooMuch({ world, story }: Scene, { fetched }: Expectation, stage: Stage): string | null {
  const { wishes, before } = story.state
  if (fetched === undefined) return null
  const release = [...stage.releases.values()].find((it) => it.manifest.id === wishes.at(-1)?.release.id)
  const copy = [...(release?.files.values() ?? [])].reduce((sum, it) => sum + it.length, 0)
  const max = fetched.copies * copy + fetched.pieces * sealedBytes
  const came = world.net.files.sent - before.bytesSent
  return came <= max ? null : `${came} bytes came from the hub, expected ${max} at most`
}
