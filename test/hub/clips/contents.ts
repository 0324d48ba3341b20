/**
 * Contents for tests: bytes with their hash, and bodies made of them.
 */
import { createHash } from 'node:crypto'
import type { Digest } from '../../../core/units.ts'

export interface TestContent {
  readonly sha256: Digest
  readonly bytes: Buffer
}

export function contentOf(bytes: Buffer): TestContent {
  return { sha256: createHash('sha256').update(bytes).digest('hex') as Digest, bytes }
}

export async function* only(...parts: Uint8Array[]): AsyncGenerator<Uint8Array, void, void> {
  yield* parts
}
