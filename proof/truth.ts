/**
 * What really lies on a simulated board, read past all code under test: which release each slot holds whole,
 * what record and stamp say on the medium.
 * Promise: a slot holds a release only when every byte of its images and trees and its seal are those that
 * the publisher made. Looked at again only after a medium has changed.
 * Leaves to others: what should lie there (checkers/).
 */
import type { Page, SimDisk } from '../bootloader-sim/devices/block-device.ts'
import { type BootRecord, bootPartition, chooseCopy, decodeRecord } from '../core/boot-record.ts'
import { type CommitStamp, decodeStamp } from '../core/commit-stamp.ts'
import { slotLimits } from '../core/limits.ts'
import type { SlotId } from '../core/units.ts'
import { sealOffset } from '../images/release/slot-layout.ts'
import { type Storage, slotContent } from './board-storage.ts'
import type { MadeRelease } from './publisher.ts'

export interface Truth {
  /** The release that the slot holds whole, on the medium; null: none. */
  slot(slot: SlotId): MadeRelease | null
  /** The record on the medium; null: both copies are bad. */
  record(): BootRecord | null
  /** Copies on the medium that are bad. */
  badCopies(): number
  stamp(): CommitStamp | null
  /** The higher floor of record and stamp. */
  floor(): number
}

const pageBytes = 4096

/** A part of a slot and what must lie there. */
interface Extent {
  readonly partition: string
  readonly offset: number
  readonly bytes: Uint8Array
}

/** @param releases all that a slot may hold */
export function truthOf(
  storage: Storage,
  partitions: readonly string[],
  releases: () => Iterable<MadeRelease>,
): Truth {
  const extents = new Map<MadeRelease, readonly Extent[]>()
  const extentsOf = (release: MadeRelease): readonly Extent[] => {
    const known = extents.get(release)
    if (known !== undefined) return known
    const made = contentOf(release, partitions, storage)
    extents.set(release, made)
    return made
  }
  const slots = { a: remembered<MadeRelease | null>(), b: remembered<MadeRelease | null>() }
  const boot = remembered<{ record: BootRecord | null; bad: number; stamp: CommitStamp | null }>()
  const readBoot = () =>
    boot([storage.boot], () => {
      const [first, second] = bootPartition.copyOffsets.map((offset) =>
        decodeRecord(storage.boot.medium(offset, slotLimits.recordCopyBytes)),
      )
      const copies = chooseCopy(first ?? null, second ?? null)
      return {
        record: copies.current === null ? null : copies.copies[copies.current],
        bad: copies.copies.filter((it) => it === null).length,
        stamp: decodeStamp(storage.boot.medium(bootPartition.stampOffset, slotLimits.stampBytes)),
      }
    })
  return {
    slot: (slot) =>
      slots[slot](
        partitions.map((name) => storage.partition(slot, name)),
        () => {
          for (const release of releases()) {
            const whole = extentsOf(release).every(({ partition, offset, bytes }) =>
              holds(storage.partition(slot, partition).pages(), offset, bytes),
            )
            if (whole) return release
          }
          return null
        },
      ),
    record: () => readBoot().record,
    badCopies: () => readBoot().bad,
    stamp: () => readBoot().stamp,
    floor: () => Math.max(readBoot().record?.floor ?? 0, readBoot().stamp?.floor ?? 0),
  }
}

/** The last answer, as long as none of the media has changed. */
function remembered<T>(): (disks: readonly SimDisk[], look: () => T) => T {
  let versions = ''
  let last: { readonly value: T } | null = null
  return (disks, look) => {
    const now = disks.map((it) => it.version()).join(' ')
    if (last === null || now !== versions) {
      last = { value: look() }
      versions = now
    }
    return last.value
  }
}

function contentOf(
  { manifest, images }: MadeRelease,
  partitions: readonly string[],
  storage: Storage,
): readonly Extent[] {
  const [first = 'rootfs'] = partitions
  const seal = new Uint8Array(slotLimits.sealAreaBytes)
  seal.set(Buffer.from(manifest.seal, 'base64'))
  const all: Extent[] = [
    { partition: first, offset: sealOffset(storage.partition('a', first).sizeBytes), bytes: seal },
  ]
  for (const [partition, image] of images) {
    for (const it of slotContent(image)) all.push({ partition, ...it })
  }
  return all
}

/** Whether pages hold these bytes; offsets are whole pages. */
function holds(pages: readonly Page[], offset: number, bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; at += pageBytes) {
    const want = bytes.subarray(at, at + pageBytes)
    const page = pages[(offset + at) / pageBytes]
    const same = page == null ? want.every((it) => it === 0) : Buffer.compare(page, want) === 0
    if (!same) return false
  }
  return true
}
