/** Entries of a list made from bytes, pieces checked against them, and what HTTP calls a sound. */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { contentTypeOf } from '../../audio/content-type.ts'
import { checkPiece, listEntry } from '../../audio/list-entry.ts'
import { clipLimits } from '../../core/clip-limits.ts'
import { clipFormats, decodeClipList, pieceCount } from '../../core/wire/skills.ts'
import { known } from './samples.ts'

const audio = known['small.wav'] as NonNullable<(typeof known)['small.wav']>
const piece = clipLimits.pieceBytes
const bytes = Buffer.alloc(2 * piece + 100, Buffer.from(Array.from({ length: 251 }, (_, it) => it)))
const entry = listEntry('hello', bytes, audio, { language: 'en-GB', ttlSeconds: 0, pinned: true })

describe('an entry', () => {
  it('is one that a list may have, with everything that was said', () => {
    const list = new TextEncoder().encode(JSON.stringify({ v: 1, clips: [entry] }))
    expect(decodeClipList(list)).toEqual({ ok: true, value: { v: 1, clips: [entry] } })
    expect(entry).toMatchObject({
      id: 'hello',
      sha256: createHash('sha256').update(bytes).digest('hex'),
      bytes: bytes.length,
      audio,
      language: 'en-GB',
      ttlSeconds: 0,
      pinned: true,
    })
  })

  it('says nothing that was not said', () => {
    const plain = listEntry('hello', bytes, audio, { language: null })
    expect(Object.keys(plain)).toEqual(['id', 'sha256', 'bytes', 'pieces', 'audio', 'language'])
  })

  it.each([1, piece - 1, piece, piece + 1, 2 * piece])('has all pieces of %i bytes', (length) => {
    const made = listEntry('x', bytes.subarray(0, length), audio, { language: null })
    expect(Buffer.from(made.pieces, 'base64')).toHaveLength(32 * pieceCount(length))
    for (let index = 0; index < pieceCount(length); index += 1) {
      const part = bytes.subarray(index * piece, Math.min(length, (index + 1) * piece))
      expect(checkPiece(made, index, part)).toBe(true)
    }
  })
})

describe('a piece', () => {
  const parts = [bytes.subarray(0, piece), bytes.subarray(piece, 2 * piece), bytes.subarray(2 * piece)]

  it('is right at its place only', () => {
    for (const [index, part] of parts.entries()) {
      for (const at of [-1, 0, 1, 2, 3, 0.5, Number.NaN])
        expect(checkPiece(entry, at, part)).toBe(at === index)
    }
  })

  it('is wrong when a bit of it is, or when it is longer or shorter', () => {
    fc.assert(
      fc.property(fc.nat(2), fc.nat(), fc.nat(7), (index, at, bit) => {
        const part = Buffer.from(parts[index] ?? [])
        expect(checkPiece(entry, index, part.subarray(0, -1))).toBe(false)
        expect(checkPiece(entry, index, Buffer.concat([part, Buffer.alloc(1)]))).toBe(false)
        part.writeUInt8(part.readUInt8(at % part.length) ^ (1 << bit), at % part.length)
        expect(checkPiece(entry, index, part)).toBe(false)
      }),
      { numRuns: 50 },
    )
  })

  it('is wrong when the entry has no hash for it', () => {
    expect(checkPiece({ ...entry, pieces: entry.pieces.slice(0, 40) }, 2, parts[2] ?? bytes)).toBe(false)
  })
})

it('every form of sound has a content type', () => {
  expect(clipFormats.map(contentTypeOf)).toEqual(['audio/mpeg', 'audio/wav', 'audio/ogg', 'audio/flac'])
})
