/**
 * Checks that were made before with the very same inputs: a sweep verifies the same seals and opens the same
 * pieces tens of thousands of times.
 * Promise: only pure verification is remembered, by all its inputs or their SHA-256; never a decision.
 */
import { createHash } from 'node:crypto'
import { present } from '../core/assert.ts'
import type { Fault } from '../core/errors.ts'
import type { PieceCodec, PieceTask } from '../core/ports.ts'
import { ok, type Result } from '../core/result.ts'
import type { Verify } from '../keys/public-key.ts'

/** More different inputs than any sweep has; beyond it nothing more is remembered. */
const rememberedMax = 65_536

/** A public key has 32 bytes and a signature 64, so that inputs cannot be confused. */
export function rememberingVerify(verify: Verify): Verify {
  const known = new Map<string, boolean>()
  return (publicKey, message, signature) => {
    const key = createHash('sha256').update(publicKey).update(signature).update(message).digest('base64')
    const found = known.get(key)
    if (found !== undefined) return found
    const holds = verify(publicKey, message, signature)
    if (known.size < rememberedMax) known.set(key, holds)
    return holds
  }
}

/** A piece that was opened: all that went in, and what came out. */
interface Opened {
  readonly inputs: readonly Uint8Array[]
  readonly raw: Uint8Array
}

function bytesOf({ key, aad, sealedSha256, rawSha256, sealed }: PieceTask): readonly Uint8Array[] {
  return [key, aad, sealedSha256, rawSha256, sealed]
}

function isOf({ inputs }: Opened, task: PieceTask): boolean {
  const given = bytesOf(task)
  return inputs.every((it, index) => Buffer.compare(it, present(given[index], 'input')) === 0)
}

/** @param open opens a piece at once, so that an answer takes the same turns whether it is remembered or not */
export function rememberingCodec(open: (task: PieceTask) => Result<Uint8Array, Fault>): PieceCodec {
  const known = new Map<string, Opened>()
  return {
    async open(task) {
      const { suite, compression, pieceIndex, rawBytes, sealedSha256 } = task
      const name = `${suite} ${compression} ${pieceIndex} ${rawBytes} ${Buffer.from(sealedSha256).toString('latin1')}`
      const found = known.get(name)
      // The caller may give the buffer back to the system, so each gets its own.
      if (found !== undefined && isOf(found, task)) return ok(new Uint8Array(found.raw))
      const opened = open(task)
      if (opened.ok && known.size < rememberedMax) {
        const inputs = bytesOf(task).map((it) => new Uint8Array(it))
        known.set(name, { inputs, raw: new Uint8Array(opened.value) })
      }
      return opened
    },
  }
}
