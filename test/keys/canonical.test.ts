/** Canonical JSON: one spelling for each value, everything else refused. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { releaseLimits } from '../../core/limits.ts'
import { canonicalBytes, parseCanonical } from '../../keys/canonical.ts'

const parse = (text: string, limit = 1e6) => parseCanonical(new TextEncoder().encode(text), limit, 'it')
const codeOf = (text: string, limit?: number) => {
  const result = parse(text, limit)
  return result.ok ? 'taken' : result.error.code
}

const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { maxDepth: 4 },
    fc.string().filter((it) => it.isWellFormed() && !/\p{Cc}/u.test(it)),
    fc.maxSafeInteger().map((it) => (it === 0 ? 0 : it)),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('any'), { maxLength: 4 }),
    fc.dictionary(
      fc.string({ maxLength: 8 }).filter((it) => !it.includes('__proto__') && !/\p{Cc}/u.test(it)),
      tie('any'),
      { maxKeys: 4, noNullPrototype: true },
    ),
  ),
})).any

test('what is written canonically is read back the same', () => {
  fc.assert(
    fc.property(value, (it) => {
      const result = parseCanonical(canonicalBytes(it), 1e6, 'it')
      expect(result).toEqual({ ok: true, value: it })
    }),
  )
})

test.each([
  ['keys out of order', '{"b":1,"a":1}'],
  ['a key twice', '{"a":1,"a":2}'],
  ['a key twice, once escaped', '{"a":1,"\\u0061":2}'],
  ['__proto__', '{"__proto__":{"threshold":0}}'],
  ['__proto__ deep inside', '{"signed":[{"__proto__":1}]}'],
  ['a space', '{"a": 1}'],
  ['a newline at the end', '{}\n'],
  ['a byte order mark', '\ufeff{}'],
  ['a float', '{"a":1.5}'],
  ['minus zero', '{"a":-0}'],
  ['an exponent', '{"a":1e3}'],
  ['a number past 2^53', '{"a":9007199254740993}'],
  ['an infinite number', '{"a":1e400}'],
  ['an escaped letter', '{"a":"\\u0041"}'],
  ['an escaped slash', '{"a":"\\/"}'],
  ['half a surrogate pair', '{"a":"\\ud800"}'],
  ['a control character', '{"a":"\u0001"}'],
  ['trailing bytes', '{}{}'],
  ['nothing', ''],
  ['half a document', '{"a":'],
])('refuses %s', (_, text) => {
  expect(codeOf(text)).toBe('EB-ENVELOPE')
})

test('refuses bytes that are not UTF-8', () => {
  const result = parseCanonical(Uint8Array.of(0x22, 0xff, 0x22), 100, 'it')
  expect(result.ok ? 'taken' : result.error.code).toBe('EB-ENVELOPE')
})

test('takes the deepest nesting allowed and refuses one more, without parsing it', () => {
  const nest = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)
  expect(codeOf(nest(releaseLimits.jsonDepthMax))).toBe('taken')
  expect(codeOf(nest(releaseLimits.jsonDepthMax + 1))).toBe('EB-ENVELOPE')
  const started = performance.now()
  expect(codeOf(nest(200_000))).toBe('EB-ENVELOPE')
  expect(performance.now() - started).toBeLessThan(500)
})

test('brackets inside strings are not nesting, those behind them are', () => {
  const deep = `${'['.repeat(releaseLimits.jsonDepthMax)}${']'.repeat(releaseLimits.jsonDepthMax)}`
  for (const text of ['"text"', '"\\""', '"\\\\"', '""'])
    expect(codeOf(`[${text},${deep}]`), text).toBe('EB-ENVELOPE')
  expect(codeOf(`["${'['.repeat(50)}\\\\${'{'.repeat(50)}\\""]`)).toBe('taken')
})

test('refuses a document longer than its limit before parsing it', () => {
  expect(codeOf('[1,2]', 5)).toBe('taken')
  expect(codeOf('[1,2]', 4)).toBe('EB-ENDLESS')
})
