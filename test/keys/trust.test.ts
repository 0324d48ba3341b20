/** The trust file: taken only when it is wholly understood. */
import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { keyIdOf, publicKeyOf, rawKeyOf, rsaKeyIdOf } from '../../keys/public-key.ts'
import { decodeTrust, type TrustFile } from '../../keys/trust.ts'
import { testSigner } from './signers.ts'

const one = testSigner('one')
const two = testSigner('two')
const rsaPem = (bits: number): string =>
  generateKeyPairSync('rsa', { modulusLength: bits }).publicKey.export({
    type: 'spki',
    format: 'pem',
  }) as string
const pem = rsaPem(2048)

function good(): TrustFile {
  return {
    v: 1,
    release: { threshold: 1, keys: { [one.keyId]: one.publicKey } },
    seal: { threshold: 1, keys: { [one.keyId]: one.publicKey, [two.keyId]: two.publicKey } },
    skill: { threshold: 1, keys: { [two.keyId]: two.publicKey } },
    rsa: { [rsaKeyIdOf(pem)]: pem },
  }
}

function codeOf(document: unknown): string {
  const result = decodeTrust(new TextEncoder().encode(JSON.stringify(document)), 'trust.json')
  return result.ok ? 'taken' : result.error.code
}

test('hands out the rings of a good file', () => {
  const result = decodeTrust(new TextEncoder().encode(JSON.stringify(good())), 'trust.json')
  if (!result.ok) throw new Error(result.error.what)
  expect(result.value.release.threshold).toBe(1)
  expect([...result.value.seal.keys.keys()].sort()).toEqual([one.keyId, two.keyId].sort())
  expect([...result.value.skill.keys.keys()]).toEqual([two.keyId])
  expect(result.value.rsa.get(rsaKeyIdOf(pem))).toBe(pem)
})

test('a key id is the SHA-256 of the canonical key, as TUF says', () => {
  const key = publicKeyOf(Buffer.from('00'.repeat(32), 'hex'))
  const canonical = `{"keytype":"ed25519","keyval":{"public":"${'00'.repeat(32)}"},"scheme":"ed25519"}`
  const { hash } = process.getBuiltinModule('node:crypto')
  expect(keyIdOf(key)).toBe(hash('sha256', canonical))
  expect(rawKeyOf({ ...key, keyval: { public: 'AA'.repeat(32) } })).toBeNull()
  expect(rawKeyOf({ ...key, scheme: 'rsa' as 'ed25519' })).toBeNull()
})

const short = rsaPem(1024)
const ring = (threshold: unknown, keys: unknown = good().release.keys) => ({ threshold, keys })
const key = one.publicKey
test.each<[string, unknown]>([
  ['of another version', { ...good(), v: 2 }],
  ['with a field more', { ...good(), targets: {} }],
  ['without seal keys', { ...good(), seal: undefined }],
  ['with threshold 0', { ...good(), release: ring(0) }],
  ['with threshold -1', { ...good(), release: ring(-1) }],
  ['with threshold 1.5', { ...good(), release: ring(1.5) }],
  ['with threshold "1"', { ...good(), release: ring('1') }],
  ['with threshold null', { ...good(), release: ring(null) }],
  ['with a threshold above the number of keys', { ...good(), release: ring(2) }],
  ['without any key', { ...good(), release: ring(1, {}) }],
  ['with a key under the id of another', { ...good(), release: ring(1, { [two.keyId]: key }) }],
  ['with a key under two ids', { ...good(), release: ring(2, { [one.keyId]: key, ['a'.repeat(64)]: key }) }],
  [
    'with a key of another type',
    { ...good(), release: ring(1, { [one.keyId]: { ...key, keytype: 'rsa' } }) },
  ],
  [
    'with a key of 31 bytes',
    { ...good(), release: ring(1, { [one.keyId]: { ...key, keyval: { public: '00'.repeat(31) } } }) },
  ],
  ['with a field more in a key', { ...good(), release: ring(1, { [one.keyId]: { ...key, extra: 1 } }) }],
  ['with an RSA key under another id', { ...good(), rsa: { [one.keyId]: pem } }],
  ['with an RSA key of 1024 bits', { ...good(), rsa: { [rsaKeyIdOf(short)]: short } }],
  ['with an RSA key that is no key', { ...good(), rsa: { [rsaKeyIdOf('x')]: 'x' } }],
  ['that is a list', []],
  ['that is null', null],
])('refuses a file %s', (_, document) => {
  expect(codeOf(document)).toBe('EB-KEY')
})

test('refuses bytes that are not JSON', () => {
  for (const bytes of [new Uint8Array(0), Uint8Array.of(0xff), new TextEncoder().encode('{')]) {
    const result = decodeTrust(bytes, 'trust.json')
    expect(result.ok ? 'taken' : result.error.code).toBe('EB-KEY')
  }
})
