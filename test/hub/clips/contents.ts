/**
 * Contents for tests: bytes with their hash, bodies made of them, and what a store gives of them.
 */
import { createHash } from 'node:crypto'
import { EverbootError } from '../../../core/errors.ts'
import type { Digest } from '../../../core/units.ts'
import type { ContentStore } from '../../../hub/clips/content-store.ts'

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

/** @returns the code and text of the failure, or what there was instead */
export async function failureOf(work: Promise<unknown>): Promise<string> {
  try {
    return `no failure: ${JSON.stringify(await work)}`
  } catch (caught) {
    return caught instanceof EverbootError ? caught.message : String(caught)
  }
}

export async function bytesFrom(
  store: ContentStore,
  content: TestContent,
  start = 0,
  end = content.bytes.length,
): Promise<Buffer | null> {
  const stream = await store.open(content.sha256, content.bytes.length, start, end)
  if (stream === null) return null
  const parts: Uint8Array[] = []
  for (let part = await stream.read(); part !== null; part = await stream.read()) parts.push(part)
  await stream.close()
  return Buffer.concat(parts)
}
