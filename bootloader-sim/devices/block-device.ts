/**
 * A block device in memory with a volatile cache, stricter than a real one: use that is misaligned, out of
 * range or after `close` is a broken invariant.
 * Promise: a reader sees what was written; the medium has it only after a flush; a crash gives each unflushed
 * write its own fate. Pages are never changed in place, so an image of the whole costs one list.
 * Leaves to others: when the power goes (power.ts), which fates (fate.ts).
 */
import { assert } from '../../core/assert.ts'
import type { BlockDevice } from '../../core/ports.ts'
import { type Fate, type Pending, partAround, survivingPart } from './fate.ts'
import type { Power } from './power.ts'

/** null: zeros. */
export type Page = Uint8Array | null

/** Everything that a crash leaves to fate. */
export interface DiskImage {
  readonly medium: readonly Page[]
  readonly unflushed: readonly Unflushed[]
  /** Its sectors are not atomic: each write tears so many bytes after its begin. Absent: at sector edges only. */
  readonly tearsAt?: number
}

interface Unflushed {
  readonly offset: number
  readonly bytes: Uint8Array
}

export interface SimDisk extends BlockDevice {
  readonly name: string
  /** What `open` hands out: closed on its own, asserts that it is not used afterwards. */
  handle(): BlockDevice
  /** A copy of what is on the medium, or of a part of it. */
  medium(offset?: number, bytes?: number): Uint8Array
  /** The pages on the medium; they are never changed in place. */
  pages(): readonly Page[]
  pending(): readonly Pending[]
  image(): DiskImage
  restore(image: DiskImage): void
  /** Power came back: only the medium counts, with what fate left of unflushed writes, in their order. */
  crash(fates: readonly Fate[]): void
  /** Changes one bit on the medium; what is not flushed stays as it is. */
  rot(offset: number): void
  /** Puts bytes on the medium past every check. */
  plant(offset: number, bytes: Uint8Array): void
  /** Bytes of all writes so far. */
  written(): number
  /** Another number whenever the medium may have changed. */
  version(): number
  /** From now on a write may be torn inside a sector, so many bytes after its begin; null: never. */
  tearAt(bytes: number | null): void
  readonly faults: DiskFaults
  /** Told of each write that takes effect. */
  onWrite: (offset: number, bytes: Uint8Array) => void
}

/** What may go wrong. Each may throw what an adapter would throw. */
export interface DiskFaults {
  /** Bytes that are really read: fewer than asked is a short read. */
  read: (offset: number, bytes: number) => number | undefined
  /** Where the write really goes: another offset (misdirected), `lost` (acknowledged and gone), or as asked. */
  write: (offset: number, bytes: number) => number | 'lost' | undefined
  /** Throwing loses what was not flushed although readers go on seeing it, as Linux does after a failed fsync. */
  flush: () => void
}

const pageBytes = 4096

/** @param allocate zeroed memory; by default new */
export function simDisk(
  name: string,
  sizeBytes: number,
  sectorBytes: number,
  power: Power,
  allocate: (bytes: number) => Uint8Array = (bytes) => new Uint8Array(bytes),
): SimDisk {
  assert(sizeBytes % pageBytes === 0, `${name}: ${sizeBytes} bytes are not whole pages`)
  let medium: Page[] = new Array<Page>(sizeBytes / pageBytes).fill(null)
  let view: Page[] = medium.slice()
  let unflushed: Unflushed[] = []
  let written = 0
  let version = 0
  let tearsAt: number | null = null
  const check = (offset: number, bytes: number): void => {
    const aligned = offset % sectorBytes === 0 && bytes % sectorBytes === 0
    assert(aligned, `${name}: ${offset}+${bytes} is not aligned to ${sectorBytes}`)
    assert(
      offset >= 0 && offset + bytes <= sizeBytes,
      `${name}: ${offset}+${bytes} lies outside ${sizeBytes}`,
    )
  }
  const take = (offset: number, bytes: Uint8Array): void => {
    const to = it.faults.write(offset, bytes.length)
    written += bytes.length
    if (to === 'lost') return
    const copy = new Uint8Array(bytes)
    const at = to ?? offset
    put(view, at, copy)
    unflushed.push({ offset: at, bytes: copy })
    it.onWrite(at, copy)
  }
  const flush = (): void => {
    try {
      it.faults.flush()
    } catch (caught) {
      unflushed = []
      throw caught
    }
    for (const { offset, bytes } of unflushed) put(medium, offset, bytes)
    if (unflushed.length > 0) version += 1
    unflushed = []
  }
  const it: SimDisk = {
    name,
    sizeBytes,
    sectorBytes,
    faults: { read: () => undefined, write: () => undefined, flush: () => {} },
    onWrite: () => {},
    allocate,
    async read(offset, into) {
      check(offset, into.length)
      const really = it.faults.read(offset, into.length) ?? into.length
      copyOut(view, offset, into.subarray(0, really))
      return really
    },
    async write(offset, bytes) {
      check(offset, bytes.length)
      await power.step(`${name} write ${offset}+${bytes.length}`, () => take(offset, bytes))
      return bytes.length
    },
    flush: () => power.step(`${name} flush`, flush),
    close: async () => {},
    handle: () => handleOf(it),
    medium(offset = 0, bytes = sizeBytes - offset) {
      const copy = new Uint8Array(bytes)
      copyOut(medium, offset, copy)
      return copy
    },
    pages: () => medium,
    pending: () =>
      unflushed.map(({ offset, bytes }) => ({
        what: `${name} ${offset}+${bytes.length}`,
        tearable: tearsAt !== null || bytes.length > sectorBytes,
      })),
    image: () => ({
      medium: medium.slice(),
      unflushed: unflushed.slice(),
      ...(tearsAt === null ? {} : { tearsAt }),
    }),
    restore(image) {
      version += 1
      medium = image.medium.slice()
      unflushed = image.unflushed.slice()
      view = medium.slice()
      for (const { offset, bytes } of unflushed) put(view, offset, bytes)
    },
    crash(fates) {
      if (unflushed.length > 0) {
        version += 1
        medium = [...crashedDisk(it.image(), fates, sectorBytes).medium]
      }
      unflushed = []
      view = medium.slice()
    },
    rot(offset) {
      const byte = it.medium(offset, 1)
      it.plant(offset, Uint8Array.of((byte[0] ?? 0) ^ 0x10))
    },
    plant(offset, bytes) {
      version += 1
      put(medium, offset, new Uint8Array(bytes))
      view = medium.slice()
      for (const one of unflushed) put(view, one.offset, one.bytes)
    },
    written: () => written,
    version: () => version,
    tearAt(bytes) {
      tearsAt = bytes
    },
  }
  return it
}

/** What a crash leaves of a disk: the medium, and of unflushed writes what their fates say, in their order. */
export function crashedDisk(image: DiskImage, fates: readonly Fate[], sectorBytes: number): DiskImage {
  const medium = image.medium.slice()
  image.unflushed.forEach(({ offset, bytes }, index) => {
    const fate = fates[index] ?? 'lost'
    const { from, endExclusive } =
      image.tearsAt === undefined
        ? survivingPart(fate, offset, bytes.length, sectorBytes)
        : partAround(image.tearsAt, fate, bytes.length)
    put(medium, offset + from, bytes.subarray(from, endExclusive))
  })
  return { ...image, medium, unflushed: [] }
}

/** A device as one opener has it. */
function handleOf(disk: SimDisk): BlockDevice {
  let open = true
  const alive = (): void => assert(open, `${disk.name} is used after it was closed`)
  return {
    sizeBytes: disk.sizeBytes,
    sectorBytes: disk.sectorBytes,
    allocate: disk.allocate,
    read(offset, into) {
      alive()
      return disk.read(offset, into)
    },
    write(offset, bytes) {
      alive()
      return disk.write(offset, bytes)
    },
    flush() {
      alive()
      return disk.flush()
    },
    async close() {
      open = false
    },
  }
}

/** Replaces the pages of a range; `bytes` may be kept as pages and must not change any more. */
function put(pages: Page[], offset: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    const number = Math.floor((offset + at) / pageBytes)
    const from = (offset + at) % pageBytes
    const part = Math.min(bytes.length - at, pageBytes - from)
    if (part === pageBytes) pages[number] = bytes.subarray(at, at + part)
    else {
      const before = pages[number]
      const page = before == null ? new Uint8Array(pageBytes) : new Uint8Array(before)
      page.set(bytes.subarray(at, at + part), from)
      pages[number] = page
    }
    at += part
  }
}

function copyOut(pages: readonly Page[], offset: number, into: Uint8Array): void {
  for (let at = 0; at < into.length; ) {
    const from = (offset + at) % pageBytes
    const part = Math.min(into.length - at, pageBytes - from)
    const page = pages[Math.floor((offset + at) / pageBytes)]
    if (page == null) into.fill(0, at, at + part)
    else into.set(part === pageBytes ? page : page.subarray(from, from + part), at)
    at += part
  }
}
