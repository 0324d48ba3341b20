/** Private keys at work, checked by OpenSSL's own verification. */
import { constants, createHash, createVerify, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { expect, test } from 'vitest'
import { orThrow } from '../../core/errors.ts'
import { ed25519Signer, pssSigner } from '../../keys/signer.ts'
import { pssVerifier, verifyEd25519 } from '../../keys/verify-node.ts'

const rsaPem = (bits: number, publicExponent = 65537): string =>
  generateKeyPairSync('rsa', { modulusLength: bits, publicExponent }).privateKey.export({
    type: 'pkcs8',
    format: 'pem',
  }) as string
const ecPem = (name: 'ed25519' | 'x25519'): string =>
  generateKeyPairSync(name as 'ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
const rsa = rsaPem(2048)
const message = Buffer.from('the clear image')
const digest = createHash('sha256').update(message).digest()

function verifies(pem: string, signature: Uint8Array, saltLength: number, bytes = message): boolean {
  const verifier = createVerify('RSA-SHA256').update(bytes)
  return verifier.verify({ key: pem, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }, signature)
}

test('an RSA-PSS signature holds for OpenSSL with salt 222 and with no other salt length', () => {
  const signer = orThrow(pssSigner(rsa, 'rsa'))
  for (let round = 0; round < 20; round += 1) {
    const signature = signer.sign(digest, randomBytes(222))
    expect(signature.length).toBe(256)
    expect(verifies(signer.publicPem, signature, 222)).toBe(true)
    expect(verifies(signer.publicPem, signature, 32)).toBe(false)
    expect(verifies(signer.publicPem, signature, 222, Buffer.from('another image'))).toBe(false)
  }
})

test('the same salt gives the same signature', () => {
  const signer = orThrow(pssSigner(rsa, 'rsa'))
  const salt = randomBytes(222)
  expect(Buffer.from(signer.sign(digest, salt)).equals(signer.sign(digest, salt))).toBe(true)
  expect(() => signer.sign(digest, salt.subarray(1))).toThrow()
  expect(() => signer.sign(digest.subarray(1), salt)).toThrow()
})

test('the streaming verifier takes the signature and refuses each of its bits flipped', () => {
  const signer = orThrow(pssSigner(rsa, 'rsa'))
  const signature = signer.sign(digest, randomBytes(222))
  const check = (it: Uint8Array): boolean => {
    const verifier = pssVerifier(signer.publicPem)
    verifier?.update(message.subarray(0, 3))
    verifier?.update(message.subarray(3))
    return verifier?.verify(it) ?? false
  }
  expect(check(signature)).toBe(true)
  for (let bit = 0; bit < signature.length * 8; bit += 1) {
    const changed = Uint8Array.from(signature)
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    expect(check(changed)).toBe(false)
  }
  expect(check(signature.subarray(1))).toBe(false)
  expect(check(new Uint8Array(0))).toBe(false)
})

test('a signature with a shorter salt is refused, though its key is right', () => {
  const signer = orThrow(pssSigner(rsa, 'rsa'))
  for (const saltLength of [0, 32, 221]) {
    const padding = constants.RSA_PKCS1_PSS_PADDING
    const signature = sign('RSA-SHA256', message, { key: rsa, padding, saltLength })
    expect(verifies(signer.publicPem, signature, saltLength)).toBe(true)
    const verifier = pssVerifier(signer.publicPem)
    verifier?.update(message)
    expect(verifier?.verify(signature)).toBe(false)
  }
})

test('a verifier is not made for weak or foreign keys', () => {
  const publicPem = (pem: string): string => {
    const { createPublicKey } = process.getBuiltinModule('node:crypto')
    return createPublicKey(pem).export({ type: 'spki', format: 'pem' }) as string
  }
  expect(pssVerifier(publicPem(rsa))).not.toBeNull()
  expect(pssVerifier(publicPem(rsaPem(1024)))).toBeNull()
  expect(pssVerifier(publicPem(rsaPem(2048, 3)))).toBeNull()
  expect(pssVerifier(publicPem(ecPem('ed25519')))).toBeNull()
  expect(pssVerifier('')).toBeNull()
})

test.each([
  ['an RSA key for Ed25519', () => ed25519Signer(rsa, 'f')],
  ['an X25519 key for Ed25519', () => ed25519Signer(ecPem('x25519'), 'f')],
  ['no key for Ed25519', () => ed25519Signer('-----BEGIN PRIVATE KEY-----', 'f')],
  ['an Ed25519 key for RSA', () => pssSigner(ecPem('ed25519'), 'f')],
  ['an RSA key of 1024 bits', () => pssSigner(rsaPem(1024), 'f')],
  ['an RSA key of 3072 bits', () => pssSigner(rsaPem(3072), 'f')],
  ['an RSA key with exponent 3', () => pssSigner(rsaPem(2048, 3), 'f')],
  ['no key for RSA', () => pssSigner('', 'f')],
])('refuses %s', (_, make) => {
  const made = make()
  expect(made.ok ? 'taken' : made.error.code).toBe('EB-KEY')
})

test('an Ed25519 signer knows its public half', () => {
  const signer = orThrow(ed25519Signer(ecPem('ed25519'), 'f'))
  const key = Buffer.from(signer.publicKey.keyval.public, 'hex')
  expect(verifyEd25519(key, message, signer.sign(message))).toBe(true)
  expect(verifyEd25519(key, digest, signer.sign(message))).toBe(false)
})
