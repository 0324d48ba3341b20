/**
 * The console of a machine: what is kept, what is found, what is dropped.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { consoleLog } from '../../../bootloader-sim/qemu/console-log.ts'
import { boardLimits } from '../../../core/limits.ts'

function fed(text: string, linesMax?: number) {
  const log = consoleLog(linesMax)
  log.feed(Buffer.from(text))
  return log
}

describe('the console of a machine', () => {
  it('is kept line by line, with the prompt that has not ended', () => {
    expect(fed('one\r\ntwo\n=> ').lines()).toEqual(['one', 'two', '=> '])
    expect(fed('one\r\n').lines()).toEqual(['one'])
  })

  it('shows control characters and whole letters, however the bytes are cut', () => {
    const text = Buffer.from('a\u001b[2Jb\b schön\tok\nend')
    fc.assert(
      fc.property(fc.nat({ max: text.length }), (cut) => {
        const log = consoleLog()
        log.feed(text.subarray(0, cut))
        log.feed(text.subarray(cut))
        expect(log.lines()).toEqual(['a·[2Jb· schön\tok', 'end'])
      }),
    )
  })

  it('finds each thing once, in its order, also twice in a line', () => {
    const log = fed('ready> go\nready> ')
    expect(log.find(/ready> /)).toBe('ready> go')
    expect(log.find(/ready> $/)).toBe('ready> ')
    expect(log.find(/ready> $/)).toBeNull()
    log.feed(Buffer.from('again\nready> '))
    expect(log.find(/again/)).toBe('ready> again')
    expect(log.find(/go/)).toBeNull()
    expect(log.find(/ready> $/)).toBe('ready> ')
    expect(fed('x x').find(/x$/g)).toBe('x x')
  })

  it('finds what comes later in a line that has been looked through', () => {
    const log = fed('Hit any key: 2')
    expect(log.find(/Hit any key/)).toBe('Hit any key: 2')
    log.feed(Buffer.from(' 1 stopped'))
    expect(log.find(/stopped/)).toBe('Hit any key: 2 1 stopped')
    expect(log.find(/Hit/)).toBeNull()
  })

  it('looks only at what is new after a skip', () => {
    const log = fed('banner\nhalf')
    log.skip()
    expect(log.find(/banner|half/)).toBeNull()
    log.feed(Buffer.from(' line\nbanner\n'))
    expect(log.find(/banner/)).toBe('banner')
  })

  it('drops the oldest lines beyond its limit and counts them', () => {
    const log = fed('1\n2\n3\n4\n5\n6', 3)
    expect(log.lines()).toEqual(['3', '4', '5', '6'])
    expect(log.dropped()).toBe(2)
    expect(log.find(/[1-9]/)).toBe('3')
    log.feed(Buffer.from('\n7\n8\n9\n'))
    expect(log.find(/[1-9]/)).toBe('7')
  })

  it('cuts a line that does not end', () => {
    const long = 'x'.repeat(boardLimits.consoleLineBytesMax * 2 + 5)
    const log = fed(long, 8)
    expect(fed(`${long}\n`).lines()).toEqual(log.lines())
    expect(log.lines().map((it) => it.length)).toEqual([
      boardLimits.consoleLineBytesMax,
      boardLimits.consoleLineBytesMax,
      5,
    ])
  })
})
