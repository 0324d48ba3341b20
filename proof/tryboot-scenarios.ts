/**
 * What is otherwise when a scenario is played on a board that is started by tryboot: the slots of its boots, since a
 * trial that comes to no verdict goes back to the other slot each time.
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

/** @returns the scenario as it must come out on a board with that loader */
export function scenarioFor(scenario: Scenario, loader: LoaderKind = 'verifying'): Scenario {
  if (loader !== 'tryboot') return scenario
  const other = endsOtherwise[scenario.name] ?? {}
  const underCuts = [...scenario.underCuts, ...(moreEnds[scenario.name] ?? [])]
  return { ...scenario, expect: { ...scenario.expect, ...other }, underCuts }
}
