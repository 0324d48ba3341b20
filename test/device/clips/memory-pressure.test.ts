/**
 * When memory is short, by texts as Linux writes them.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { servingLimits } from '../../../core/clip-limits.ts'
import { groupPath, isMemoryShort, type MemoryFiles } from '../../../device/clips/memory-pressure.ts'

const psi = (avg10: string): string =>
  `some avg10=${avg10} avg60=99.00 avg300=99.00 total=1\nfull avg10=99.00 avg60=0.00 avg300=0.00 total=0\n`
const nothing: MemoryFiles = {
  group: { pressure: null, current: null, max: null, stat: null },
  machine: { pressure: null, info: null },
}
const info = (total: number, available: number): string =>
  `MemTotal:       ${total} kB\nMemFree:            1000 kB\nMemAvailable:   ${available} kB\nBuffers:  1 kB\n`

describe('memory is short', () => {
  it('when work of the group stalled for it', () => {
    const of = (pressure: string) => isMemoryShort({ ...nothing, group: { ...nothing.group, pressure } })
    expect(of(psi(`${servingLimits.pressurePercent}.00`))).toBe(false)
    expect(of(psi(`${servingLimits.pressurePercent}.01`))).toBe(true)
    expect(of(psi('100.00'))).toBe(true)
  })

  it('when work of the machine stalled, where the group does not say', () => {
    const machine = { pressure: psi('50.00'), info: null }
    expect(isMemoryShort({ ...nothing, machine })).toBe(true)
    const group = { ...nothing.group, pressure: psi('0.00') }
    expect(isMemoryShort({ group, machine })).toBe(false)
  })

  it('when the group uses nearly all it may, pages of files that nobody used aside', () => {
    const of = (current: number, idle: number, max = '1000\n') =>
      isMemoryShort({
        ...nothing,
        group: { pressure: null, current: `${current}\n`, max, stat: `anon 5\ninactive_file ${idle}\nx 1\n` },
      })
    expect(of(900, 0)).toBe(false)
    expect(of(901, 0)).toBe(true)
    expect(of(990, 90)).toBe(false)
    expect(of(990, 89)).toBe(true)
    expect(of(990, 0, 'max\n')).toBe(false)
  })

  it('when the machine has little left, where the group has no limit', () => {
    const of = (available: number, max: string | null) =>
      isMemoryShort({
        group: { pressure: null, current: '1\n', max, stat: null },
        machine: { pressure: null, info: info(1000, available) },
      })
    expect(of(99, 'max\n')).toBe(true)
    expect(of(99, null)).toBe(true)
    expect(of(101, 'max\n')).toBe(false)
    expect(of(99, '1000\n')).toBe(false)
  })

  it('not when nothing is known, whatever the files hold', () => {
    expect(isMemoryShort(nothing)).toBe(false)
    const odd = fc.option(fc.string(), { nil: null })
    fc.assert(
      fc.property(odd, odd, odd, odd, odd, odd, (pressure, current, max, stat, other, meminfo) => {
        fc.pre(!/avg10|^\d+\s*$/m.test([pressure, current, max, other, meminfo].join('\n')))
        const group = { pressure, current, max, stat }
        expect(isMemoryShort({ group, machine: { pressure: other, info: meminfo } })).toBe(false)
      }),
    )
  })
})

describe('the own control group', () => {
  it.each([
    ['0::/system.slice/everboot.service\n', '/system.slice/everboot.service'],
    ['0::/\n', '/'],
    ['12:memory:/old\n0::/init.scope\n', '/init.scope'],
    ['12:memory:/old\n', null],
    ['', null],
    [null, null],
  ])('%j is %j', (text, path) => expect(groupPath(text)).toBe(path))
})
