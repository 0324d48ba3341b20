/**
 * What is otherwise when a scenario is played on a board that is started by tryboot, or by a loader that goes by
 * claims: the slots of its boots, since by tryboot a trial that comes to no verdict goes back to the other slot each
 * time, and by claims a rotten slot is started.
 * Promise: every scenario is played there, and what is not named here must come out on all boards alike.
 * Leaves to others: the scenarios (scenarios/*.json), docs/BOOT.md, which says the same for people.
 */
import type { LoaderKind } from './board-facts.ts'
import type { Expectation, Scenario } from './scenario.ts'

/** What an end differs in. */
type Otherwise = Partial<Expectation>

export const endsOtherwise: Readonly<Record<string, Otherwise>> = {
  // Each try of a trial without a verdict is followed by a boot of the other slot, which hands over again.
  'agentless-update': { boots: 'bababa' },
  'fallback-read-fails': { boots: 'bababa' },
  'garbage-counter-on-trial': { boots: 'babababa' },
  'garbage-counters': { boots: 'abababa' },
  'hanging-update': { boots: 'bababa' },
  'migrated-journal': { boots: 'bbbbbbbbabababa' },
  'rot-after-verify': { boots: 'bababa' },
  'update-without-verdict': { boots: 'bababa' },
  'cut-before-the-commit': { boots: 'bab' },
  // A seal that is refused sends the board back before its system starts.
  'rot-in-the-new-seal': { boots: 'aaa' },
  // dm-verity finds the rot after the start, and each boot of [all] counts up to eight.
  'counterexample-5': { boots: 'baaaaaaaabaaaaaaaab' },
  'rot-in-the-running-system': { boots: 'bbbbbbbbab' },
  // Its cuts are counted in writes of the record, of which there are others here: they use up the tries.
  'many-cuts': {
    ...{ result: 'failed', code: 'EB-NO-VERDICT', runs: 'factory' },
    ...{ floor: 0, attempts: ['EB-NO-VERDICT'], committed: 'a' },
  },
  // Without a record autoboot.txt still says what was committed last: that slot runs and rebuilds it.
  'counterexample-7': { boots: 'bba' },
  'record-and-stamp-lost': { runs: 'v2', boots: 'b' },
}

/**
 * More true ends after a cut. A trial that a cut has ended before its verdict is handed over again and may succeed,
 * where a loader would have started it again in the same quick cycles.
 */
export const moreEnds: Readonly<Record<string, readonly Expectation[]>> = {
  'counterexample-2': [{ result: 'ok', runs: 'v2' }],
}

/** The same of a loader that goes by claims: what does not hold costs a try each time. */
export const endsOtherwiseByClaims: Readonly<Record<string, Otherwise>> = {
  'counterexample-5': { boots: 'baaaaaaaaaaaaaaaabaaaaaaaaaaab' },
  'rot-after-verify': { boots: 'bbba' },
  'rot-in-the-running-system': { boots: 'bbbbbbbbab' },
}

/** @returns the scenario as it must come out on a board with that loader */
export function scenarioFor(scenario: Scenario, loader: LoaderKind = 'verifying'): Scenario {
  if (loader === 'verifying') return scenario
  const byTryboot = loader === 'tryboot'
  const other = (byTryboot ? endsOtherwise : endsOtherwiseByClaims)[scenario.name] ?? {}
  const more = byTryboot ? (moreEnds[scenario.name] ?? []) : []
  return {
    ...scenario,
    expect: { ...scenario.expect, ...other },
    underCuts: [...scenario.underCuts, ...more],
  }
}
