/** The boot table against the rules, written a second time as a plain program, over every small case. */
import { describe, expect, it } from 'vitest'
import { bootTable } from '../../bootloader-sim/decide.ts'
import type { BootRecord, SlotState } from '../../core/boot-record.ts'
import type { CommitStamp } from '../../core/commit-stamp.ts'
import type { SlotId } from '../../core/units.ts'
import { type Contents, play, type Run } from './play-boot.ts'

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

  it('reaches every row, each of which says when and what in words', () => {
    const seen = new Set<string>()
    everyCase((from, stamp, contents) => {
      for (const failsAt of [Infinity, 0])
        for (const row of play(from, stamp, contents, failsAt).rows) seen.add(row)
    })
    expect([...seen].sort()).toEqual(bootTable.map((it) => it.id).sort())
    for (const it of bootTable) expect(it.when.length * it.action.length).toBeGreaterThan(100)
  })
})
