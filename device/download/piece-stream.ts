/**
 * Cuts the body of one range into the sealed pieces that it holds.
 * Promise: one buffer, used again for each piece; a piece is handed out only when all its bytes are there.
 * Leaves to others: whether they are the right bytes.
 */
import { assert } from '../../core/assert.ts'
import { giveBack } from '../../core/give-back.ts'
import { ok, type Result } from '../../core/result.ts'
import type { RangeBody } from './range-fetch.ts'
import type { TransferFault } from './transfer-fault.ts'

export interface PieceStream {
  /** The next piece of `bytes` bytes; valid until the next call. */
  next(bytes: number): Promise<Result<Uint8Array, TransferFault>>
  /** Takes the end of the body, so that the connection can be used again. */
  end(): Promise<Result<void, TransferFault>>
}

/**
 * @param largest sealed piece
 * @param onBytes is told of each part that came, and may make the stream wait
 */
export function pieceStream(
  body: RangeBody,
  largest: number,
  onBytes: (bytes: number) => Promise<void>,
): PieceStream {
  const buffer = new Uint8Array(largest)
  let whole: Uint8Array = new Uint8Array(0)
  let part = whole
  return {
    async next(bytes) {
      let filled = 0
      while (filled < bytes) {
        if (part.length === 0) {
          const read = await body.read()
          if (!read.ok) return read
          assert(read.value !== null, 'the range holds all its pieces')
          giveBack(whole)
          whole = read.value
          part = whole
          await onBytes(part.length)
          continue
        }
        const take = Math.min(part.length, bytes - filled)
        buffer.set(take === part.length ? part : part.subarray(0, take), filled)
        part = part.subarray(take)
        filled += take
      }
      return ok(buffer.subarray(0, bytes))
    },
    async end() {
      const read = await body.read()
      return read.ok ? ok(undefined) : read
    },
  }
}
