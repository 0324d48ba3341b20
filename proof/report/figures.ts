/**
 * The figures that page and terminal show, counted from the results of sweeps.
 * Promise: pure; a broken promise counts wherever it stands: in the list, in a cell, or two cuts deep.
 */
import {
  type Ending,
  endings,
  type FoundViolation,
  type SweepResult,
  type SweptOperation,
} from '../sweep/result.ts'
import { operationOf } from './operation.ts'

export interface Figures {
  readonly states: number
  readonly distinct: number
  readonly planned: number
  readonly fired: number
  /** Kills of the agent. */
  readonly kills: number
  readonly violations: number
  readonly seconds: number
  readonly operations: number
  /** Operations that change what a cut leaves behind, and that no cut met: there must be none. */
  readonly uncut: number
  readonly endings: Readonly<Record<Ending, number>>
}

export function figuresOf(result: SweepResult): Figures {
  const { states, distinct, planned, fired, kills, seconds, operations } = result
  const ends = sumEndings(operations.flatMap((it) => it.cells.map((cell) => cell.endings)))
  const deeper = operations.reduce((sum, it) => sum + (it.deeper?.violations ?? 0), 0)
  return {
    states,
    distinct,
    planned,
    fired,
    kills,
    violations: Math.max(result.violations.length, ends.violation + deeper),
    seconds,
    operations: operations.length,
    uncut: operations.filter((it) => operationOf(it.name).durable && cutsOf(it) === 0).length,
    endings: ends,
  }
}

export function sumFigures(all: readonly Figures[]): Figures {
  const sum = (pick: (it: Figures) => number): number => all.reduce((total, it) => total + pick(it), 0)
  return {
    states: sum((it) => it.states),
    distinct: sum((it) => it.distinct),
    planned: sum((it) => it.planned),
    fired: sum((it) => it.fired),
    kills: sum((it) => it.kills),
    violations: sum((it) => it.violations),
    seconds: sum((it) => it.seconds),
    operations: sum((it) => it.operations),
    uncut: sum((it) => it.uncut),
    endings: sumEndings(all.map((it) => it.endings)),
  }
}

/** What a run is worth. `broken`: a promise was; `incomplete`: it proves less than it planned. */
export type Verdict = 'good' | 'broken' | 'incomplete' | 'nothing'

export function verdictOf(it: Figures): Verdict {
  if (it.violations > 0) return 'broken'
  if (it.states === 0) return 'nothing'
  return it.planned !== it.fired || it.uncut > 0 ? 'incomplete' : 'good'
}

export function sumEndings(all: readonly Readonly<Record<Ending, number>>[]): Record<Ending, number> {
  const sum: Record<Ending, number> = { old: 0, new: 0, otherwise: 0, violation: 0 }
  for (const one of all) for (const ending of endings) sum[ending] += one[ending]
  return sum
}

/** Cuts that an operation met. */
export function cutsOf(it: SweptOperation): number {
  return it.cells.reduce((sum, cell) => sum + cell.states, 0)
}

/** One bar: so many operations had from `min` to `max` cuts. */
export interface Bar {
  readonly min: number
  readonly max: number
  readonly operations: number
}

/** Durable operations by how many cuts each met: 0, 1, 2-3, 4-7, 8-15, … up to the most. */
export function histogram(operations: readonly SweptOperation[]): readonly Bar[] {
  const cuts = operations.filter((it) => operationOf(it.name).durable).map(cutsOf)
  const most = Math.max(0, ...cuts)
  const bars: Bar[] = []
  for (let min = 0; min <= most; min = Math.max(1, 2 * min)) {
    const max = Math.max(0, 2 * min - 1)
    bars.push({ min, max, operations: cuts.filter((it) => it >= min && it <= max).length })
  }
  return bars
}

export function barText({ min, max }: Bar): string {
  return min === max ? String(min) : `${min}-${max}`
}

/** Consecutive operations of one phase. */
export interface PhaseRun {
  readonly phase: string
  readonly operations: readonly SweptOperation[]
}

export function phaseRuns(operations: readonly SweptOperation[]): readonly PhaseRun[] {
  const runs: { phase: string; operations: SweptOperation[] }[] = []
  for (const it of operations) {
    const last = runs.at(-1)
    if (last?.phase === it.phase) last.operations.push(it)
    else runs.push({ phase: it.phase, operations: [it] })
  }
  return runs
}

/** Operations of one kind: what they did where, and how many cuts they met. */
export interface Kind {
  readonly kind: string
  readonly operations: number
  readonly cuts: number
  readonly fewest: number
  readonly violations: number
}

/** In the order in which they come in the story. */
export function kindsOf(operations: readonly SweptOperation[]): readonly Kind[] {
  const groups = Map.groupBy(operations, ({ name }) => {
    const { place, verb } = operationOf(name)
    return `${place} ${verb}`.trimEnd()
  })
  return [...groups].map(([kind, all]) => ({
    kind,
    operations: all.length,
    cuts: all.reduce((sum, it) => sum + cutsOf(it), 0),
    fewest: Math.min(...all.map(cutsOf)),
    violations: all.reduce((sum, it) => sum + violationsOf(it), 0),
  }))
}

export function violationsOf(it: SweptOperation): number {
  return it.cells.reduce((sum, cell) => sum + cell.endings.violation, it.deeper?.violations ?? 0)
}

/** A violation and the scenario it was found in. */
export interface Found {
  readonly scenario: number
  readonly violation: FoundViolation
}

export function allViolations(results: readonly SweepResult[]): readonly Found[] {
  return results.flatMap((it, scenario) => it.violations.map((violation) => ({ scenario, violation })))
}
