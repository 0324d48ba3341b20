/** The report in a terminal. */
import { stripVTControlCharacters } from 'node:util'
import { describe, expect, it } from 'vitest'
import { reportLines } from '../../../proof/report/terminal.ts'
import type { SweepResult } from '../../../proof/sweep/result.ts'
import { broken, sample, samples } from './sample.ts'

const plain = (results: readonly SweepResult[]): readonly string[] => reportLines(results, { colour: false })
const fits = (lines: readonly string[]): void => {
  expect(lines.length).toBeLessThanOrEqual(40)
  for (const line of lines.filter((it) => !it.includes('everboot emulator replay'))) {
    expect([...line].length, line).toBeLessThanOrEqual(80)
  }
}

describe('a good run', () => {
  const lines = plain(samples())

  it('is told in totals, stories and bars', () => {
    fits(lines)
    expect(lines[0]).toBe('✓ The power was cut 12,228 times. The board always came back.')
    expect(lines).toContain('  planned cuts that came: 12,228 of 12,228; kills of the agent: 702')
    expect(lines).toContain('  operations without a cut: 0, broken promises: 0')
    const [update] = lines.filter((it) => it.startsWith('update '))
    expect(update?.trim().split(/\s+/)).toEqual(['update', '120', '2,542', '2,362', '69', '20', '0'])
    expect(lines.find((it) => it.includes(' 0 cuts'))).toMatch(/ 0 cuts +0$/)
    expect(lines.filter((it) => it.includes('█')).length).toBeGreaterThan(3)
  })

  it('has no escape characters without colour, and the same text with it', () => {
    expect(lines.join('\n')).not.toContain('\u001b')
    const coloured = reportLines(samples(), { colour: true }).join('\n')
    expect(coloured).toContain('\u001b[32m✓')
    expect(stripVTControlCharacters(coloured)).toBe(lines.join('\n'))
  })
})

describe('broken promises', () => {
  it('are listed with their replay commands', () => {
    const bad = broken()
    const lines = plain([bad])
    fits(lines)
    expect(lines[0]).toMatch(/^✕ 6 broken promises in/)
    const at = lines.findIndex((it) => it.startsWith('✕ I2 canary: '))
    expect(lines[at + 1]).toBe(`  everboot emulator replay ${bad.violations[0]?.replay}`)
  })

  it('that do not fit are counted', () => {
    const [first] = broken().violations
    const many = Array.from({ length: 500 }, () => first).filter((it) => it !== undefined)
    const stories = Array.from({ length: 30 }, (_, at) => ({
      ...sample({ scenario: `s${at}` }),
      violations: many,
    }))
    const lines = plain(stories)
    fits(lines)
    expect(lines).toContain('and 20 more stories, in the totals above')
    const shown = lines.filter((it) => it.includes('everboot emulator replay')).length
    expect(shown).toBeGreaterThan(2)
    expect(lines.at(-1)).toBe(
      `and ${(30 * 500 - shown).toLocaleString('en')} more; --report FILE.html shows where`,
    )
  })
})

it('a name cannot bring escape characters or lines of its own', () => {
  const evil = '\u001b[2J\n'.repeat(50)
  const lines = plain([{ ...broken(), scenario: evil }])
  fits(lines)
  expect(lines.join('')).not.toMatch(/\p{Cc}/u)
})

it('a run of nothing is not a good one', () => {
  const lines = plain([])
  fits(lines)
  expect(lines[0]).toBe('✕ The power was never cut: nothing is shown')
})

it('very many cuts of one operation still fit', () => {
  const { operations, ...rest } = sample()
  const huge = operations.map((it, at) => ({
    ...it,
    cells: it.cells.map((cell) => ({ ...cell, states: cell.states * (at === 9 ? 3 ** 20 : 1) })),
  }))
  fits(plain([{ ...rest, operations: huge }]))
})
