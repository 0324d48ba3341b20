/** Sizes, names, results and errors: the small things that everything uses. */
import { expect, test } from 'vitest'
import { AssertionFailed, assert, present, unreachable } from '../../core/assert.ts'
import {
  type ErrorCode,
  EverbootError,
  errorTable,
  exitStatus,
  exitStatusOf,
  fault,
  faultOf,
  faultText,
  isErrorCode,
  orThrow,
  raise,
} from '../../core/errors.ts'
import { fail, ok } from '../../core/result.ts'
import {
  bytesText,
  days,
  GiB,
  hex,
  hours,
  isDigest,
  KiB,
  MiB,
  minutes,
  otherSlot,
  roundUp,
  safeName,
  seconds,
  slotIds,
} from '../../core/units.ts'

test('sizes are rounded up exactly, also where 32 bits end', () => {
  expect(roundUp(0, 4096)).toBe(0)
  expect(roundUp(1, 4096)).toBe(4096)
  expect(roundUp(4096, 4096)).toBe(4096)
  for (const base of [2 ** 31, 2 ** 32, 2 ** 40, 2 ** 52]) {
    expect(roundUp(base - 1, 4096)).toBe(base)
    expect(roundUp(base, 4096)).toBe(base)
    expect(roundUp(base + 1, 4096)).toBe(base + 4096)
  }
})

test('sizes are written for people', () => {
  expect([0, 1023, KiB, 1536, MiB, 1.5 * MiB, GiB, 8 * GiB].map(bytesText)).toEqual([
    ...['0 B', '1023 B', '1.0 KiB', '1.5 KiB', '1.0 MiB', '1.5 MiB', '1.00 GiB', '8.00 GiB'],
  ])
  expect([seconds(2), minutes(2), hours(2), days(2)]).toEqual([2000, 120_000, 7_200_000, 172_800_000])
})

test('there are two slots, each the other of the other', () => {
  expect(slotIds.map(otherSlot)).toEqual(['b', 'a'])
})

test('hex is that of the view, not of the memory under it', () => {
  const bytes = Uint8Array.of(0, 1, 0xab, 0xff)
  expect(hex(bytes.subarray(1, 3))).toBe('01ab')
  expect(hex(new Uint8Array(0))).toBe('')
})

test('a digest is 64 lower-case hex digits and nothing else', () => {
  const good = '0123456789abcdef'.repeat(4)
  expect(isDigest(good)).toBe(true)
  for (const it of ['', good.slice(1), `${good}0`, good.toUpperCase(), `${good}\n`, good.replace('0', 'g')]) {
    expect(isDigest(it), it).toBe(false)
  }
})

test.each(['a', 'A-1', 'board.rev_2', '...', '.hidden', 'x'.repeat(64)])('%j is a safe name', (it) => {
  expect(safeName.test(it)).toBe(true)
})

test.each([
  '',
  '.',
  '..',
  '/',
  'a/b',
  '../x',
  '\\',
  'a\\b',
  'a\0',
  'a\n',
  'a b',
  '?',
  '#',
  '%2e',
  'ä',
  '․․',
  '+',
  'C:',
  'x'.repeat(65),
])('%j is no safe name', (it) => {
  expect(safeName.test(it)).toBe(false)
})

test('every code has a meaning, an advice and an exit status of its family', () => {
  const codes = Object.keys(errorTable) as ErrorCode[]
  for (const code of codes) {
    expect(code).toMatch(/^EB-[A-Z]+(-[A-Z]+)*$/)
    expect(errorTable[code].means).toMatch(/^[A-Z].*\.$/)
    expect(errorTable[code].todo).toMatch(/^[^A-Z].*[^.]$/)
    expect(Object.values(exitStatus)).toContain(exitStatusOf(code))
    expect(exitStatusOf(code)).toBeGreaterThan(0)
  }
  expect(isErrorCode('EB-KEY')).toBe(true)
  for (const it of ['EB-NONE', '', 'toString', '__proto__']) expect(isErrorCode(it)).toBe(false)
})

test('a fault is shown with what happened and what to do', () => {
  expect(faultText(fault('EB-KEY', 'x is gone'))).toBe('EB-KEY: x is gone; restore the key or its mode 0600')
  expect(faultText(fault('EB-KEY', 'x is gone', 'make it'))).toBe('EB-KEY: x is gone; make it')
  const thrown = (() => {
    try {
      return raise('EB-FILE', 'no', { todo: 'look', cause: new Error('ENOENT') })
    } catch (caught) {
      return caught
    }
  })()
  expect(thrown).toBeInstanceOf(EverbootError)
  expect(faultOf(thrown)).toEqual({ code: 'EB-FILE', what: 'no', todo: 'look' })
  expect((thrown as Error).cause).toBeInstanceOf(Error)
})

test('anything else that is thrown is a bug and says so', () => {
  expect(faultOf(new TypeError('x of undefined')).code).toBe('EB-INTERNAL')
  expect(faultOf(new TypeError('x of undefined')).what).toBe('TypeError: x of undefined')
  expect(faultOf('text').code).toBe('EB-INTERNAL')
  expect(faultOf(undefined).code).toBe('EB-INTERNAL')
})

test('a result gives its value or throws its fault', () => {
  expect(orThrow(ok(3))).toBe(3)
  expect(() => orThrow(fail(fault('EB-KEY', 'x')))).toThrow('EB-KEY')
})

test('broken invariants are thrown, not returned', () => {
  expect(() => assert(false, 'one is two')).toThrow(AssertionFailed)
  expect(() => assert(true, 'one is one')).not.toThrow()
  expect(present(0, 'n')).toBe(0)
  expect(present('', 'n')).toBe('')
  for (const it of [null, undefined]) expect(() => present(it, 'n')).toThrow('n is missing')
  expect(() => unreachable('x' as never)).toThrow(AssertionFailed)
})
