/** The boot table against the rules, written a second time as a plain program, over every small case. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import {
  after,
  atPowerOn,
  bootTable,
  decide,
  type Knowledge,
  type Verdict,
} from '../../bootloader-sim/decide.ts'
import type { BootRecord, SlotState } from '../../core/boot-record.ts'
import type { CommitStamp } from '../../core/commit-stamp.ts'
import { boardLimits } from '../../core/limits.ts'
import type { SlotId } from '../../core/units.ts'
import { bootDocument, withBootTable } from './print-boot-table.ts'

/** securityVersion of the intact, authentic release in each slot; null: nothing that verifies. */
type Contents = Readonly<Record<SlotId, number | null>>

interface Run {
  readonly started: SlotId | null
  readonly writes: readonly BootRecord[]
  readonly rows: readonly string[]
  readonly known: Knowledge
}

/** Plays one boot by the table. @param failsAt number of the write from which on the medium keeps nothing */
function play(
  record: BootRecord | null,
  stamp: CommitStamp | null,
  contents: Contents,
  failsAt = Infinity,
): Run {
  const floor = Math.max(record?.floor ?? 0, stamp?.floor ?? 0)
  const writes: BootRecord[] = []
  const rows: string[] = []
  let known = atPowerOn(record, stamp, true)
  let attempts = 0
  for (let steps = 0; steps < boardLimits.bootStepsMax; steps += 1) {
    const { row, step } = decide(known)
    rows.push(row.id)
    if (step.do === 'start') return { started: step.slot, writes, rows, known }
    if (step.do === 'stop') return { started: null, writes, rows, known }
    if (step.do === 'look') known = after(known, step, look(contents[step.slot], floor))
    else {
      const kept = attempts < failsAt
      attempts += 1
      if (kept) writes.push(step.record)
      known = after(known, step, kept)
    }
  }
  throw new Error(`no end: ${rows.join(' ')}`)
}

function look(sv: number | null, floor: number): Verdict {
  if (sv === null) return { verified: false, why: 'damaged' }
  if (sv < floor) return { verified: false, why: 'below the floor' }
  return { verified: true, securityVersion: sv, releaseId: `release-${sv}` }
}

/** Rules 1 to 4 once more, told as a story instead of a table. */
function oracle(
  record: BootRecord | null,
  stamp: CommitStamp | null,
  contents: Contents,
): Omit<Run, 'rows' | 'known'> {
  const floor = Math.max(record?.floor ?? 0, stamp?.floor ?? 0)
  const good = (slot: SlotId): boolean => (contents[slot] ?? -1) >= floor
  const writes: BootRecord[] = []
  let now = record
  if (now === null) {
    const trial = (slot: SlotId): SlotState =>
      good(slot) ? { ok: false, sv: contents[slot] ?? 0, tries: 3 } : { ok: false, sv: 0, tries: 0 }
    now = {
      a: trial('a'),
      b: trial('b'),
      floor: stamp?.floor ?? 0,
      priority: stamp?.priority ?? 'a',
      sequence: 0,
      others: new Map(),
    }
    writes.push(now)
  }
  for (const round of [1, 2]) {
    const first = now.priority
    for (const slot of [first, first === 'a' ? 'b' : 'a'] as const) {
      const state: SlotState = now[slot]
      if (state.tries === 0 || (state.sv < floor && state.sv !== 0)) continue
      if (round === 2 && !good(slot)) continue
      now = { ...now, [slot]: { ...state, tries: state.tries - 1 } }
      writes.push(now)
      if (good(slot)) return { started: slot, writes }
    }
    if (round === 2 || (!good('a') && !good('b'))) break
    const before: BootRecord = now
    const again = (slot: SlotId): SlotState => {
      const state = before[slot]
      if (!good(slot)) return state
      const sv = state.sv !== 0 && state.sv < floor ? (contents[slot] ?? 0) : state.sv
      return { ok: state.ok, sv, tries: state.ok ? 8 : 1 }
    }
    let priority = before.priority
    if (!before[priority].ok) {
      for (const slot of ['a', 'b'] as const) if (before[slot].ok && good(slot)) priority = slot
    }
    now = { ...before, a: again('a'), b: again('b'), priority }
    writes.push(now)
  }
  return { started: null, writes }
}

const states: readonly SlotState[] = [true, false].flatMap((ok) =>
  [0, 1, 2].flatMap((sv) => [0, 1, 2].map((tries) => ({ ok, sv, tries }))),
)
const records: readonly BootRecord[] = states.flatMap((a) =>
  states.flatMap((b) =>
    ([0, 1, 2] as const).flatMap((floor) =>
      (['a', 'b'] as const).map((priority) => ({ a, b, floor, priority, sequence: 7, others: new Map() })),
    ),
  ),
)
const stamps: readonly (CommitStamp | null)[] = [
  null,
  ...[0, 1, 2].flatMap((floor) => (['a', 'b'] as const).map((priority) => ({ floor, priority }))),
]
const held: readonly (number | null)[] = [null, 1, 2]
const contentsList: readonly Contents[] = held.flatMap((a) => held.map((b) => ({ a, b })))

function everyCase(
  check: (record: BootRecord | null, stamp: CommitStamp | null, contents: Contents) => void,
): number {
  let cases = 0
  for (const record of [null, ...records]) {
    for (const stamp of stamps) {
      for (const contents of contentsList) {
        check(record, stamp, contents)
        cases += 1
      }
    }
  }
  return cases
}

const record = (a: string, b: string, priority: SlotId, floor = 0): BootRecord => {
  const slot = (text: string): SlotState => {
    const [ok = '', sv = '', tries = ''] = text.split('/')
    return { ok: ok === '1', sv: Number(sv), tries: Number(tries) }
  }
  return { a: slot(a), b: slot(b), floor, priority, sequence: 7, others: new Map() }
}

/** Plays boots until one starts a slot on which `lives` says yes, at most `max`. */
function playBoots(
  from: BootRecord,
  contents: Contents,
  max: number,
  lives: (slot: SlotId) => boolean,
): SlotId[] {
  const started: SlotId[] = []
  let now = from
  for (let boots = 0; boots < max; boots += 1) {
    const run = play(now, null, contents)
    now = run.writes.at(-1) ?? now
    if (run.started !== null) started.push(run.started)
    if (run.started !== null && lives(run.started)) break
  }
  return started
}

describe('boot table', () => {
  it('does in every small case what the rules say, write by write', () => {
    const cases = everyCase((from, stamp, contents) => {
      const run = play(from, stamp, contents)
      const told = oracle(from, stamp, contents)
      if (JSON.stringify([run.started, run.writes]) === JSON.stringify([told.started, told.writes])) return
      expect({ from, stamp, contents, ...run }).toMatchObject(told)
    })
    expect(cases).toBe((1 + 18 * 18 * 6) * 7 * 9)
  })

  it('starts a slot whenever one verifies at or above the floor, and never another', () => {
    everyCase((from, stamp, contents) => {
      const floor = Math.max(from?.floor ?? 0, stamp?.floor ?? 0)
      for (const failsAt of [Infinity, 0, 1, 2]) {
        const { started, known } = play(from, stamp, contents, failsAt)
        const some = (contents.a ?? -1) >= floor || (contents.b ?? -1) >= floor
        if ((started !== null) !== some) expect({ from, stamp, contents, failsAt, started }).toBe('started')
        if (started === null) continue
        if (known.verdicts[started]?.verified !== true)
          expect({ from, stamp, contents, started }).toBe('verified')
        if ((contents[started] ?? -1) < floor)
          expect({ from, stamp, contents, started }).toBe('below the floor')
      }
    })
  })

  it('takes exactly one try from the slot that starts, before it starts, and never lowers the floor', () => {
    everyCase((from, stamp, contents) => {
      const { started, writes, rows } = play(from, stamp, contents)
      if (started === null) return
      const before = writes.at(-2) ?? from
      const last = writes.at(-1)
      const cost = (before?.[started].tries ?? 0) - (last?.[started].tries ?? 0)
      const lowered = writes.some((it) => it.floor < (from?.floor ?? stamp?.floor ?? 0))
      const taken = rows.lastIndexOf('take-try') < rows.indexOf('start')
      if (cost !== 1 || lowered || !taken)
        expect({ from, stamp, contents, cost, lowered, rows }).toBe('one try')
    })
  })

  it('boots a trial without a verdict three times at most, then falls back', () => {
    const from = record('1/1/8', '0/2/3', 'b')
    expect(playBoots(from, { a: 1, b: 2 }, 10, (slot) => slot === 'a')).toEqual(['b', 'b', 'b', 'a'])
  })

  it('gives way in the same boot when the slot on trial does not verify', () => {
    const run = play(record('1/1/8', '0/2/3', 'b'), null, { a: 1, b: null })
    expect(run.started).toBe('a')
    expect(run.rows).toEqual(['take-try', 'look', 'take-try', 'look', 'start'])
  })

  it('does not re-arm a hanging committed slot for ever while the other one is good (counterexample 4)', () => {
    const from = record('1/1/8', '0/2/0', 'a')
    const started = playBoots(from, { a: 1, b: 2 }, 40, (slot) => slot === 'b')
    expect(started.at(-1)).toBe('b')
    expect(started.length).toBeLessThanOrEqual(8 + 8 + 1)
  })

  it('does not start a release below the floor of the stamp after both copies are lost (counterexample 7)', () => {
    const stamp: CommitStamp = { floor: 3, priority: 'b' }
    const run = play(null, stamp, { a: 1, b: 3 })
    expect(run.started).toBe('b')
    expect(run.writes[0]).toMatchObject({ floor: 3, priority: 'b', a: { ok: false, sv: 0, tries: 0 } })
  })

  it('gives no tries to an empty slot when it rebuilds the record (counterexample 8)', () => {
    const { writes } = play(null, { floor: 1, priority: 'a' }, { a: 1, b: null })
    expect(writes[0]).toMatchObject({ a: { sv: 1, tries: 3 }, b: { ok: false, sv: 0, tries: 0 } })
  })

  it('leaves a sealed but never armed spare at sv=0 when it re-arms it, so that the agent knows', () => {
    const run = play(record('1/1/0', '0/0/0', 'a'), null, { a: null, b: 2 })
    expect(run.started).toBe('b')
    expect(run.writes[0]?.b).toEqual({ ok: false, sv: 0, tries: 1 })
  })

  it('takes a garbage counter for a full one', () => {
    const garbage = play(record('1/1/4294967295', '0/2/4294967295', 'b'), null, { a: 1, b: 2 })
    expect(garbage.writes).toMatchObject([{ b: { tries: 2 } }])
    const committed = play(record('1/1/4294967295', '0/0/0', 'a'), null, { a: 1, b: null })
    expect(committed.writes).toMatchObject([{ a: { tries: 7 } }])
  })

  it('starts the committed slot rather than a trial when the boot cannot be counted', () => {
    const from = record('1/1/8', '0/2/3', 'b')
    expect(play(from, null, { a: 1, b: 2 }, 0).started).toBe('a')
    expect(play(from, null, { a: null, b: 2 }, 0).started).toBe('b')
    expect(play(record('1/1/0', '0/2/0', 'b'), null, { a: 1, b: 2 }, 0).started).toBe('a')
  })

  it('reaches every row, each of which says when and what in words', () => {
    const seen = new Set<string>()
    everyCase((from, stamp, contents) => {
      for (const failsAt of [Infinity, 0])
        for (const row of play(from, stamp, contents, failsAt).rows) seen.add(row)
    })
    expect([...seen].sort()).toEqual(bootTable.map((it) => it.id).sort())
    for (const it of bootTable) expect(it.when.length * it.action.length).toBeGreaterThan(100)
  })

  it('stands in docs/BOOT.md as it is', () => {
    const document = readFileSync(bootDocument, 'utf8')
    expect(withBootTable(document)).toBe(document)
  })
})
