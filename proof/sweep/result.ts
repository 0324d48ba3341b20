/**
 * What a sweep found, as data: one entry for each operation of the story, one cell for each way to cut there.
 * Leaves to others: making it (explore.ts), showing it (../report).
 */
import type { Violation } from '../observer.ts'

/** Before the operation, inside it, after its effect but before its answer; `subset`: parts of what was not flushed. */
export const ways = ['before', 'torn', 'after', 'subset'] as const
export type Way = (typeof ways)[number]

/**
 * How a crash state ended. `old`: the boot after the cut ran the system that had run, and the story ended as
 * without a cut; `new`: that boot ran the other slot, and the story ended as without a cut; `otherwise`: the
 * story ended truthfully, but not as without a cut; `violation`: an invariant did not hold.
 */
export const endings = ['old', 'new', 'otherwise', 'violation'] as const
export type Ending = (typeof endings)[number]

export interface Cell {
  readonly way: Way
  /** Crash states. */
  readonly states: number
  /** Of these, crash images that no cell before had. */
  readonly distinct: number
  readonly endings: Readonly<Record<Ending, number>>
  /** Argument of `everboot emulator replay` for the worst state of this cell: `update/37.torn.1`. */
  readonly replay: string
}

export interface SweptOperation {
  /** From 0, in the order of the story. */
  readonly number: number
  /** `slot b write 4096+4096`. */
  readonly name: string
  /** State of the update by the agent, or `boot` before an agent runs. */
  readonly phase: string
  readonly atMs: number
  readonly cells: readonly Cell[]
  /** Cuts two deep that began here: states and violations. */
  readonly deeper: {
    readonly states: number
    readonly distinct: number
    readonly violations: number
  } | null
}

export interface FoundViolation extends Violation {
  /** Argument of `everboot emulator replay`: as of a cell, or `update/37.killed`. */
  readonly replay: string
}

export interface SweepResult {
  readonly scenario: string
  readonly about: string
  readonly depth: 1 | 2
  readonly seed: number
  readonly sectorBytes: number
  /** Crash states looked at, and how many of them had images of their own. */
  readonly states: number
  readonly distinct: number
  /** Cuts that were planned, and that came. */
  readonly planned: number
  readonly fired: number
  /** How often the agent was killed: once at every operation at which one ran. */
  readonly kills: number
  readonly violations: readonly FoundViolation[]
  /** Wall time. */
  readonly seconds: number
  readonly operations: readonly SweptOperation[]
}
