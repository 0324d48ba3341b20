/**
 * Bytes to read from anywhere and to append, as ports: a release file, an image, a part of either.
 * Promise: sizes are whole bytes up to 2^53-1; nothing here holds more than the caller's buffer.
 * Leaves to others: files and devices (adapters/file-bytes.ts, device/, hub/).
 */
import { createHash } from 'node:crypto'
import { assert } from '../../core/assert.ts'
import { raise } from '../../core/errors.ts'
import { type Digest, MiB } from '../../core/units.ts'

/** Random access for reading. */
export interface ByteSource {
  /** Names it in faults: a path, `blob rootfs of …`. */
  readonly name: string
  readonly bytes: number
  /** @returns how many bytes were read: fewer than `into` holds at the end, or now and then; 0 only at the end. */
  read(offset: number, into: Uint8Array): Promise<number>
}

/** Takes bytes in order. The buffer may be used again once `write` has resolved. */
export interface ByteSink {
  write(bytes: Uint8Array): Promise<void>
}

/** Bytes in memory. */
export function memorySource(bytes: Uint8Array, name: string): ByteSource {
  return {
    name,
    bytes: bytes.length,
    async read(offset, into) {
      const part = bytes.subarray(offset, offset + into.length)
      into.set(part)
      return part.length
    },
  }
}

/** A part of another source. */
export function windowOf(source: ByteSource, name: string, start: number, bytes: number): ByteSource {
  assert(start >= 0 && bytes >= 0 && start + bytes <= source.bytes, `${name} lies outside ${source.name}`)
  return {
    name,
    bytes,
    async read(offset, into) {
      const room = Math.max(0, Math.min(into.length, bytes - offset))
      return room === 0 ? 0 : source.read(start + offset, into.subarray(0, room))
    },
  }
}

/** The same bytes, read in steps of 1 MiB: for a taker that reads little by little, in order. */
export function inSteps(source: ByteSource): ByteSource {
  const room = new Uint8Array(Math.min(MiB, Math.max(1, source.bytes)))
  let start = 0
  let filled = 0
  return {
    name: source.name,
    bytes: source.bytes,
    async read(offset, into) {
      if (offset < start || offset >= start + filled) {
        start = offset
        filled = await source.read(offset, room)
      }
      const part = room.subarray(offset - start, Math.min(filled, offset - start + into.length))
      into.set(part)
      return part.length
    },
  }
}

/** Fills `into`. @throws EverbootError `code` when the source ends before. */
export async function readExactly(
  source: ByteSource,
  offset: number,
  into: Uint8Array,
  code: 'EB-CONTAINER' | 'EB-BLOB' | 'EB-INDEX' | 'EB-IMAGE' | 'EB-FIRST-BOOT',
): Promise<void> {
  let filled = 0
  while (filled < into.length) {
    const count = await source.read(offset + filled, into.subarray(filled))
    if (count === 0) {
      raise(code, `${source.name} ends at byte ${offset + filled}, not before ${offset + into.length}`)
    }
    filled += count
  }
}

/** All bytes of a source in order, in steps of at most 1 MiB; `step` must be done with its buffer when it resolves. */
export async function eachStep(
  source: ByteSource,
  code: 'EB-CONTAINER' | 'EB-BLOB' | 'EB-INDEX' | 'EB-IMAGE',
  step: (bytes: Uint8Array, offset: number) => void | Promise<void>,
): Promise<void> {
  const buffer = new Uint8Array(Math.min(MiB, Math.max(source.bytes, 1)))
  for (let offset = 0; offset < source.bytes; offset += buffer.length) {
    const part = buffer.subarray(0, Math.min(buffer.length, source.bytes - offset))
    await readExactly(source, offset, part, code)
    await step(part, offset)
  }
}

/** SHA-256 of a whole source. */
export async function sha256Of(
  source: ByteSource,
  code: 'EB-BLOB' | 'EB-INDEX',
  done: (bytes: number) => void = () => {},
): Promise<Digest> {
  const hash = createHash('sha256')
  await eachStep(source, code, (bytes, offset) => {
    hash.update(bytes)
    done(offset + bytes.length)
  })
  return hash.digest('hex') as Digest
}
