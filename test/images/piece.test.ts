/** Pieces and content ciphers: golden bytes, a second implementation (@noble), and every way to damage one. */
import { hash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { constants, zstdCompressSync } from 'node:zlib'
import { cbc, gcm } from '@noble/ciphers/aes.js'
import { chacha20poly1305 } from '@noble/ciphers/chacha.js'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { PieceTask } from '../../core/ports.ts'
import {
  type AeadSuite,
  indexKey,
  openAead,
  openCbc,
  type Suite,
  sealAead,
  sealCbc,
} from '../../images/release/content-cipher.ts'
import { compressPiece, openPiece, pieceAad, sealPiece } from '../../images/release/piece.ts'
import { flipped } from './releases.ts'

const suites: readonly Suite[] = ['chacha20-poly1305', 'aes-256-gcm', 'aes-256-cbc']
const aeads: readonly AeadSuite[] = ['chacha20-poly1305', 'aes-256-gcm']
const key = hash('sha256', 'content key', 'buffer')
const iv = hash('sha256', 'iv', 'buffer').subarray(0, 16)
const raw = Buffer.from('The quick brown fox jumps over the lazy dog. '.repeat(20))
const aad = pieceAad('demo-1-0123456789ab', 'rootfs', 258, 1000)
const golden = JSON.parse(readFileSync(new URL('../vectors/pieces.json', import.meta.url), 'utf8')) as Record<
  string,
  string
>

function taskOf(suite: Suite, change: Partial<PieceTask> = {}): PieceTask {
  const sealed = change.sealed ?? sealPiece(suite, key, 258, aad, raw, () => iv)
  return {
    suite,
    compression: 'none',
    key,
    pieceIndex: 258,
    aad,
    sealed,
    sealedSha256: hash('sha256', sealed, 'buffer'),
    rawBytes: raw.length,
    rawSha256: hash('sha256', raw, 'buffer'),
    ...change,
  }
}

const codeOf = (task: PieceTask): string => {
  const result = openPiece(task)
  return result.ok ? 'opened' : result.error.code
}

test.each(suites)('a %s piece has the same bytes for ever', (suite) => {
  const sealed = sealPiece(suite, key, 258, aad, raw, () => iv)
  expect(Buffer.from(sealed).toString('hex')).toBe(golden[suite])
})

test('the key of the index pages is derived by HKDF for ever', () => {
  expect(Buffer.from(indexKey(key)).toString('hex')).toBe(golden['index key'])
})

test.each(suites)('a second implementation opens %s pieces and seals the same', (suite) => {
  const sealed = sealPiece(suite, key, 258, aad, raw, () => iv)
  const nonce = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2)
  const other =
    suite === 'aes-256-cbc'
      ? cbc(key, iv)
      : suite === 'aes-256-gcm'
        ? gcm(key, nonce, aad)
        : chacha20poly1305(key, nonce, aad)
  const body = suite === 'aes-256-cbc' ? sealed.subarray(16) : sealed
  expect(Buffer.from(other.decrypt(body)).equals(raw)).toBe(true)
  expect(Buffer.from(other.encrypt(raw)).equals(body)).toBe(true)
})

test.each(suites)('a good %s piece opens, stored and compressed', (suite) => {
  expect(openPiece(taskOf(suite))).toEqual({ ok: true, value: raw })
  const packed = compressPiece(raw, 3) ?? new Uint8Array(0)
  const sealed = sealPiece(suite, key, 258, aad, packed, () => iv)
  const opened = openPiece(taskOf(suite, { sealed, compression: 'zstd' }))
  expect(opened.ok && Buffer.from(opened.value).equals(raw)).toBe(true)
})

test.each(suites)('every flipped bit of a %s piece is refused', (suite) => {
  const task = taskOf(suite)
  for (let bit = 0; bit < task.sealed.length * 8; bit += 1) {
    expect(codeOf({ ...task, sealed: flipped(task.sealed, bit) })).toBe('EB-PIECE')
  }
  for (let length = 0; length < task.sealed.length; length += 1) {
    expect(codeOf({ ...task, sealed: task.sealed.subarray(0, length) })).toBe('EB-PIECE')
  }
})

test.each(aeads)('every flipped bit and every truncation is refused by the %s tag itself', (suite) => {
  const sealed = sealAead(suite, key, 258, aad, raw.subarray(0, 100))
  for (let bit = 0; bit < sealed.length * 8; bit += 1) {
    expect(openAead(suite, key, 258, aad, flipped(sealed, bit)), `bit ${bit}`).toBeNull()
  }
  for (let length = 0; length < sealed.length; length += 1) {
    expect(openAead(suite, key, 258, aad, sealed.subarray(0, length))).toBeNull()
  }
  expect(openAead(suite, key, 258, aad, sealed)).not.toBeNull()
})

test.each(aeads)('a %s piece opens in its own place only', (suite) => {
  const task = taskOf(suite)
  expect(codeOf({ ...task, pieceIndex: 259 })).toBe('EB-PIECE')
  expect(codeOf({ ...task, pieceIndex: 258 + 2 ** 32 })).toBe('EB-PIECE')
  expect(codeOf({ ...task, key: flipped(key, 3) })).toBe('EB-PIECE')
  for (const other of [
    pieceAad('demo-1-0123456789ac', 'rootfs', 258, 1000),
    pieceAad('demo-1-0123456789ab', 'other', 258, 1000),
    pieceAad('demo-1-0123456789ab', 'rootfs', 259, 1000),
    pieceAad('demo-1-0123456789ab', 'rootfs', 258, 1001),
    new Uint8Array(0),
  ]) {
    expect(codeOf({ ...task, aad: other })).toBe('EB-PIECE')
  }
})

test('a nonce is the number of the piece, to 2^53', () => {
  for (const number of [0, 1, 2 ** 31, 2 ** 32, 2 ** 32 + 1, 2 ** 53 - 1]) {
    const nonce = new Uint8Array(12)
    new DataView(nonce.buffer).setBigUint64(4, BigInt(number))
    const sealed = sealAead('aes-256-gcm', key, number, aad, raw)
    expect(Buffer.from(gcm(key, nonce, aad).decrypt(sealed)).equals(raw)).toBe(true)
  }
})

test('a piece with wrong lengths or hashes is refused, with one fault for all reasons', () => {
  const task = taskOf('aes-256-gcm')
  const faults = [
    { ...task, rawBytes: raw.length - 1 },
    { ...task, rawBytes: raw.length + 1 },
    { ...task, rawSha256: flipped(task.rawSha256, 0) },
    { ...task, sealedSha256: flipped(task.sealedSha256, 0) },
    { ...task, sealedSha256: new Uint8Array(0) },
    { ...task, rawSha256: new Uint8Array(0) },
    { ...task, compression: 'zstd' } as const,
    { ...task, sealed: new Uint8Array(0) },
  ].map((it) => openPiece(it))
  for (const it of faults) {
    expect(it.ok).toBe(false)
    expect(it).toEqual(faults[0])
  }
})

test.each(suites)('a zstd bomb in a %s piece is refused in bounded memory and time', (suite) => {
  const bomb = zstdCompressSync(new Uint8Array(256 << 20), {
    params: { [constants.ZSTD_c_compressionLevel]: 1 },
  })
  const sealed = sealPiece(suite, key, 258, aad, bomb, () => iv)
  const before = process.memoryUsage().rss
  const started = performance.now()
  expect(codeOf(taskOf(suite, { sealed, compression: 'zstd', rawBytes: 1 << 20 }))).toBe('EB-PIECE')
  expect(performance.now() - started).toBeLessThan(500)
  expect(process.memoryUsage().rss - before).toBeLessThan(64 << 20)
})

test('expansion that is one byte short or long, or followed by another frame, is refused', () => {
  const seal = (packed: Uint8Array) => sealPiece('aes-256-gcm', key, 258, aad, packed, () => iv)
  const frame = (bytes: Uint8Array) => zstdCompressSync(bytes)
  for (const packed of [
    frame(raw.subarray(1)),
    frame(Buffer.concat([raw, Buffer.alloc(1)])),
    Buffer.concat([frame(raw), frame(raw)]),
    Buffer.concat([frame(raw), Buffer.from('junk')]),
    frame(raw).subarray(0, -1),
  ]) {
    expect(codeOf(taskOf('aes-256-gcm', { sealed: seal(packed), compression: 'zstd' }))).toBe('EB-PIECE')
  }
})

test('CBC refuses a wrong padding, a broken block and the smallest inputs', () => {
  const sealed = sealCbc(key, iv, raw)
  expect(openCbc(key, sealed)).toEqual(raw)
  for (const length of [0, 15, 16, 17, 31, sealed.length - 1]) {
    expect(openCbc(key, sealed.subarray(0, length))).toBeNull()
  }
  expect(openCbc(key, sealCbc(key, iv, new Uint8Array(0)))).toEqual(Buffer.alloc(0))
})

test('compression is taken only when it gains', () => {
  expect(compressPiece(randomBytes(4096), 19)).toBeNull()
  expect(compressPiece(new Uint8Array(4096), 1)?.length).toBeLessThan(100)
})

test('whatever is sealed opens again', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...suites),
      fc.uint8Array({ minLength: 1, maxLength: 5000 }),
      fc.nat(),
      fc.boolean(),
      (suite, bytes, number, compressed) => {
        const packed = compressed ? zstdCompressSync(bytes) : bytes
        const sealed = sealPiece(suite, key, number, aad, packed, () => iv)
        const opened = openPiece({
          ...taskOf(suite, { sealed, pieceIndex: number }),
          compression: compressed ? 'zstd' : 'none',
          rawBytes: bytes.length,
          rawSha256: hash('sha256', bytes, 'buffer'),
        })
        expect(opened.ok && Buffer.from(opened.value).equals(bytes)).toBe(true)
      },
    ),
  )
})
