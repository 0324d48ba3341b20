/** Index pages: golden bytes, every flipped bit, and entries that a publisher would never write. */
import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { sealAead } from '../../images/release/content-cipher.ts'
import {
  entriesPerPage,
  entryBytes,
  type IndexEntry,
  indexBytes,
  openPage,
  type PageContext,
  pageCount,
  pageEntries,
  pageHeaderBytes,
  pageRange,
  sealPage,
} from '../../images/release/index-page.ts'
import { flipped } from './releases.ts'

const context: PageContext = {
  suite: 'chacha20-poly1305',
  key: hash('sha256', 'index key', 'buffer'),
  releaseId: 'demo-1-0123456789ab',
  blobId: 'rootfs',
  pieces: 3,
  blobBytes: 5000,
}
const digest = (text: string): Uint8Array => hash('sha256', text, 'buffer')
const entries: readonly IndexEntry[] = [
  { kind: 'zstd', offset: 0, sealedBytes: 900, rawSha256: digest('a'), sealedSha256: digest('A') },
  { kind: 'zero', offset: 900, sealedBytes: 0, rawSha256: digest('b'), sealedSha256: digest('B') },
  { kind: 'stored', offset: 900, sealedBytes: 4100, rawSha256: digest('c'), sealedSha256: digest('C') },
]
const sha = (bytes: Uint8Array): string => hash('sha256', bytes)

function codeOf(page: Uint8Array, number = 0, by: PageContext = context, pinned = sha(page)): string {
  const result = openPage(page, number, pinned, by)
  return result.ok ? 'opened' : result.error.code
}

test('a page has the same bytes for ever and says what was put in', () => {
  const golden = readFileSync(new URL('../vectors/index-page.bin', import.meta.url))
  const page = sealPage(0, entries, context)
  expect(Buffer.from(page).equals(golden)).toBe(true)
  expect(openPage(golden, 0, sha(golden), context)).toEqual({
    ok: true,
    value: { page: 0, firstPiece: 0, entries },
  })
})

test('every flipped bit and every truncation is refused, by the pinned hash and by the tag alone', () => {
  const page = sealPage(0, entries, context)
  for (let bit = 0; bit < page.length * 8; bit += 1) {
    const changed = flipped(page, bit)
    expect(codeOf(changed, 0, context, sha(page))).toBe('EB-INDEX')
    expect(codeOf(changed)).toBe('EB-INDEX')
  }
  for (let length = 0; length < page.length; length += 1) {
    expect(codeOf(page.subarray(0, length))).toBe('EB-INDEX')
  }
})

test('a page opens in its own place, release and blob only', () => {
  const page = sealPage(0, entries, context)
  expect(codeOf(page, 1)).toBe('EB-INDEX')
  expect(codeOf(page, 0, { ...context, releaseId: 'demo-1-0123456789ac' })).toBe('EB-INDEX')
  expect(codeOf(page, 0, { ...context, blobId: 'other' })).toBe('EB-INDEX')
  expect(codeOf(page, 0, { ...context, pieces: 4 })).toBe('EB-INDEX')
  expect(codeOf(page, 0, { ...context, pieces: entriesPerPage + 3 })).toBe('EB-INDEX')
  expect(codeOf(page, 0, { ...context, suite: 'aes-256-gcm' })).toBe('EB-INDEX')
  expect(codeOf(page, 0, { ...context, key: flipped(context.key, 9) })).toBe('EB-INDEX')
})

/** A page that is sealed rightly but says something else. */
function sealedClear(change: (view: DataView, clear: Uint8Array) => void): Uint8Array {
  const clear = new Uint8Array(pageHeaderBytes + entries.length * entryBytes)
  const view = new DataView(clear.buffer)
  ;[0x5849_4245, 1, 0, 0, 3].forEach((word, at) => {
    view.setUint32(at * 4, word, true)
  })
  entries.forEach((it, number) => {
    const at = pageHeaderBytes + number * entryBytes
    view.setUint8(at, ['zero', 'zstd', 'stored'].indexOf(it.kind))
    view.setUint32(at + 4, it.sealedBytes, true)
    view.setBigUint64(at + 8, BigInt(it.offset), true)
    clear.set(it.rawSha256, at + 16)
    clear.set(it.sealedSha256, at + 48)
  })
  change(view, clear)
  const aad = new TextEncoder().encode('everboot index\0demo-1-0123456789ab\0rootfs\x000\x001')
  return sealAead('chacha20-poly1305', context.key, 0, aad, clear)
}
const at = (entry: number, field: number): number => pageHeaderBytes + entry * entryBytes + field

test('the unchanged page made by hand opens', () => {
  expect(codeOf(sealedClear(() => {}))).toBe('opened')
})

test.each<[string, (view: DataView) => void]>([
  ['another magic', (it) => it.setUint32(0, 1, true)],
  ['another version', (it) => it.setUint32(4, 2, true)],
  ['another page number', (it) => it.setUint32(8, 1, true)],
  ['another first piece', (it) => it.setUint32(12, 1, true)],
  ['too few entries', (it) => it.setUint32(16, 2, true)],
  ['too many entries', (it) => it.setUint32(16, 0xffff_ffff, true)],
  ['reserved bytes in the header', (it) => it.setUint32(28, 1, true)],
  ['an unknown kind', (it) => it.setUint8(at(0, 0), 3)],
  ['reserved bytes in an entry', (it) => it.setUint8(at(0, 3), 1)],
  ['a zero piece with bytes', (it) => it.setUint32(at(1, 4), 1, true)],
  ['a data piece without bytes', (it) => it.setUint32(at(2, 4), 0, true)],
  ['a piece above the limit', (it) => it.setUint32(at(0, 4), 0x0010_1001, true)],
  ['a gap', (it) => it.setBigUint64(at(1, 8), 901n, true)],
  ['an overlap', (it) => it.setBigUint64(at(1, 8), 899n, true)],
  ['an offset of 2^53', (it) => it.setBigUint64(at(0, 8), 2n ** 53n, true)],
  ['an offset of 2^64-1', (it) => it.setBigUint64(at(0, 8), 2n ** 64n - 1n, true)],
  ['an end outside the blob', (it) => it.setUint32(at(2, 4), 4101, true)],
])('a signed page with %s is refused', (_, change) => {
  expect(codeOf(sealedClear(change))).toBe('EB-INDEX')
})

test('pages cover all pieces and stay below 64 KiB', () => {
  for (const pieces of [
    1,
    entriesPerPage - 1,
    entriesPerPage,
    entriesPerPage + 1,
    10 * entriesPerPage,
    2 ** 27 + 1,
  ]) {
    const pages = pageCount(pieces)
    const last = pageRange(pieces, pages - 1)
    expect((pages - 1) * entriesPerPage + pageEntries(pieces, pages - 1)).toBe(pieces)
    expect(last.offset + last.bytes).toBe(indexBytes(pieces))
    expect(pageRange(pieces, 0).bytes).toBeLessThanOrEqual(65_536)
    expect(last.bytes).toBeGreaterThan(pageHeaderBytes)
  }
})

test('any entries in sequence are read back as they were written', () => {
  const kinds = fc.constantFrom('zero' as const, 'zstd' as const, 'stored' as const)
  const list = fc.array(fc.tuple(kinds, fc.integer({ min: 1, max: 70_000 })), { minLength: 1, maxLength: 50 })
  fc.assert(
    fc.property(list, fc.constantFrom('aes-256-gcm' as const, 'aes-256-cbc' as const), (sizes, suite) => {
      let offset = 0
      const made = sizes.map(([kind, size]): IndexEntry => {
        const sealedBytes = kind === 'zero' ? 0 : size
        offset += sealedBytes
        const start = offset - sealedBytes
        return { kind, offset: start, sealedBytes, rawSha256: digest(`${start}`), sealedSha256: digest(kind) }
      })
      const own = { ...context, suite, pieces: made.length, blobBytes: offset }
      const page = sealPage(0, made, own)
      expect(openPage(page, 0, sha(page), own)).toEqual({
        ok: true,
        value: { page: 0, firstPiece: 0, entries: made },
      })
    }),
  )
})
