/**
 * The volatile write cache of a disk, over a medium that may be a sparse file of many gigabytes.
 * Promise: a reader sees what was written; the medium has it only after a flush, or at once when it is
 * written through; a crash gives each unflushed write its own fate (devices/fate.ts), in their order, as the
 * disks of the simulated world do. Beyond its limits the oldest writes reach the medium, and that is counted.
 * Leaves to others: taking turns (nbd-disk.ts): one call at a time.
 */
import { type Fate, type Pending, survivingPart, tearEdge } from '../devices/fate.ts'

/** What does not forget. Ranges lie inside it. */
export interface Medium {
  readonly sizeBytes: number
  read(offset: number, into: Uint8Array): Promise<void>
  write(offset: number, bytes: Uint8Array): Promise<void>
  zero(offset: number, length: number): Promise<void>
}

export interface CachedWrite {
  readonly offset: number
  readonly length: number
  /** null: zeros. */
  readonly bytes: Uint8Array | null
}

export interface CacheLimits {
  readonly bytesMax: number
  readonly writesMax: number
}

export interface VolatileCache {
  read(offset: number, into: Uint8Array): Promise<void>
  /** Keeps `bytes`; they must not change any more. */
  write(it: CachedWrite): Promise<void>
  /** The same, whatever the limits: for the last write before a crash. */
  hold(it: CachedWrite): void
  writeThrough(it: CachedWrite): Promise<void>
  flush(): Promise<void>
  /** What a crash leaves to fate. */
  pending(): readonly Pending[]
  /** The same writes themselves. */
  unflushed(): readonly CachedWrite[]
  crash(fates: readonly Fate[]): Promise<void>
  /** Writes that reached the medium because the cache was full. */
  spilled(): number
}

/** Unflushed writes are looked up by the regions that they touch. */
const regionBytes = 256 * 1024

/** @param name of the disk, for its pending writes; @param sectorBytes where writes tear */
export function volatileCache(
  name: string,
  medium: Medium,
  sectorBytes: number,
  limits: CacheLimits,
): VolatileCache {
  let unflushed: CachedWrite[] = []
  const regions = new Map<number, CachedWrite[]>()
  let held = 0
  let spilled = 0
  const index = (it: CachedWrite): void => {
    for (const region of regionsOf(it)) {
      const there = regions.get(region)
      if (there === undefined) regions.set(region, [it])
      else there.push(it)
    }
  }
  const hold = (it: CachedWrite): void => {
    unflushed.push(it)
    index(it)
    held += heldBytes(it)
  }
  const rebuild = (writes: readonly CachedWrite[]): void => {
    unflushed = []
    held = 0
    regions.clear()
    for (const it of writes) hold(it)
  }
  const spillOldest = async (): Promise<void> => {
    const oldest = unflushed[0]
    if (oldest === undefined) return
    await store(medium, oldest)
    unflushed.shift()
    for (const region of regionsOf(oldest)) {
      const there = regions.get(region)
      if (there?.length === 1) regions.delete(region)
      else there?.shift()
    }
    held -= heldBytes(oldest)
    spilled += 1
  }
  return {
    async read(offset, into) {
      await medium.read(offset, into)
      if (unflushed.length === 0) return
      const wanted = { offset, length: into.length }
      for (const region of regionsOf(wanted)) {
        for (const it of regions.get(region) ?? []) overlay(it, region, offset, into)
      }
    },
    hold,
    async write(it) {
      hold(it)
      while (held > limits.bytesMax || unflushed.length > limits.writesMax) await spillOldest()
    },
    async writeThrough(it) {
      // An older write that is still volatile must not come back over this one.
      if (regionsOf(it).some((region) => regions.has(region))) {
        rebuild(unflushed.flatMap((older) => without(older, it)))
      }
      await store(medium, it)
    },
    async flush() {
      for (const it of unflushed) await store(medium, it)
      rebuild([])
    },
    pending: () =>
      unflushed.map(({ offset, length }) => ({
        what: `${name} ${offset}+${length}`,
        tearable: tearEdge(offset, length, sectorBytes) !== null,
      })),
    unflushed: () => unflushed,
    async crash(fates) {
      const lost = unflushed
      rebuild([])
      await applyFates(medium, lost, fates, sectorBytes)
    },
    spilled: () => spilled,
  }
}

/** Carries out what fate leaves of unflushed writes, also on a copy of the medium: so one crash is tried in many ways. */
export async function applyFates(
  medium: Medium,
  unflushed: readonly CachedWrite[],
  fates: readonly Fate[],
  sectorBytes: number,
): Promise<void> {
  for (const [index, it] of unflushed.entries()) {
    const { from, endExclusive } = survivingPart(fates[index] ?? 'lost', it.offset, it.length, sectorBytes)
    if (endExclusive > from) await store(medium, part(it, from, endExclusive))
  }
}

function store(medium: Medium, it: CachedWrite): Promise<void> {
  return it.bytes === null ? medium.zero(it.offset, it.length) : medium.write(it.offset, it.bytes)
}

function heldBytes(it: CachedWrite): number {
  return it.bytes?.length ?? 0
}

function regionsOf({ offset, length }: { offset: number; length: number }): readonly number[] {
  const first = Math.floor(offset / regionBytes)
  const last = Math.floor((offset + length - 1) / regionBytes)
  return Array.from({ length: last - first + 1 }, (_, n) => first + n)
}

/** Puts what a write has in a region over what was read. */
function overlay(it: CachedWrite, region: number, offset: number, into: Uint8Array): void {
  const from = Math.max(it.offset, region * regionBytes, offset)
  const end = Math.min(it.offset + it.length, (region + 1) * regionBytes, offset + into.length)
  if (end <= from) return
  if (it.bytes === null) into.fill(0, from - offset, end - offset)
  else into.set(it.bytes.subarray(from - it.offset, end - it.offset), from - offset)
}

/** What of a write lies outside another, in memory of its own so that the rest is given back. */
function without(it: CachedWrite, over: CachedWrite): readonly CachedWrite[] {
  const end = it.offset + it.length
  const overEnd = over.offset + over.length
  if (overEnd <= it.offset || over.offset >= end) return [it]
  const front = over.offset > it.offset ? [part(it, 0, over.offset - it.offset)] : []
  const back = overEnd < end ? [part(it, overEnd - it.offset, it.length)] : []
  return [...front, ...back].map((rest) => ({ ...rest, bytes: rest.bytes?.slice() ?? null }))
}

function part(it: CachedWrite, from: number, endExclusive: number): CachedWrite {
  return {
    offset: it.offset + from,
    length: endExclusive - from,
    bytes: it.bytes?.subarray(from, endExclusive) ?? null,
  }
}
