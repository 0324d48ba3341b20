/**
 * Opening pieces: every field of the task broken in turn.
 */
import { createHash, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { PieceTask } from '../../../core/ports.ts'
import { inlineCodec } from '../../../device/adapters/codec.ts'
import type { Suite } from '../../../images/release/content-cipher.ts'
import { compressPiece, pieceAad, sealPiece } from '../../../images/release/piece.ts'

const suites: readonly Suite[] = ['chacha20-poly1305', 'aes-256-gcm', 'aes-256-cbc']
const sha256 = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest()

function task(suite: Suite, compression: 'none' | 'zstd'): { task: PieceTask; raw: Uint8Array } {
  const raw = Buffer.alloc(8192, 'a piece of a release ')
  const packed = compression === 'zstd' ? (compressPiece(raw, 3) ?? raw) : raw
  const key = randomBytes(32)
  const aad = pieceAad('demo-1', 'rootfs', 5, 9)
  const sealed = sealPiece(suite, key, 5, aad, packed, () => randomBytes(16))
  return {
    raw,
    task: {
      suite,
      compression,
      key,
      pieceIndex: 5,
      aad,
      sealed,
      sealedSha256: sha256(sealed),
      rawBytes: raw.length,
      rawSha256: sha256(raw),
    },
  }
}

const flip = (bytes: Uint8Array, at: number): Uint8Array =>
  new Uint8Array(bytes).map((byte, index) => (index === at ? byte ^ 1 : byte))

for (const suite of suites) {
  for (const compression of ['none', 'zstd'] as const) {
    describe(`a piece under ${suite}, ${compression}`, () => {
      const { task: right, raw } = task(suite, compression)
      const refused = async (change: Partial<PieceTask>, what: string): Promise<void> => {
        const opened = await inlineCodec.open({ ...right, ...change })
        expect(opened.ok, what).toBe(false)
        if (!opened.ok) expect(opened.error.code).toBe('EB-PIECE')
      }
      /** Another ciphertext under a hash that fits it, as a lying index would have it. */
      const vouched = (sealed: Uint8Array): Partial<PieceTask> => ({ sealed, sealedSha256: sha256(sealed) })

      it('opens as it is', async () => {
        const opened = await inlineCodec.open(right)
        expect(opened.ok && Buffer.compare(opened.value, raw)).toBe(0)
      })

      it('is refused with any byte of the ciphertext changed', async () => {
        for (let at = 0; at < right.sealed.length; at += Math.ceil(right.sealed.length / 100)) {
          await refused({ sealed: flip(right.sealed, at) }, `byte ${at}`)
        }
      })

      it('is refused with a ciphertext of another length, even when its hash fits', async () => {
        for (const length of [0, 1, 15, 16, 17, 31, 32, right.sealed.length - 16, right.sealed.length - 1]) {
          await refused(vouched(right.sealed.subarray(0, length)), `${length} bytes`)
        }
        await refused(vouched(Buffer.concat([right.sealed, Buffer.alloc(1)])), 'one byte more')
        await refused(vouched(Buffer.concat([right.sealed, Buffer.alloc(16)])), 'a block more')
      })

      it('is refused with a changed ciphertext under a hash that fits', async () => {
        for (const at of [0, 16, 40, right.sealed.length - 17, right.sealed.length - 1]) {
          await refused(vouched(flip(right.sealed, at)), `byte ${at}`)
        }
      })

      it('is refused with another hash of the ciphertext, or one of another length', async () => {
        await refused({ sealedSha256: flip(right.sealedSha256, 31) }, 'other hash')
        await refused({ sealedSha256: right.sealedSha256.subarray(1) }, 'short hash')
        await refused({ sealedSha256: new Uint8Array(0) }, 'empty hash')
      })

      it('is refused with another hash or length of the content', async () => {
        await refused({ rawSha256: flip(right.rawSha256, 0) }, 'other hash')
        await refused({ rawSha256: new Uint8Array(0) }, 'empty hash')
        for (const rawBytes of [0, 1, raw.length - 1, raw.length + 1])
          await refused({ rawBytes }, `${rawBytes} bytes`)
      })

      it('is refused under another key, suite or compression', async () => {
        await refused({ key: flip(right.key, 0) }, 'other key')
        for (const other of suites) if (other !== suite) await refused({ suite: other }, other)
        await refused({ compression: compression === 'zstd' ? 'none' : 'zstd' }, 'other compression')
      })

      // CBC has no associated data: there the signed hashes alone tie a piece to its place.
      if (suite === 'aes-256-cbc') return
      it('is refused in another place, release or blob', async () => {
        await refused({ pieceIndex: 6 }, 'other place')
        await refused({ aad: pieceAad('demo-1', 'rootfs', 6, 9) }, 'other place in the associated data')
        await refused({ aad: pieceAad('demo-2', 'rootfs', 5, 9) }, 'other release')
        await refused({ aad: new Uint8Array(0) }, 'no associated data')
      })
    })
  }
}

describe('a compression bomb', () => {
  it('is refused at the length it should have, without being expanded', async () => {
    const bomb = compressPiece(Buffer.alloc(64 * 1024 * 1024), 3) ?? new Uint8Array(0)
    const key = randomBytes(32)
    const aad = pieceAad('r', 'b', 0, 1)
    const sealed = sealPiece('aes-256-gcm', key, 0, aad, bomb, () => randomBytes(16))
    const before = process.memoryUsage().arrayBuffers
    const opened = await inlineCodec.open({
      suite: 'aes-256-gcm',
      compression: 'zstd',
      key,
      pieceIndex: 0,
      aad,
      sealed,
      sealedSha256: sha256(sealed),
      rawBytes: 4096,
      rawSha256: sha256(Buffer.alloc(4096)),
    })
    expect(opened.ok).toBe(false)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 1024 * 1024)
  })
})
