/**
 * Results of sweeps that nobody ran, in the form and the proportions of real ones: the operations of an update
 * as the agent does them, and endings that tip from one system to the other where the record is written.
 */
import { MiB } from '../../../core/units.ts'
import type {
  Cell,
  Ending,
  FoundViolation,
  SweepResult,
  SweptOperation,
  Way,
} from '../../../proof/sweep/result.ts'

type Step = readonly [phase: string, name: string]

const journal = (phase: string): readonly Step[] =>
  ['files write journal.new', 'files syncFile journal.new', 'files rename journal.new', 'files syncDir'].map(
    (name) => [phase, name] as const,
  )
const said = (phase: string): Step => [phase, 'link publish eb/1/d/board-1/status']
const record = (phase: string, copy: 0 | 1): readonly Step[] => [
  [phase, `boot write ${copy * MiB}+65536`],
  [phase, 'boot flush'],
]
const slotWrite = (phase: string, offset: number, bytes = 4096): Step => [
  phase,
  `slot b write ${offset}+${bytes}`,
]

/** The operations of an update of so many pieces. */
export function updateSteps(pieces: number): readonly Step[] {
  const download = Array.from({ length: pieces }, (_, at) => slotWrite('DOWNLOADING', at * 4096))
  return [
    ...record('boot', 1),
    ...journal('IDLE'),
    said('IDLE'),
    ...record('DOWNLOADING', 0),
    ...record('DOWNLOADING', 1),
    slotWrite('DOWNLOADING', 983_040, 65_536),
    ['DOWNLOADING', 'slot b flush'],
    ...download,
    ['DOWNLOADING', 'slot b flush'],
    ...journal('DOWNLOADING'),
    slotWrite('VERIFYING', 262_144),
    ['VERIFYING', 'slot b flush'],
    slotWrite('APPLYING', 983_040, 65_536),
    ['APPLYING', 'slot b flush'],
    ...journal('APPLYING'),
    ...record('APPLYING', 1),
    ...journal('REBOOTING'),
    said('REBOOTING'),
    ...record('boot', 0),
    ...journal('REBOOTING'),
    said('REBOOTING'),
    ...record('REBOOTING', 1),
    ['REBOOTING', `boot write ${2 * MiB}+4096`],
    ['REBOOTING', 'boot flush'],
    ...record('REBOOTING', 0),
    ...journal('COMPLETE'),
    said('COMPLETE'),
    ['COMPLETE', 'files remove manifest'],
    ...journal('IDLE'),
  ]
}

export interface SampleOptions {
  readonly scenario?: string
  readonly about?: string
  readonly pieces?: number
  readonly depth?: 1 | 2
  /** Operations at which a promise is broken. */
  readonly broken?: (phase: string, name: string) => boolean
}

export function sample(options: SampleOptions = {}): SweepResult {
  const { scenario = 'update', pieces = 64, depth = 1, broken = () => false } = options
  const steps = updateSteps(pieces)
  const tips = steps.findIndex(([phase, name]) => phase === 'APPLYING' && name.startsWith('boot write'))
  let pending = 0
  const operations = steps.map(([phase, name], number): SweptOperation => {
    pending = / (flush|syncDir)$/.test(name) ? 0 : Math.min(5, pending + 1)
    const cells = cellsOf(scenario, number, name, pending, number - tips, broken(phase, name))
    const deeper = depth === 2 ? { states: 40 + (number % 7), distinct: 30, violations: 0 } : null
    return { number, name, phase, atMs: number * 37, cells, deeper }
  })
  const sum = (pick: (cell: Cell) => number): number =>
    operations.reduce((all, it) => all + it.cells.reduce((part, cell) => part + pick(cell), 0), 0)
  const states = sum((it) => it.states)
  return {
    scenario,
    about: options.about ?? `A good update of ${pieces} pieces, from the assignment to the commit.`,
    depth,
    seed: 1,
    sectorBytes: 4096,
    states,
    distinct: sum((it) => it.distinct),
    planned: states,
    fired: states,
    kills: 117,
    violations: operations.flatMap((it) => violationsOf(it)),
    seconds: states / 1_100,
    operations,
  }
}

/** @param past operations since the one at which the outcome tips */
function cellsOf(
  scenario: string,
  number: number,
  name: string,
  pending: number,
  past: number,
  broken: boolean,
): readonly Cell[] {
  const cell = (way: Way, states: number, distinct: number, ends: Partial<Record<Ending, number>>): Cell => ({
    way,
    states,
    distinct,
    endings: { old: 0, new: 0, otherwise: 0, violation: 0, ...ends },
    replay: `${scenario}/${number}.${way}.${states - 1}`,
  })
  const after: Ending = past < 1 ? 'old' : past < 14 ? 'new' : 'old'
  const differs: Ending = past > 20 && past < 26 ? 'otherwise' : after
  if (name.startsWith('link'))
    return [cell('before', 1, 1, { [after]: 1 }), cell('after', 1, 0, { [after]: 1 })]
  const writes = / (write|rename|remove) /.test(name)
  const subsets = 2 ** pending
  const mixed = past === 0 || past === 1
  const bad = broken ? Math.max(1, subsets >> 3) : 0
  return [
    cell('before', 1, number % 3 === 0 ? 1 : 0, { [past === 0 ? 'old' : after]: 1 }),
    ...(writes ? [cell('torn', 2, 2, broken ? { violation: 1, [after]: 1 } : { [after]: 2 })] : []),
    cell('after', 1, 1, { [differs]: 1 }),
    ...(pending > 0
      ? [
          cell('subset', subsets, subsets - 1, {
            ...(mixed ? { old: subsets / 2, new: subsets / 2 - bad } : { [differs]: subsets - bad }),
            violation: bad,
          }),
        ]
      : []),
  ]
}

function violationsOf({ number, name, atMs, cells }: SweptOperation): readonly FoundViolation[] {
  return cells.flatMap((it) =>
    Array.from({ length: it.endings.violation }, () => ({
      invariant: 'I2',
      what: `slot b was started, but it does not verify: cut ${it.way} ${name}`,
      atMs: atMs + 50,
      operation: number + 12,
      replay: it.replay,
    })),
  )
}

/** Six stories, as the everyday run has them. */
export function samples(): readonly SweepResult[] {
  return [
    sample({ depth: 2 }),
    sample({
      scenario: 'rollback',
      pieces: 40,
      about: 'An update whose service is sick: it is tried, given up, and the old system comes back.',
    }),
    sample({
      scenario: 'confirm',
      pieces: 12,
      about: 'Only the commit of a new system that has proved its health.',
    }),
    sample({
      scenario: 'over-older',
      pieces: 90,
      about: 'An update over a slot that holds a former release; it bars what is older.',
    }),
    sample({ scenario: 'journal-full', pieces: 30, about: 'An update on a data partition that is full.' }),
    sample({ scenario: 'restart', pieces: 64, about: 'A killed agent that takes up its download again.' }),
  ]
}

/** A story in which three operations break a promise, each in two ways. */
export function broken(): SweepResult {
  const seal = (phase: string, name: string): boolean =>
    name.startsWith('slot b write') && (phase === 'VERIFYING' || phase === 'APPLYING')
  return sample({
    scenario: 'canary',
    about: 'The update with a planted bug: the seal is written before the slot is read back.',
    broken: (phase, name) => seal(phase, name) || name === `boot write ${2 * MiB}+4096`,
  })
}
