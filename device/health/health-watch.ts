/**
 * Watches the health of this boot until there is a verdict.
 * Promise: one verdict, then it stops; checks do not overlap.
 * Leaves to others: what the verdict leads to.
 */
import { trialLimits } from '../../core/limits.ts'
import type { Board } from '../board.ts'
import { runChecks } from './checks.ts'
import { type Verdict, verdictOn } from './verdict.ts'

export type FinalVerdict = Exclude<Verdict, { kind: 'wait' }>

export interface WatchFacts {
  /** Only a trial needs the hub; a committed system works without it. */
  readonly hubNeeded: boolean
  readonly hubHeardBefore: boolean
  hubHeard(): boolean
  hindrance(): string | null
  /** The agent is being stopped. */
  stopped(): boolean
}

/** @returns the verdict, or null when stopped before */
export async function watchHealth(board: Board, facts: WatchFacts): Promise<FinalVerdict | null> {
  const { ports, settings, handOver, own } = board
  while (!facts.stopped()) {
    const checks = await runChecks(settings.health.checks, ports.machine, board.seal(own), settings.product)
    const verdict = verdictOn(
      {
        elapsedMs: ports.clock.monotonicMs() - handOver.bootMs,
        checks,
        hubHeard: facts.hubHeard(),
        hubNeeded: facts.hubNeeded,
        hubHeardBefore: facts.hubHeardBefore,
        hindrance: facts.hindrance(),
      },
      settings.health,
    )
    if (verdict.kind !== 'wait') return verdict
    await ports.clock.sleep(trialLimits.checkEveryMs)
  }
  return null
}
