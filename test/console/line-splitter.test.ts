/** Bytes of a device become lines, however they come. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { lineSplitter } from '../../console/line-splitter.ts'
import { consoleLimits } from '../../core/limits.ts'

/** Everything, with the given chunk sizes in turn. */
function split(bytes: Uint8Array, sizes: readonly number[] = [bytes.length || 1]): readonly string[] {
  const splitter = lineSplitter()
  const lines: string[] = []
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1
    lines.push(...splitter.push(bytes.subarray(at, at + size)))
    expect(splitter.partial().length).toBeLessThanOrEqual(consoleLimits.lineCharsMax)
    at += size
  }
  return [...lines, ...splitter.end()]
}
const lines = (text: string): readonly string[] => split(Buffer.from(text))

describe('the line splitter', () => {
  it.each([
    ['one\ntwo\r\nthree\r\r\nfour\rfive', ['one', 'two', 'three', 'four', 'five']],
    ['\n\r\n\ntext', ['', '', '', 'text']],
    ['one\n\rtwo\n', ['one', 'two']],
    ['\x1b[1;31mred\x1b[0m \x1b]0;title\x07after \x1b(Bplain\x1b[K', ['red after plain']],
    ['\x1b]2;title\x1b\\text \x1b]2;\x1b[32mgreen', ['text green']],
    ['\x1b[12', []],
    ['bell\x07 back\x08 nul\0 del\x7f tab\there', ['bell␇ back␈ nul␀ del␡ tab\there']],
    ['\u009b31m C1', ['\ufffd31m C1']],
    ['\x1b]never ends\nnext', ['', 'next']],
    ['\x1b[31\nnext', ['', 'next']],
    ['naïve 🙂 \ufeffmark', ['naïve 🙂 \ufeffmark']],
  ])('makes of %j these lines', (text, expected) => {
    expect(lines(text)).toEqual(expected)
  })

  it('shows bytes that are no UTF-8 as unreadable', () => {
    expect(split(Buffer.from([0xff, 0x41, 0xc3, 0x0a, 0x42]))).toEqual(['\ufffdA\ufffd', 'B'])
  })

  it('puts a character together that was cut in two', () => {
    const splitter = lineSplitter()
    const [first, second, third] = Buffer.from('é\n')
    expect(splitter.push(Uint8Array.of(first ?? 0))).toEqual([])
    expect(splitter.partial()).toBe('')
    expect(splitter.push(Uint8Array.of(second ?? 0, third ?? 0))).toEqual(['é'])
  })

  it('cuts an endless line and goes on', () => {
    const got = lines(`${'a'.repeat(2 * consoleLimits.lineCharsMax)}b\nnext`)
    expect(got.map((it) => it.length)).toEqual([consoleLimits.lineCharsMax, consoleLimits.lineCharsMax, 1, 4])
  })

  it('cuts an endless line of control characters, too', () => {
    const got = lines(
      `${'a'.repeat(consoleLimits.lineCharsMax)}${'\x07'.repeat(consoleLimits.lineCharsMax + 1)}`,
    )
    expect(got.map((it) => it.length)).toEqual([consoleLimits.lineCharsMax, consoleLimits.lineCharsMax, 1])
  })

  it('gives up a control sequence that does not end', () => {
    const [line = ''] = lines(`\x1b[${'1'.repeat(1000)}`)
    expect(line.length).toBeGreaterThan(1000 - consoleLimits.escapeCharsMax - 1)
    expect(line.length).toBeLessThan(1000)
  })
})

/** Bytes that meet each other on consoles: text, line ends, controls, sequences, halves of characters. */
const consoleBytes = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc
        .constantFrom('\r', '\n', '\r\n', '\x1b', '\x1b[', '\x1b]', '\x1b\\', '\x07', '31m', 'é', '🙂')
        .map((it) => Uint8Array.from(Buffer.from(it))),
    ),
    { maxLength: 60 },
  )
  .map((parts) => Uint8Array.from(Buffer.concat(parts)))

describe('the line splitter, whatever comes', () => {
  it('gives the same lines however the bytes are divided', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(consoleBytes, sizes, (bytes, chunks) => {
        expect(split(bytes, chunks)).toEqual(split(bytes))
      }),
      { numRuns: 1000 },
    )
  })

  it('never gives a control character or a line over the limit', () => {
    fc.assert(
      fc.property(consoleBytes, (bytes) => {
        for (const line of split(bytes)) {
          expect(line).not.toMatch(/[^\P{Cc}\t]/u)
          expect(line.length).toBeLessThanOrEqual(consoleLimits.lineCharsMax)
        }
      }),
      { numRuns: 500 },
    )
  })

  it('gives plain text back as it was', () => {
    const text = fc.string({ unit: fc.constantFrom(...'abc äöü€🙂'), maxLength: 50 })
    fc.assert(
      fc.property(fc.array(text), fc.constantFrom('\n', '\r\n'), (wanted, end) => {
        expect(lines(wanted.map((it) => it + end).join(''))).toEqual(wanted)
      }),
    )
  })
})
