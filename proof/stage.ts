/**
 * Makes what a scenario needs: publisher, factory release and its own releases, the same bytes each time.
 */

import { slotLimits } from '../core/limits.ts'
import { roundUp } from '../core/units.ts'
import { treeBytes } from '../images/release/verity.ts'
import type { LoaderKind } from './board-facts.ts'
import { type Publisher, pieceBytes, publisher } from './publisher.ts'
import type { Scenario } from './scenario.ts'
import type { Stage } from './scene.ts'
import type { WorldParts } from './world.ts'

export interface StageOptions {
  readonly seed: number
  /** Pieces of 4 KiB in each image; a scenario may need more. */
  readonly pieces: number
  readonly sectorBytes: 512 | 4096
  readonly loader?: LoaderKind
}

/** What a world is made with, given a publisher. */
export type PartsFor = (publisher: Publisher) => WorldParts

/** @param partsFor what the world is made with, given a publisher */
export async function makeStage(
  { releases, piecesMin }: Pick<Scenario, 'releases' | 'piecesMin'>,
  { seed, pieces: wanted, sectorBytes, loader = 'verifying' }: StageOptions,
  partsFor: PartsFor,
): Promise<Stage> {
  const make = publisher(seed)
  const pieces = Math.max(wanted, piecesMin)
  const common = { pieces, level: 0 }
  const made = new Map([['factory', await make.make('1', 'healthy', common)]])
  for (const [name, { behaviour, securityVersion, floorAfterCommit }] of Object.entries(releases)) {
    const floor = floorAfterCommit === null ? {} : { floorAfterCommit }
    made.set(name, await make.make(name, behaviour, { ...common, securityVersion, ...floor }))
  }
  const imageBytes = pieces * pieceBytes
  const slotBytes = roundUp(
    imageBytes + treeBytes(imageBytes) + slotLimits.sealAreaBytes,
    slotLimits.sealAreaBytes,
  )
  const parts = { ...partsFor(make), seed }
  return { parts, releases: made, options: { slotBytes, sectorBytes, loader } }
}
