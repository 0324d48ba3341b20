/** Signed envelopes against the attacks that other update systems fell to. */
import { readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { canonicalBytes } from '../../keys/canonical.ts'
import { openEnvelope, signEnvelope } from '../../keys/envelope.ts'
import type { KeyRing } from '../../keys/public-key.ts'
import { verifyEd25519 } from '../../keys/verify-node.ts'
import { ringOf, testSigner } from './signers.ts'

const [one, two, three, stranger] = ['one', 'two', 'three', 'stranger'].map(testSigner) as [
  ReturnType<typeof testSigner>,
  ReturnType<typeof testSigner>,
  ReturnType<typeof testSigner>,
  ReturnType<typeof testSigner>,
]
const signed = { _type: 'test', n: 1, text: 'naïve "\\' }

function codeOf(bytes: Uint8Array, ring: KeyRing, limit = 1e6): string {
  const result = openEnvelope(bytes, limit, ring, verifyEd25519, 'it')
  return result.ok ? 'taken' : result.error.code
}

interface Document {
  signatures: { keyid: string; sig: string }[]
  signed: Record<string, unknown>
  [other: string]: unknown
}

/** An envelope changed as `change` says, in canonical form again. */
function forged(signers: Parameters<typeof signEnvelope>[1], change: (it: Document) => unknown): Uint8Array {
  const document = JSON.parse(new TextDecoder().decode(signEnvelope(signed, signers))) as Document
  return canonicalBytes(change(document) ?? document)
}

test('hands out exactly what a trusted key signed', () => {
  const result = openEnvelope(signEnvelope(signed, [one]), 1e6, ringOf([one]), verifyEd25519, 'it')
  expect(result).toEqual({ ok: true, value: signed })
})

test('the golden envelope has the same bytes for ever', () => {
  const golden = readFileSync(new URL('../vectors/envelope.json', import.meta.url))
  expect(Buffer.from(signEnvelope(signed, [one, two])).equals(golden)).toBe(true)
  expect(codeOf(golden, ringOf([one, two], 2))).toBe('taken')
})

test('needs as many distinct keys as the threshold says', () => {
  const ring = ringOf([one, two, three], 2)
  expect(codeOf(signEnvelope(signed, [one]), ring)).toBe('EB-THRESHOLD')
  expect(codeOf(signEnvelope(signed, [one, stranger]), ring)).toBe('EB-THRESHOLD')
  expect(codeOf(signEnvelope(signed, [one, three]), ring)).toBe('taken')
})

test('the same signature twice counts for nothing', () => {
  const bytes = forged([one], (it) => {
    it.signatures = [...it.signatures, ...it.signatures]
  })
  expect(codeOf(bytes, ringOf([one, two], 2))).toBe('EB-ENVELOPE')
})

test('the same key under two ids counts once', () => {
  const alias = 'a'.repeat(64)
  const ring = ringOf([one, two], 2)
  const keys = new Map([...ring.keys, [alias, ring.keys.get(one.keyId) ?? new Uint8Array()]])
  const bytes = forged([one], (it) => {
    it.signatures = [{ keyid: alias, sig: it.signatures[0]?.sig ?? '' }, ...it.signatures]
  })
  expect(codeOf(bytes, { keys, threshold: 2 })).toBe('EB-THRESHOLD')
  expect(codeOf(bytes, { keys, threshold: 1 })).toBe('taken')
})

test.each([[0], [-1], [1.5], [Number.NaN], [3], ['1' as unknown as number], [null as unknown as number]])(
  'a threshold of %s trusts nothing',
  (threshold) => {
    expect(codeOf(signEnvelope(signed, [one, two]), ringOf([one, two], threshold))).toBe('EB-THRESHOLD')
  },
)

test('a ring without keys trusts nothing', () => {
  expect(codeOf(signEnvelope(signed, [one]), ringOf([]))).toBe('EB-THRESHOLD')
})

test('no signature and only unknown keys are told apart from a wrong signature', () => {
  const ring = ringOf([one])
  expect(codeOf(signEnvelope(signed, []), ring)).toBe('EB-UNKNOWN-KEY')
  expect(codeOf(signEnvelope(signed, [stranger]), ring)).toBe('EB-UNKNOWN-KEY')
  const other = forged([one], (it) => {
    it.signed['n'] = 2
  })
  expect(codeOf(other, ring)).toBe('EB-SIGNATURE')
})

test("a stranger's signature under a trusted key id is refused", () => {
  const bytes = forged([stranger], (it) => {
    it.signatures = [{ keyid: one.keyId, sig: it.signatures[0]?.sig ?? '' }]
  })
  expect(codeOf(bytes, ringOf([one]))).toBe('EB-SIGNATURE')
})

test('one wrong signature spoils the others', () => {
  const bytes = forged([one, two], (it) => {
    it.signatures[1] = { keyid: two.keyId, sig: it.signatures[0]?.sig ?? '' }
  })
  expect(codeOf(bytes, ringOf([one, two]))).toBe('EB-SIGNATURE')
})

test.each<[string, (it: Document) => unknown]>([
  ['a third field', (it) => ({ ...it, extra: 1 })],
  ['no signatures field', (it) => ({ signed: it.signed })],
  ['no signed field', (it) => ({ signatures: it.signatures })],
  ['signatures that are an object', (it) => ({ ...it, signatures: { length: 1 } })],
  ['a signature that is null', (it) => ({ ...it, signatures: [null] })],
  ['a signature with a field more', (it) => ({ ...it, signatures: [{ ...it.signatures[0], alg: 'none' }] })],
  [
    'a key id in capitals',
    (it) => ({ ...it, signatures: [{ ...it.signatures[0], keyid: one.keyId.toUpperCase() }] }),
  ],
  ['a key id that is a number', (it) => ({ ...it, signatures: [{ ...it.signatures[0], keyid: 1 }] })],
  [
    'a signature one digit short',
    (it) => ({ ...it, signatures: [{ keyid: one.keyId, sig: '0'.repeat(127) }] }),
  ],
  ['an empty signature', (it) => ({ ...it, signatures: [{ keyid: one.keyId, sig: '' }] })],
  ['signed that is a list', (it) => ({ ...it, signed: [] })],
  ['signed that is null', (it) => ({ ...it, signed: null })],
  ['a list', () => []],
  ['a text', () => 'signed'],
  [
    '17 signatures',
    (it) => ({
      ...it,
      signatures: Array.from({ length: 17 }, (_, at) => ({
        keyid: `${at}`.padStart(64, '0'),
        sig: '0'.repeat(128),
      })),
    }),
  ],
])('refuses an envelope with %s', (_, change) => {
  expect(codeOf(forged([one], change), ringOf([one]))).toBe('EB-ENVELOPE')
})

test('refuses an envelope that is not canonical, whatever its signature', () => {
  const text = new TextDecoder().decode(signEnvelope(signed, [one]))
  const double = text.replace('"n":1', '"n":1,"n":1')
  for (const bytes of [` ${text}`, `${text}\n`, double, text.replace('"n":1', '"n":1.0')]) {
    expect(codeOf(new TextEncoder().encode(bytes), ringOf([one]))).toBe('EB-ENVELOPE')
  }
})

test('refuses an envelope above its limit', () => {
  const bytes = signEnvelope(signed, [one])
  expect(codeOf(bytes, ringOf([one]), bytes.length - 1)).toBe('EB-ENDLESS')
})

test('refuses every truncation and every single flipped bit', () => {
  const bytes = signEnvelope(signed, [one])
  const ring = ringOf([one])
  for (let length = 0; length < bytes.length; length += 1) {
    expect(codeOf(bytes.subarray(0, length), ring)).not.toBe('taken')
  }
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const changed = bytes.slice()
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    expect(codeOf(changed, ring), `bit ${bit}`).not.toBe('taken')
  }
})

test('any bytes end in a fault, never in a throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      expect(codeOf(bytes, ringOf([one]))).not.toBe('taken')
    }),
  )
})

test('an Ed25519 signature with S + L is refused', () => {
  const message = canonicalBytes(signed)
  const sig = Buffer.from(one.sign(message))
  const order = 0x1000_0000_0000_0000_0000_0000_0000_0000_14de_f9de_a2f7_9cd6_5812_631a_5cf5_d3edn
  const s = BigInt(`0x${Buffer.from(sig.subarray(32)).reverse().toString('hex')}`) + order
  const malleable = Buffer.concat([
    sig.subarray(0, 32),
    Buffer.from(s.toString(16).padStart(64, '0'), 'hex').reverse(),
  ])
  const key = Buffer.from(one.publicKey.keyval.public, 'hex')
  expect(verifyEd25519(key, message, sig)).toBe(true)
  expect(verifyEd25519(key, message, malleable)).toBe(false)
  expect(verifyEd25519(key.subarray(1), message, sig)).toBe(false)
  expect(verifyEd25519(key, message, sig.subarray(1))).toBe(false)
})
