/**
 * Checks that were made before with the very same inputs: a sweep verifies the same seals and opens the same
 * pieces tens of thousands of times.
 * Promise: only pure verification is remembered, by the SHA-256 of all its inputs; never a decision.
 */
import { createHash } from 'node:crypto'
import type { Fault } from '../core/errors.ts'
import type { PieceCodec, PieceTask } from '../core/ports.ts'
import { ok, type Result } from '../core/result.ts'
import type { Verify } from '../keys/public-key.ts'

/** More different inputs than any sweep has; beyond it nothing more is remembered. */
const rememberedMax = 65_536

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

/** A public key has 32 bytes and a signature 64, so that inputs cannot be confused; a piece task needs its lengths. */
function taskKey(task: PieceTask): string {
  const { suite, compression, pieceIndex, rawBytes, key, aad, sealedSha256, rawSha256, sealed } = task
  const lengths = [key, aad, sealedSha256, rawSha256, sealed].map((it) => it.length).join(' ')
  return createHash('sha256')
    .update(`${suite} ${compression} ${pieceIndex} ${rawBytes} ${lengths}\n`)
    .update(key)
    .update(aad)
    .update(sealedSha256)
    .update(rawSha256)
    .update(sealed)
    .digest('base64')
}

/** @param open opens a piece at once, so that an answer takes the same turns whether it is remembered or not */
export function rememberingCodec(open: (task: PieceTask) => Result<Uint8Array, Fault>): PieceCodec {
  const known = new Map<string, Uint8Array>()
  return {
    async open(task) {
      const key = taskKey(task)
      const found = known.get(key)
      // The caller may give the buffer back to the system, so each gets its own.
      if (found !== undefined) return ok(new Uint8Array(found))
      const opened = open(task)
      if (opened.ok && known.size < rememberedMax) known.set(key, new Uint8Array(opened.value))
      return opened
    },
  }
}
