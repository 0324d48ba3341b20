/**
 * Puts the parts of a sweep together.
 */
import { assert } from '../../core/assert.ts'
import type { Scenario } from '../scenario.ts'
import type { StageOptions } from '../stage.ts'
import type { SweepPart } from './explore.ts'
import type { SweepResult } from './result.ts'

export function merged(
  parts: readonly SweepPart[],
  about: {
    readonly scenario: Pick<Scenario, 'name' | 'about'>
    readonly depth: 1 | 2
    readonly stage: Pick<StageOptions, 'seed' | 'sectorBytes'>
    readonly seconds: number
  },
): SweepResult {
  const operations = parts.flatMap((it) => it.operations).sort((a, b) => a.number - b.number)
  const sum = (of: (it: SweepPart) => number): number => parts.reduce((total, it) => total + of(it), 0)
  const planned = sum((it) => it.planned)
  const fired = sum((it) => it.fired)
  assert(planned === fired, `${planned} cuts were planned, ${fired} came`)
  for (const it of operations)
    assert(
      it.cells.every((cell) => cell.states > 0),
      `operation ${it.number} was not cut`,
    )
  const { scenario, depth, stage, seconds } = about
  return {
    scenario: scenario.name,
    about: scenario.about,
    depth,
    seed: stage.seed,
    sectorBytes: stage.sectorBytes,
    states: planned,
    distinct: new Set(parts.flatMap((it) => [...it.images])).size,
    planned,
    fired,
    kills: sum((it) => it.kills),
    violations: parts.flatMap((it) => it.violations),
    seconds,
    operations,
  }
}
