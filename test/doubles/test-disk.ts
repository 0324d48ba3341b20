/**
 * A block device in memory with a volatile cache.
 * Promise: a reader sees what was written; the medium has it only after a flush; a crash loses, keeps or
 * tears what was not flushed, sector by sector.
 * Leaves to others: when the power goes (power.ts).
 */
import type { BlockDevice, Random } from '../../core/ports.ts'
import type { Leftover, Power } from './power.ts'

export interface TestDisk extends BlockDevice {
  /** What is on the medium. */
  readonly medium: Uint8Array
  /** Power came back: only the medium counts, with what is left of unflushed writes. */
  crash(leftover: Leftover, random: Random): void
  /** Changes one bit on the medium. */
  rot(offset: number): void
  /** Bytes of all writes so far. */
  written(): number
  /** Checks that may throw what the adapter would throw, for each operation. */
  readonly faults: DiskFaults
}

export interface DiskFaults {
  read: (offset: number) => void
  write: (offset: number) => void
  flush: () => void
}

export function testDisk(name: string, sizeBytes: number, sectorBytes: number, power: Power): TestDisk {
  const medium = new Uint8Array(sizeBytes)
  const seen = new Uint8Array(sizeBytes)
  let unflushed: { readonly offset: number; readonly bytes: Uint8Array }[] = []
  let written = 0
  const faults: DiskFaults = { read: () => {}, write: () => {}, flush: () => {} }
  return {
    medium,
    sizeBytes,
    sectorBytes,
    faults,
    allocate: (bytes) => new Uint8Array(bytes),
    async read(offset, into) {
      faults.read(offset)
      into.set(seen.subarray(offset, offset + into.length))
      return into.length
    },
    write(offset, bytes) {
      return power.step(`${name} write ${offset}+${bytes.length}`, () => {
        faults.write(offset)
        seen.set(bytes, offset)
        unflushed.push({ offset, bytes: bytes.slice() })
        written += bytes.length
        return bytes.length
      })
    },
    flush() {
      return power.step(`${name} flush`, () => {
        faults.flush()
        for (const it of unflushed) medium.set(it.bytes, it.offset)
        unflushed = []
      })
    },
    close: async () => {},
    crash(leftover, random) {
      for (const it of unflushed) {
        const sectors = it.bytes.length / sectorBytes
        for (let sector = 0; sector < sectors; sector += 1) {
          if (leftover === 'lost' || (leftover === 'torn' && random.below(2) === 0)) continue
          const at = sector * sectorBytes
          medium.set(it.bytes.subarray(at, at + sectorBytes), it.offset + at)
        }
      }
      unflushed = []
      seen.set(medium)
    },
    rot(offset) {
      medium[offset] = (medium[offset] ?? 0) ^ 0x10
      seen[offset] = (seen[offset] ?? 0) ^ 0x10
    },
    written: () => written,
  }
}
