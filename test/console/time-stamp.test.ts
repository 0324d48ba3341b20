/** Times in front of lines, in a log and in a terminal. */
import { describe, expect, it } from 'vitest'
import { rawStamps, timeForm, timeStamp } from '../../console/time-stamp.ts'

const clock = { monotonicMs: () => 5_000, wallMs: () => 1_000_000 }

describe('a time stamp', () => {
  it('has the form asked for', () => {
    const date = (ms: number): string => `at ${ms}`
    expect(timeStamp('none', clock, date)(6_000)).toBe('')
    expect(timeStamp('since-start', clock, date)(6_234)).toBe('[    1.234] ')
    expect(timeStamp('clock', clock, date)(4_000)).toBe('at 999000 ')
    expect(() => timeForm('later')).toThrow('EB-USAGE')
  })

  it('stands once before each line of a terminal, wherever the bytes are cut', () => {
    const text = 'one\r\n\ntwo\x1b[K é\r\nlogin: '
    const wanted = '<7>one\r\n<7>\n<7>two\x1b[K é\r\n<7>login: '
    for (const size of [1, 2, 3, 100]) {
      const stamps = rawStamps((ms) => `<${ms}>`)
      const bytes = Buffer.from(text)
      const out: Uint8Array[] = []
      for (let at = 0; at < bytes.length; at += size) out.push(stamps(bytes.subarray(at, at + size), 7))
      expect(Buffer.concat(out).toString()).toBe(wanted)
    }
  })
})
