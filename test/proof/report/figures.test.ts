/** The figures of a report, and the drawing of an operation. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cellSymbols, shares } from '../../../proof/report/cell-art.ts'
import {
  figuresOf,
  histogram,
  kindsOf,
  phaseRuns,
  sumFigures,
  verdictOf,
} from '../../../proof/report/figures.ts'
import { endings, type SweepResult } from '../../../proof/sweep/result.ts'
import { sample } from './sample.ts'

const good = sample()
const verdict = (change: Partial<SweepResult>): string => verdictOf(figuresOf({ ...good, ...change }))
/** The first operation with another cell. */
const withFirst = (change: object): SweepResult['operations'] =>
  good.operations.map((it, at) => (at === 0 ? { ...it, ...change } : it))

describe('a run', () => {
  it('is good when every planned cut came, every durable operation was cut, and no promise was broken', () => {
    expect(verdict({})).toBe('good')
  })

  it('is incomplete when a planned cut did not come, or a durable operation met none', () => {
    expect(verdict({ fired: good.planned - 1 })).toBe('incomplete')
    expect(verdict({ operations: withFirst({ cells: [] }) })).toBe('incomplete')
  })

  it('is nothing without crash states', () => {
    expect(verdict({ states: 0, planned: 0, fired: 0, operations: [] })).toBe('nothing')
    expect(verdictOf(sumFigures([]))).toBe('nothing')
  })

  it('is broken wherever the broken promise stands', () => {
    const violation = { invariant: 'I1', what: 'x', atMs: 0, operation: 1, replay: 'update/1.torn.0' }
    expect(verdict({ violations: [violation] })).toBe('broken')
    expect(verdict({ operations: withFirst({ deeper: { states: 9, distinct: 9, violations: 1 } }) })).toBe(
      'broken',
    )
    const ends = { old: 0, new: 0, otherwise: 0, violation: 1 }
    const cells = [{ way: 'torn', states: 1, distinct: 1, endings: ends, replay: 'x' }]
    expect(verdict({ operations: withFirst({ cells }) })).toBe('broken')
  })

  it('counts a broken promise once that stands in the list and in a cell', () => {
    const bad = sample({ broken: (phase, name) => phase === 'APPLYING' && name.startsWith('slot b write') })
    expect(bad.violations.length).toBeGreaterThan(0)
    expect(figuresOf(bad).violations).toBe(bad.violations.length)
  })

  it('is summed over stories', () => {
    const one = figuresOf(good)
    const both = sumFigures([one, figuresOf({ ...good, fired: 0 })])
    expect(both).toMatchObject({ states: 2 * one.states, planned: 2 * one.planned, fired: one.fired })
    expect(both.endings.old).toBe(2 * one.endings.old)
  })
})

describe('the histogram', () => {
  it('has every durable operation in one bar, from none to the most', () => {
    const bars = histogram(good.operations)
    const durable = good.operations.filter((it) => !it.name.startsWith('link'))
    expect(bars.reduce((sum, it) => sum + it.operations, 0)).toBe(durable.length)
    expect(bars[0]).toEqual({ min: 0, max: 0, operations: 0 })
    expect(bars.slice(1, 4).map(({ min, max }) => [min, max])).toEqual([
      [1, 1],
      [2, 3],
      [4, 7],
    ])
    expect(bars.at(-1)?.operations).toBeGreaterThan(0)
  })

  it('shows operations without a cut', () => {
    expect(histogram(withFirst({ cells: [] }))[0]?.operations).toBe(1)
    expect(histogram([])).toEqual([{ min: 0, max: 0, operations: 0 }])
  })
})

it('phases are runs in the order of the story', () => {
  const runs = phaseRuns(good.operations)
  expect(runs.map((it) => it.phase).join(' ')).toBe(
    'boot IDLE DOWNLOADING VERIFYING APPLYING REBOOTING boot REBOOTING COMPLETE IDLE',
  )
  expect(runs.flatMap((it) => it.operations)).toEqual(good.operations)
})

it('kinds of operations count all of them', () => {
  const kinds = kindsOf(good.operations)
  expect(kinds.reduce((sum, it) => sum + it.operations, 0)).toBe(good.operations.length)
  expect(kinds.reduce((sum, it) => sum + it.cuts, 0)).toBe(good.states)
  expect(kinds.find((it) => it.kind === 'slot b write')).toMatchObject({ operations: 67, violations: 0 })
})

describe('the drawing of an operation', () => {
  const counts = fc.record({
    old: fc.nat(2_000),
    new: fc.nat(2_000),
    otherwise: fc.nat(2_000),
    violation: fc.nat(2_000),
  })

  it('divides its width without a rest and gives every ending some of it, a violation a lot', () => {
    fc.assert(
      fc.property(counts, fc.integer({ min: 7, max: 400 }), (ends, units) => {
        const parts = shares(ends, units)
        const total = endings.reduce((sum, it) => sum + ends[it], 0)
        expect(parts.reduce((sum, it) => sum + it, 0)).toBe(total === 0 ? 0 : units)
        endings.forEach((ending, at) => {
          const least = ends[ending] === 0 ? 0 : ending === 'violation' ? 4 : 1
          expect(parts[at]).toBeGreaterThanOrEqual(least)
          if (ends[ending] === 0) expect(parts[at]).toBe(0)
        })
      }),
    )
  })

  it.each([
    [{ old: 1, new: 0, otherwise: 0, violation: 0 }, [10, 0, 0, 0]],
    [{ old: 1, new: 1, otherwise: 0, violation: 0 }, [5, 5, 0, 0]],
    [{ old: 2, new: 1, otherwise: 0, violation: 0 }, [7, 3, 0, 0]],
    [{ old: 999, new: 0, otherwise: 0, violation: 1 }, [6, 0, 0, 4]],
    [{ old: 999, new: 1, otherwise: 1, violation: 1 }, [4, 1, 1, 4]],
  ])('%j takes %j of ten parts', (ends, parts) => {
    expect(shares(ends, 10)).toEqual(parts)
  })

  it('is one symbol for all operations that look the same', () => {
    const symbols = cellSymbols()
    const [first, second] = good.operations.slice(20, 22).map((it) => symbols.cell(it).html)
    expect(first).toBe(second)
    expect(symbols.definitions().html.match(/<g id="k/g)).toHaveLength(1)
  })
})
