/**
 * A block device in memory with a volatile cache.
 * Promise: a reader sees what was written; the medium has it only after a flush; a crash loses, keeps or
 * tears what was not flushed, sector by sector.
 * Leaves to others: when the power goes (power.ts).
 */
import type { BlockDevice, Random } from '../../core/ports.ts'
import type { Leftover, Power } from './power.ts'

export interface TestDisk extends BlockDevice {
  /** A copy of what is on the medium, or of a part of it. */
  medium(offset?: number, bytes?: number): Uint8Array
  /** Power came back: only the medium counts, with what is left of unflushed writes. */
  crash(leftover: Leftover, random: Random): void
  /** Changes one bit on the medium; what is not flushed stays as it is. */
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

/** The medium is kept in chunks, so that an empty megabyte costs nothing. */
const chunkBytes = 64 * 1024

export function testDisk(name: string, sizeBytes: number, sectorBytes: number, power: Power): TestDisk {
  const chunks = new Map<number, Uint8Array>()
  let unflushed: Unflushed[] = []
  let written = 0
  const faults: DiskFaults = { read: () => {}, write: () => {}, flush: () => {} }
  const readMedium = (offset: number, into: Uint8Array): void => {
    eachChunk(offset, into.length, (number, from, at, bytes) => {
      const chunk = chunks.get(number)
      if (chunk === undefined) into.fill(0, at, at + bytes)
      else into.set(chunk.subarray(from, from + bytes), at)
    })
  }
  const writeMedium = (offset: number, part: Uint8Array): void => {
    eachChunk(offset, part.length, (number, from, at, bytes) => {
      const chunk = chunks.get(number) ?? new Uint8Array(chunkBytes)
      chunks.set(number, chunk)
      chunk.set(part.subarray(at, at + bytes), from)
    })
  }
  return {
    sizeBytes,
    sectorBytes,
    faults,
    medium(offset = 0, bytes = sizeBytes - offset) {
      const copy = new Uint8Array(bytes)
      readMedium(offset, copy)
      return copy
    },
    allocate: (bytes) => new Uint8Array(bytes),
    async read(offset, into) {
      faults.read(offset)
      readMedium(offset, into)
      for (const it of unflushed) overlay(into, offset, it)
      return into.length
    },
    write(offset, bytes) {
      return power.step(`${name} write ${offset}+${bytes.length}`, () => {
        faults.write(offset)
        unflushed.push({ offset, bytes: new Uint8Array(bytes) })
        written += bytes.length
        return bytes.length
      })
    },
    flush() {
      return power.step(`${name} flush`, () => {
        faults.flush()
        for (const it of unflushed) writeMedium(it.offset, it.bytes)
        unflushed = []
      })
    },
    close: async () => {},
    crash(leftover, random) {
      for (const { offset, bytes } of unflushed) {
        for (let at = 0; at < bytes.length; at += sectorBytes) {
          if (leftover === 'lost' || (leftover === 'torn' && random.below(2) === 0)) continue
          writeMedium(offset + at, bytes.subarray(at, at + sectorBytes))
        }
      }
      unflushed = []
    },
    rot(offset) {
      const byte = new Uint8Array(1)
      readMedium(offset, byte)
      writeMedium(
        offset,
        byte.map((it) => it ^ 0x10),
      )
    },
    written: () => written,
  }
}

/** Parts of a range by chunk: its number, where in it, where in the range, how many bytes. */
function eachChunk(
  offset: number,
  bytes: number,
  visit: (number: number, from: number, at: number, bytes: number) => void,
): void {
  for (let at = 0; at < bytes; ) {
    const from = (offset + at) % chunkBytes
    const part = Math.min(bytes - at, chunkBytes - from)
    visit(Math.floor((offset + at) / chunkBytes), from, at, part)
    at += part
  }
}

interface Unflushed {
  readonly offset: number
  readonly bytes: Uint8Array
}

/** Puts the part of a write that lies in the range into it. */
function overlay(into: Uint8Array, offset: number, { offset: at, bytes }: Unflushed): void {
  const start = Math.max(at, offset)
  const end = Math.min(at + bytes.length, offset + into.length)
  if (start < end) into.set(bytes.subarray(start - at, end - at), start - offset)
}
