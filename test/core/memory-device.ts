/**
 * A block device in memory with a volatile cache, for tests.
 * Promise: what is not flushed is lost or torn at a crash as the test chooses; after a planned cut it never
 * answers again; every operation is counted, so a test can cut at each of them.
 * Leaves to others: who plans the cuts.
 */
import type { BlockDevice } from '../../core/ports.ts'

export interface MemoryDevice extends BlockDevice {
  /** What is on the medium. Change it to plant damage. */
  readonly medium: Uint8Array
  /** Operations so far. */
  operations(): number
  /** Everything from operation number `operation` (0 = the next) on never answers; `fired` tells whether it came to that. */
  cutAt(operation: number): void
  fired(): boolean
  /** The device after power returns: `keep(index, sectors)` says how many sectors of each unflushed write survive. */
  afterCrash(keep: (index: number, sectors: number) => number): MemoryDevice
  /** Unflushed writes. */
  pending(): number
  /** From now on reads, or writes, fail as `fail` says: it throws what the adapter would throw. */
  fail(what: 'read' | 'write', check: ((offset: number) => void) | null): void
}

const never = <T>(): Promise<T> => new Promise<T>(() => {})

export function memoryDevice(sizeBytes: number, sectorBytes = 512, from?: Uint8Array): MemoryDevice {
  const medium = new Uint8Array(sizeBytes)
  if (from !== undefined) medium.set(from)
  const cached = medium.slice()
  const writes: { readonly offset: number; readonly bytes: Uint8Array }[] = []
  const failing: { read: ((offset: number) => void) | null; write: ((offset: number) => void) | null } = {
    read: null,
    write: null,
  }
  let operations = 0
  let cut = Number.POSITIVE_INFINITY
  let fired = false

  /** True when power is gone. */
  const dead = (): boolean => {
    operations += 1
    if (operations > cut) fired = true
    return fired
  }
  return {
    medium,
    sizeBytes,
    sectorBytes,
    allocate: (bytes) => new Uint8Array(bytes),
    async read(offset, into) {
      if (dead()) return never()
      failing.read?.(offset)
      into.set(cached.subarray(offset, offset + into.length))
      return into.length
    },
    async write(offset, bytes) {
      if (dead()) {
        // A cut inside the write: it may have reached the cache of the device.
        writes.push({ offset, bytes: bytes.slice() })
        return never()
      }
      failing.write?.(offset)
      cached.set(bytes, offset)
      writes.push({ offset, bytes: bytes.slice() })
      return bytes.length
    },
    async flush() {
      if (dead()) return never()
      for (const it of writes) medium.set(it.bytes, it.offset)
      writes.length = 0
    },
    async close() {},
    operations: () => operations,
    cutAt(operation) {
      cut = operations + operation
    },
    fired: () => fired,
    afterCrash(keep) {
      const left = medium.slice()
      writes.forEach((it, index) => {
        const sectors = it.bytes.length / sectorBytes
        const kept = Math.min(sectors, keep(index, sectors))
        left.set(it.bytes.subarray(0, kept * sectorBytes), it.offset)
      })
      return memoryDevice(sizeBytes, sectorBytes, left)
    },
    pending: () => writes.length,
    fail(what, check) {
      failing[what] = check
    },
  }
}
