/**
 * A medium in memory, and requests to a disk over it, for tests.
 */
import type { NbdRequest } from '../../../bootloader-sim/qemu/nbd-session.ts'
import type { Medium } from '../../../bootloader-sim/qemu/volatile-cache.ts'

export interface MemoryMedium extends Medium {
  readonly bytes: Uint8Array
}

export function memoryMedium(sizeBytes: number): MemoryMedium {
  const bytes = new Uint8Array(sizeBytes)
  return {
    sizeBytes,
    bytes,
    async read(offset, into) {
      into.set(bytes.subarray(offset, offset + into.length))
    },
    async write(offset, from) {
      bytes.set(from, offset)
    },
    async zero(offset, length) {
      bytes.fill(0, offset, offset + length)
    },
  }
}

/** @param byte of a write, all of it */
export function request(
  kind: NbdRequest['kind'],
  offset = 0,
  length = 0,
  { byte = 0, fua = false }: { byte?: number; fua?: boolean } = {},
): NbdRequest {
  const bytes = kind === 'write' ? new Uint8Array(length).fill(byte) : null
  return { kind, cookie: 1n, offset, length, bytes, fua }
}
