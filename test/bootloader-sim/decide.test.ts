/** The boot table: what it does in the cases that taught us its rules. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import {
  after as afterStep,
  atPowerOn,
  decide,
  floorOf,
  refused,
  selectable,
} from '../../bootloader-sim/decide.ts'
import { AssertionFailed } from '../../core/assert.ts'
import type { BootRecord, SlotState } from '../../core/boot-record.ts'
import type { CommitStamp } from '../../core/commit-stamp.ts'
import type { SlotId } from '../../core/units.ts'
import { type Contents, play } from './play-boot.ts'
import { bootDocument, withBootTable } from './print-boot-table.ts'

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

  it('re-arms in one write what is committed with 8 tries and what is not with 1, priority to the committed', () => {
    const run = play(record('1/1/0', '0/2/0', 'b'), null, { a: 1, b: 2 })
    expect(run.rows).toEqual(['rearm-look', 'rearm-look', 'rearm', 'take-try', 'start'])
    expect(run.writes[0]).toMatchObject({ a: { tries: 8 }, b: { tries: 1 }, priority: 'a' })
    expect(run.started).toBe('a')
  })

  it('leaves the priority where it is when what is committed does not verify', () => {
    const run = play(record('1/1/0', '0/2/0', 'b'), null, { a: null, b: 2 })
    expect(run.writes[0]).toMatchObject({
      a: { ok: true, tries: 0 },
      b: { ok: false, tries: 1 },
      priority: 'b',
    })
    expect(run.started).toBe('b')
  })

  it('believes a seal rather than a record that puts the slot below the floor', () => {
    const run = play(record('1/1/8', '0/0/0', 'a', 2), null, { a: 3, b: null })
    expect(run.writes[0]?.a).toEqual({ ok: true, sv: 3, tries: 8 })
    expect(run.started).toBe('a')
  })

  it('rebuilds a lost record without a stamp from floor 0 and slot a', () => {
    const run = play(null, null, { a: null, b: 1 })
    expect(run.writes[0]).toMatchObject({ floor: 0, priority: 'a', b: { ok: false, sv: 1, tries: 3 } })
    expect(run.started).toBe('b')
  })

  it('stops when nothing verifies, also when nothing can be written, and re-arms no slot twice', () => {
    expect(play(record('1/1/8', '1/2/8', 'a'), null, { a: null, b: null }).rows.at(-1)).toBe('stop')
    expect(play(null, null, { a: null, b: null }).rows.at(-1)).toBe('stop')
    expect(play(null, null, { a: null, b: null }, 0).rows.at(-1)).toBe('stop')
    const before = atPowerOn(record('1/1/0', '1/2/0', 'a'), null, true)
    const known = afterStep(before, { do: 'rearm', record: record('1/1/0', '1/2/0', 'a') }, true)
    expect([before.rearmed, known.rearmed, decide(known).row.id]).toEqual([false, true, 'stop'])
  })

  it('counts the higher floor of record and stamp, and 0 where neither is there', () => {
    const of = (floor: number): BootRecord => record('1/1/8', '0/0/0', 'a', floor)
    expect(floorOf({ record: of(2), stamp: { floor: 3, priority: 'a' } })).toBe(3)
    expect(floorOf({ record: of(4), stamp: { floor: 3, priority: 'a' } })).toBe(4)
    expect(floorOf({ record: of(4), stamp: null })).toBe(4)
    expect(floorOf({ record: null, stamp: null })).toBe(0)
  })

  it('lets a slot be chosen that has tries and stands at the floor or was never armed', () => {
    const cases = ['1/2/1', '0/0/1', '1/1/8', '1/2/0'].map((it) => selectable(record(it, it, 'a').a, 2))
    expect(cases).toEqual([true, true, false, false])
  })

  it('goes on with the other slot when one that was looked at well cannot be started', () => {
    const good = { verified: true, securityVersion: 1, releaseId: 'release-1' } as const
    const known = {
      ...atPowerOn(record('1/1/7', '1/1/8', 'a'), null, true),
      verdicts: { a: good, b: null },
      taken: { a: true, b: false },
    }
    expect(decide(known).step).toEqual({ do: 'start', slot: 'a' })
    const gone = refused(known, 'a', 'no kernel can be loaded')
    expect(gone.verdicts.a).toEqual({ verified: false, why: 'no kernel can be loaded' })
    expect(decide(gone).step).toMatchObject({ do: 'take', slot: 'b' })
  })

  it('takes no yes or no for what a look at a slot finds', () => {
    const known = atPowerOn(null, null, true)
    expect(() => afterStep(known, { do: 'look', slot: 'a' }, true)).toThrow(AssertionFailed)
  })

  it('stands in docs/BOOT.md as it is', () => {
    const document = readFileSync(bootDocument, 'utf8')
    expect(withBootTable(document)).toBe(document)
  })
})
