/** What the name of an operation says. */
import { describe, expect, it } from 'vitest'
import { operationOf } from '../../../proof/report/operation.ts'
import { countOf, replayCommand, secondsText, shareText } from '../../../proof/report/words.ts'

describe('the name of an operation', () => {
  it.each([
    ['slot b write 8192+4096', 'slot b', 'b', 'writes 4.0 KiB at 8.0 KiB into slot B'],
    ['slot a kernel write 0+65536', 'slot a kernel', 'a', 'writes 64.0 KiB at 0 B into slot A kernel'],
    ['slot b flush', 'slot b', 'b', 'makes all that was written to slot B durable'],
    ['boot flush', 'boot', 'R', 'makes all that was written to the boot partition durable'],
    ['boot write 0+65536', 'boot', 'R', 'writes the first copy of the boot record'],
    ['boot write 1048576+65536', 'boot', 'R', 'writes the second copy of the boot record'],
    ['boot write 2097152+4096', 'boot', 'R', 'writes the commit stamp'],
    ['files rename journal.new', 'files', 'F', 'gives the file journal.new its final name'],
    ['files syncFile journal.new', 'files', 'F', 'makes the content of the file journal.new durable'],
    ['files syncDir', 'files', 'F', 'makes the names of the files durable'],
    ['files remove manifest', 'files', 'F', 'removes the file manifest'],
  ])('%s is told in words', (name, place, letter, words) => {
    expect(operationOf(name)).toMatchObject({ place, letter, words, durable: true })
  })

  it('a message to the hub is not durable', () => {
    const { durable, letter } = operationOf('link publish eb/1/d/board-1/status')
    expect({ durable, letter }).toEqual({ durable: false, letter: 'N' })
  })

  it.each(['', 'x', 'constructor', '__proto__', 'boot write 12', 'boot write 77+1', 'slot c write'])(
    'of an unknown form is shown as it is: %j',
    (name) => {
      expect(operationOf(name).words).toBe(name)
      expect(operationOf(name).letter).toMatch(/^[·R]$/)
    },
  )
})

describe('words', () => {
  it.each([
    ['update/37.torn.1', 'everboot emulator replay update/37.torn.1'],
    ['a b', "everboot emulator replay 'a b'"],
    ["$(rm -rf '/')", "everboot emulator replay '$(rm -rf '\\''/'\\'')'"],
    ['', "everboot emulator replay ''"],
  ])('a replay of %j is a command for a shell', (replay, command) => {
    expect(replayCommand(replay)).toBe(command)
  })

  it.each([
    [0, 10, '0 %'],
    [10, 10, '100 %'],
    [1, 100_000, '< 0.1 %'],
    [99_999, 100_000, '> 99.9 %'],
    [1, 3, '33 %'],
    [0, 0, '0 %'],
  ])('%d of %d is %s', (part, whole, text) => {
    expect(shareText(part, whole)).toBe(text)
  })

  it('counts and times have their units', () => {
    expect([countOf(1, 'cut'), countOf(1_234_567, 'cut'), countOf(2, 'story', 'stories')]).toEqual([
      '1 cut',
      '1,234,567 cuts',
      '2 stories',
    ])
    expect([0.04, 9.96, 59.6, 3_725].map(secondsText)).toEqual(['0.0 s', '10.0 s', '60 s', '62 min 5 s'])
  })
})
