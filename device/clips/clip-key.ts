/**
 * The key of the clip cache: 32 random bytes, kept wrapped (RFC 3394) under a key that comes from the device's own
 * wrapping key, which lies elsewhere.
 * Promise: without the device's key the file says nothing; a file that does not open is told from one that is not there.
 * Leaves to others: what becomes of a cache whose key is lost (clip-store.ts).
 */
import { createHmac, hkdfSync } from 'node:crypto'
import type { Entropy, FileStore } from '../../core/ports.ts'
import { unwrapKey, wrapKey } from '../../keys/key-wrap.ts'

export const keyFile = 'key'
export const nextKeyFile = 'key.new'
const form = Buffer.from('EBK1')

/** @param wrappingKey the device's, 32 bytes. @returns the key, or why there is none */
export async function openClipKey(
  files: FileStore,
  wrappingKey: Uint8Array,
): Promise<{ readonly key: Uint8Array } | { readonly lost: 'missing' | 'unreadable' }> {
  const bytes = await files.read(keyFile)
  if (bytes === null) return { lost: 'missing' }
  const file = Buffer.from(bytes)
  if (!file.subarray(0, form.length).equals(form)) return { lost: 'unreadable' }
  const key = unwrapKey(outerKey(wrappingKey), file.subarray(form.length))
  return key.ok ? { key: key.value } : { lost: 'unreadable' }
}

/** Makes a key and keeps it durably. */
export async function makeClipKey(
  files: FileStore,
  wrappingKey: Uint8Array,
  entropy: Entropy,
): Promise<Uint8Array> {
  const key = entropy.bytes(32)
  await files.write(nextKeyFile, Buffer.concat([form, wrapKey(outerKey(wrappingKey), key)]))
  await files.syncFile(nextKeyFile)
  await files.rename(nextKeyFile, keyFile)
  await files.syncDir()
  return key
}

/** The keys for what lies in the cache, one for each use. */
export interface CacheKeys {
  readonly contents: Uint8Array
  readonly index: Uint8Array
  readonly lists: Uint8Array
  /** Name of the file of something, which says nothing about it to others. */
  nameOf(kind: 'c' | 's', what: Uint8Array): string
}

export function cacheKeys(key: Uint8Array): CacheKeys {
  const derived = (use: string): Uint8Array =>
    new Uint8Array(hkdfSync('sha256', key, noSalt, `everboot clips ${use}`, 32))
  const names = derived('names')
  return {
    contents: derived('contents'),
    index: derived('index'),
    lists: derived('lists'),
    nameOf: (kind, what) =>
      kind + createHmac('sha256', names).update(kind).update(what).digest('hex').slice(0, 32),
  }
}

const noSalt = new Uint8Array(0)

function outerKey(wrappingKey: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', wrappingKey, noSalt, 'everboot clips key', 32))
}
