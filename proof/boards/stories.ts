/**
 * The stories that are played on boards of every kind, and what each must come to.
 * Promise: what a story comes to is what the simulated board with such a loader makes of it; nothing is written
 * down by hand.
 * Leaves to others: playing them (simulated.ts, real-player.ts).
 */
import type { LoaderKind } from '../board-facts.ts'
import type { Scenario } from '../scenario.ts'
import { makeStage, type PartsFor } from '../stage.ts'
import type { Outcome } from './outcome.ts'
import type { RealBoard } from './real-board.ts'
import { playSimulated } from './simulated.ts'

/** By name, the most telling first. */
export const storyNames = [
  'update',
  'sick-update',
  'hanging-update',
  'agentless-update',
  'committed-kernel-destroyed',
  'rot-after-verify',
  'rot-in-the-running-seal',
  'record-lost',
  'record-and-stamp-lost',
  'second-update',
  'many-cuts',
] as const

/** The loader of each kind of board. */
export const loaderOf: Readonly<Record<RealBoard['kind'], LoaderKind>> = {
  loop: 'verifying',
  qemu: 'record-only',
}

/** What the story comes to on a board with such a loader. @throws EverbootError EB-SCENARIO */
export async function expectedOutcome(
  scenario: Scenario,
  loader: LoaderKind,
  partsFor: PartsFor,
): Promise<Outcome> {
  // Enough pieces for every planned cut; real images have more.
  const stage = await makeStage(scenario, { seed: 1, pieces: 16, sectorBytes: 512, loader }, partsFor)
  return playSimulated(scenario, stage)
}

/** As a table for the documentation. */
export function storyTable(
  rows: readonly {
    readonly scenario: Scenario
    readonly outcomes: Readonly<Record<Exclude<LoaderKind, 'tryboot'>, Outcome>>
  }[],
): readonly string[] {
  const boots = ({ boots: all }: Outcome): string => all.map(({ slot }) => slot).join('')
  return [
    '| Story | Boots, loader verifies | Boots, loader goes by claims | Wishes end | Record and stamp at rest |',
    '|---|---|---|---|---|',
    ...rows.map(({ scenario, outcomes: { verifying, 'record-only': claims } }) =>
      [
        '',
        `\`${scenario.name}\`: ${scenario.about}`,
        `\`${boots(verifying)}\``,
        boots(claims) === boots(verifying) ? 'the same' : `\`${boots(claims)}\``,
        claims.attempts.map((it) => `\`${it}\``).join(', '),
        `\`${claims.rest.digests.join(' ')}\` ${claims.rest.text}`,
        '',
      ]
        .join(' | ')
        .trim(),
    ),
  ]
}
