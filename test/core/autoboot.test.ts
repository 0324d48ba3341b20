/** The text of autoboot.txt: what the firmware reads, in a length that never changes. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { autobootBytes, autobootBytesMax, parseAutoboot, printAutoboot } from '../../core/autoboot.ts'

const partition = fc.integer({ min: 1, max: 9 })
const parse = (text: string) => parseAutoboot(Buffer.from(text))

describe('autoboot.txt', () => {
  test('has the bytes that the firmware documents', () => {
    expect(Buffer.from(printAutoboot({ partition: 2, trial: 3 })).toString()).toBe(
      '[all]\ntryboot_a_b=1\nboot_partition=2\n[tryboot]\nboot_partition=3\n',
    )
  })

  test('has one length whatever it says, inside one sector, and reads back', () => {
    fc.assert(
      fc.property(partition, partition, fc.nat(400), (from, to, zeros) => {
        const file = printAutoboot({ partition: from, trial: to })
        expect(file.length).toBe(autobootBytes)
        const sector = new Uint8Array(file.length + zeros)
        sector.set(file)
        expect(parseAutoboot(sector)).toEqual({ partition: from, trial: to })
      }),
    )
    expect(autobootBytes).toBeLessThanOrEqual(autobootBytesMax)
  })

  test('may have comments, other line ends, other sections and no [all]', () => {
    const edited =
      'tryboot_a_b=1\r\nboot_partition=3\r\n# ours\r\n[none]\nboot_partition=7\n[tryboot]\nboot_partition=2\n'
    expect(parse(edited)).toEqual({ partition: 3, trial: 2 })
    expect(parse('[tryboot]\nboot_partition=2\n[all]\ntryboot_a_b=1\nboot_partition=3')).toEqual({
      partition: 3,
      trial: 2,
    })
  })

  test('is refused when it is cut anywhere inside, too long, or goes on behind zeros', () => {
    const file = printAutoboot({ partition: 2, trial: 3 })
    for (let length = 0; length < file.length - 1; length += 1)
      expect(parseAutoboot(file.subarray(0, length))).toBeNull()
    const long = new Uint8Array(autobootBytesMax + 1)
    long.set(file)
    expect(parseAutoboot(long)).toBeNull()
    const behind = new Uint8Array(autobootBytesMax)
    behind.set(file)
    behind[200] = 65
    expect(parseAutoboot(behind)).toBeNull()
  })

  test('is refused without the A/B trial or with a partition that is not one digit', () => {
    expect(parse('[all]\nboot_partition=2\n[tryboot]\nboot_partition=3\n')).toBeNull()
    expect(parse('[all]\ntryboot_a_b=0\nboot_partition=2\n[tryboot]\nboot_partition=3\n')).toBeNull()
    for (const bad of ['0', '10', 'x', '-1', ''])
      expect(parse(`[all]\ntryboot_a_b=1\nboot_partition=${bad}\n[tryboot]\nboot_partition=3\n`)).toBeNull()
  })

  test('with a flipped bit says the same, nothing, or another number', () => {
    const file = printAutoboot({ partition: 2, trial: 3 })
    for (let at = 0; at < file.length; at += 1) {
      const flipped = Uint8Array.from(file)
      flipped[at] = (flipped[at] ?? 0) ^ 0x01
      const read = parseAutoboot(flipped)
      const digit = ['2', '3'].includes(String.fromCharCode(file[at] ?? 0))
      if (read !== null && !digit) expect(read).toEqual({ partition: 2, trial: 3 })
    }
  })
})
