/**
 * What really lies on a simulated board, read past all code under test: which release each slot holds whole,
 * what record and stamp say on the medium.
 * Promise: a slot holds a release only when every byte of its images and trees and its seal are those that
 * the publisher made. Looked at again only where a medium has changed.
 * Leaves to others: what should lie there (checkers/).
 */
import type { Page, SimDisk } from '../bootloader-sim/devices/block-device.ts'
import { fatImageFileOffset } from '../bootloader-sim/tryboot/fat-image.ts'
import { partitionNamed } from '../bootloader-sim/tryboot/firmware.ts'
import { autobootBytes } from '../core/autoboot.ts'
import { type BootRecord, bootPartition, chooseCopy, decodeRecord } from '../core/boot-record.ts'
import { type CommitStamp, decodeStamp } from '../core/commit-stamp.ts'
import { slotLimits } from '../core/limits.ts'
import type { SlotId } from '../core/units.ts'
import { sealOffset } from '../images/release/slot-layout.ts'
import type { Storage } from './board-storage.ts'
import type { MadeRelease } from './publisher.ts'
import { pageBytes, type SlotPage } from './slot-pages.ts'

export interface Truth {
  /** The release that the slot holds whole, on the medium; null: none. */
  slot(slot: SlotId): MadeRelease | null
  /** The release that a loader can verify there: images, trees and the seal itself are right, whatever follows it. */
  verifies(slot: SlotId): MadeRelease | null
  /** The release whose seal the slot bears, whatever lies under it. */
  sealed(slot: SlotId): MadeRelease | null
  /** How many of the first `pieces` pieces of an image are not on the medium as they should be. */
  missing(slot: SlotId, release: MadeRelease, image: string, pieces: number): number
  /** The record on the medium; null: both copies are bad. */
  record(): BootRecord | null
  /** Both copies on the medium; null: bad. */
  copies(): readonly [BootRecord | null, BootRecord | null]
  /** Copies on the medium that are bad. */
  badCopies(): number
  /** Number of the copy that counts; 0 when both are bad. */
  newestCopy(): number
  stamp(): CommitStamp | null
  /** The higher floor of record and stamp. */
  floor(): number
  /** What the firmware of a Raspberry Pi reads in autoboot.txt; null: there is no such board, or no file. */
  autoboot(): { readonly all: number | null; readonly tryboot: number | null } | null
}

/** What a slot holds of a release. */
interface Found {
  readonly sealed: MadeRelease | null
  readonly verifies: MadeRelease | null
  readonly whole: MadeRelease | null
}

interface FoundBoot {
  readonly copies: readonly [BootRecord | null, BootRecord | null]
  readonly record: BootRecord | null
  readonly stamp: CommitStamp | null
}

/** @param releases all that a slot may hold */
export function truthOf(
  storage: Storage,
  partitions: readonly string[],
  releases: () => Iterable<MadeRelease>,
): Truth {
  const wanted = { a: new Map<MadeRelease, Wanted>(), b: new Map<MadeRelease, Wanted>() }
  const wantedOf = (slot: SlotId, release: MadeRelease): Wanted => {
    const known = wanted[slot].get(release)
    if (known !== undefined) return known
    const made = wantedIn(slot, release, partitions, storage)
    wanted[slot].set(release, made)
    return made
  }
  const lookAt = (slot: SlotId): Found => {
    for (const release of releases()) {
      const { seal, images } = wantedOf(slot, release)
      if (!bears(seal)) continue
      const verifies = images.every((it) => it.holdsAll())
      const whole = verifies && isPadded(seal)
      return { sealed: release, verifies: verifies ? release : null, whole: whole ? release : null }
    }
    return { sealed: null, verifies: null, whole: null }
  }
  const disksOf = (slot: SlotId) => partitions.map((name) => storage.partition(slot, name))
  const slots = {
    a: remembered(disksOf('a'), () => lookAt('a')),
    b: remembered(disksOf('b'), () => lookAt('b')),
  }
  const [firstAt, secondAt] = bootPartition.copyOffsets
  const first = region(storage.boot, firstAt, slotLimits.recordCopyBytes, decodeRecord)
  const second = region(storage.boot, secondAt, slotLimits.recordCopyBytes, decodeRecord)
  const stamp = region(storage.boot, bootPartition.stampOffset, slotLimits.stampBytes, decodeStamp)
  const boot = remembered([storage.boot], (): FoundBoot => {
    const { copies, current } = chooseCopy(first(), second())
    return { copies, record: current === null ? null : copies[current], stamp: stamp() }
  })
  const disk = storage.autoboot
  const autoboot =
    disk === null
      ? () => null
      : remembered([disk], () => {
          const file = disk.medium(fatImageFileOffset, autobootBytes)
          return { all: partitionNamed(file, false), tryboot: partitionNamed(file, true) }
        })
  return {
    slot: (slot) => slots[slot]().whole,
    verifies: (slot) => slots[slot]().verifies,
    sealed: (slot) => slots[slot]().sealed,
    missing(slot, release, image, pieces) {
      const blob = release.manifest.blobs.find((it) => it.image === image)
      const partition = wantedOf(slot, release).images.find((it) => it.name === image)
      return blob === undefined || partition === undefined
        ? 0
        : partition.missing(blob.pieceBytes / pageBytes, pieces)
    },
    record: () => boot().record,
    copies: () => boot().copies,
    badCopies: () => boot().copies.filter((it) => it === null).length,
    newestCopy: () => chooseCopy(...boot().copies).current ?? 0,
    stamp: () => boot().stamp,
    floor: () => Math.max(boot().record?.floor ?? 0, boot().stamp?.floor ?? 0),
    autoboot,
  }
}

/** The last answer, as long as none of the media has changed. */
function remembered<T>(disks: readonly SimDisk[], look: () => T): () => T {
  const versions = disks.map(() => -1)
  let last: { readonly value: T } | null = null
  return () => {
    let same = last !== null
    for (let index = 0; index < disks.length; index += 1) {
      const now = disks[index]?.version() ?? 0
      if (versions[index] !== now) same = false
      versions[index] = now
    }
    if (last === null || !same) last = { value: look() }
    return last.value
  }
}

/** What a part of a disk says, decoded anew only when one of its pages is another. */
function region<T>(disk: SimDisk, offset: number, bytes: number, decode: (block: Uint8Array) => T): () => T {
  const from = offset / pageBytes
  const to = from + bytes / pageBytes
  let pages: readonly Page[] = []
  let last: { readonly value: T } | null = null
  return () => {
    const all = disk.pages()
    let same = last !== null
    for (let number = from; same && number < to; number += 1) same = all[number] === pages[number - from]
    if (last === null || !same) {
      pages = all.slice(from, to)
      last = { value: decode(inOnePiece(pages) ?? disk.medium(offset, bytes)) }
    }
    return last.value
  }
}

/** Pages that were written together still lie together: no copy is needed. */
function inOnePiece(pages: readonly Page[]): Uint8Array | null {
  const [first] = pages
  if (first == null) return null
  const together = pages.every(
    (it, index) => it?.buffer === first.buffer && it.byteOffset === first.byteOffset + index * pageBytes,
  )
  return together ? new Uint8Array(first.buffer, first.byteOffset, pages.length * pageBytes) : null
}

/** What must lie in a slot that holds a release. */
interface Wanted {
  readonly seal: WantedSeal
  readonly images: readonly WantedImage[]
}

interface WantedSeal {
  readonly disk: SimDisk
  /** Page of the partition where the seal area starts, and pages of the area. */
  readonly from: number
  readonly pages: number
  readonly bytes: Uint8Array
}

interface WantedImage {
  readonly name: string
  /** Image and tree. */
  holdsAll(): boolean
  /** Of the first `pieces` pieces of `pagesEach` pages, how many are not there whole. */
  missing(pagesEach: number, pieces: number): number
}

function wantedIn(
  slot: SlotId,
  { manifest, pages }: MadeRelease,
  partitions: readonly string[],
  storage: Storage,
): Wanted {
  const [firstName = 'rootfs'] = partitions
  const disk = storage.partition(slot, firstName)
  const from = sealOffset(disk.sizeBytes) / pageBytes
  const bytes = Buffer.from(manifest.seal, 'base64')
  return {
    seal: { disk, from, pages: slotLimits.sealAreaBytes / pageBytes, bytes },
    images: [...pages].map(([name, all]) =>
      // A board without that partition cannot hold the release.
      wantedImage(name, partitions.includes(name) ? storage.partition(slot, name) : null, all),
    ),
  }
}

function wantedImage(name: string, disk: SimDisk | null, all: readonly SlotPage[]): WantedImage {
  /** Pages that were last found right: they are never changed in place. */
  const right: Page[] = new Array<Page>(all.length)
  const lies = (index: number): boolean => {
    const wanted = all[index]
    const page = wanted === undefined ? undefined : disk?.pages()[wanted.number]
    if (wanted === undefined || page === undefined) return false
    if (page === null) return wanted.zero
    if (page === right[index]) return true
    if (Buffer.compare(page, wanted.bytes) !== 0) return false
    right[index] = page
    return true
  }
  const imagePages = all.filter((it) => it.part === 'image').length
  const lie = (from: number, to: number): boolean => {
    for (let index = from; index < to; index += 1) if (!lies(index)) return false
    return true
  }
  return {
    name,
    holdsAll: () => lie(0, all.length),
    missing(pagesEach, pieces) {
      let count = 0
      for (let first = 0; first < pieces * pagesEach; first += pagesEach) {
        if (!lie(first, Math.min(first + pagesEach, imagePages))) count += 1
      }
      return count
    },
  }
}

function bears({ disk, from, bytes }: WantedSeal): boolean {
  const page = disk.pages()[from]
  return page != null && Buffer.compare(page.subarray(0, bytes.length), bytes) === 0
}

/** Whether zeros follow the seal. */
function isPadded({ disk, from, pages, bytes }: WantedSeal): boolean {
  const area = disk.pages().slice(from, from + pages)
  return area.every((page, index) => page == null || isZero(page, index === 0 ? bytes.length : 0))
}

/** Compares with itself shifted by one byte: as fast as memcmp. */
function isZero(page: Uint8Array, from: number): boolean {
  const last = page.length - 1
  return page[from] === 0 && Buffer.compare(page.subarray(from, last), page.subarray(from + 1)) === 0
}
