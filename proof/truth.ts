/**
 * What really lies on a simulated board, read past all code under test: which release each slot holds whole,
 * what record and stamp say on the medium.
 * Promise: a slot holds a release only when every byte of its images and trees and its seal are those that
 * the publisher made. Looked at again only where a medium has changed.
 * Leaves to others: what should lie there (checkers/).
 */
import type { Page, SimDisk } from '../bootloader-sim/devices/block-device.ts'
import { present } from '../core/assert.ts'
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
  /** The release that a loader can verify there: seal and images are right, whatever the trees are. */
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
}

const pageBytes = 4096

/** A page of a partition and what must lie there. */
interface WantedPage {
  readonly part: 'seal' | 'image' | 'tree'
  readonly disk: SimDisk
  readonly number: number
  readonly bytes: Uint8Array
  readonly zero: boolean
  /** The page that was last found right here: pages are never changed in place. */
  right: Page | undefined
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
    const made = contentOf(slot, release, partitions, storage)
    wanted[slot].set(release, made)
    return made
  }
  const lookAt = (slot: SlotId): Found => {
    for (const release of releases()) {
      const { seal, pages } = wantedOf(slot, release)
      if (!bears(seal, Buffer.from(release.manifest.seal, 'base64').length)) continue
      const whole = pages.every(holds)
      const images = whole || pages.every((it) => it.part !== 'image' || holds(it))
      return { sealed: release, verifies: images ? release : null, whole: whole ? release : null }
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
  return {
    slot: (slot) => slots[slot]().whole,
    verifies: (slot) => slots[slot]().verifies,
    sealed: (slot) => slots[slot]().sealed,
    missing(slot, release, image, pieces) {
      const { pages } = wantedOf(slot, release)
      const blob = release.manifest.blobs.find((it) => it.image === image)
      if (blob === undefined) return 0
      const perPiece = blob.pieceBytes / pageBytes
      const disk = storage.partition(slot, image)
      const damaged = pages.filter(
        (it) => it.part === 'image' && it.disk === disk && it.number < pieces * perPiece && !holds(it),
      )
      return new Set(damaged.map((it) => Math.floor(it.number / perPiece))).size
    },
    record: () => boot().record,
    copies: () => boot().copies,
    badCopies: () => boot().copies.filter((it) => it === null).length,
    newestCopy: () => chooseCopy(...boot().copies).current ?? 0,
    stamp: () => boot().stamp,
    floor: () => Math.max(boot().record?.floor ?? 0, boot().stamp?.floor ?? 0),
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
      last = { value: decode(disk.medium(offset, bytes)) }
    }
    return last.value
  }
}

interface Wanted {
  /** The page that begins with the seal. */
  readonly seal: WantedPage
  readonly pages: readonly WantedPage[]
}

function contentOf(
  slot: SlotId,
  { manifest, images }: MadeRelease,
  partitions: readonly string[],
  storage: Storage,
): Wanted {
  const [firstName = 'rootfs'] = partitions
  const first = storage.partition(slot, firstName)
  const area = new Uint8Array(slotLimits.sealAreaBytes)
  area.set(Buffer.from(manifest.seal, 'base64'))
  const seals = pagesOf('seal', first, sealOffset(first.sizeBytes), area)
  const content = [...images].flatMap(([partition, image]) =>
    slotContent(image).flatMap(({ offset, bytes }) =>
      pagesOf(offset < image.length ? 'image' : 'tree', storage.partition(slot, partition), offset, bytes),
    ),
  )
  return { seal: present(seals[0], 'first page of the seal area'), pages: [...seals, ...content] }
}

/** Offsets are whole pages. */
function pagesOf(part: WantedPage['part'], disk: SimDisk, offset: number, bytes: Uint8Array): WantedPage[] {
  const pages: WantedPage[] = []
  for (let at = 0; at < bytes.length; at += pageBytes) {
    const page = bytes.subarray(at, at + pageBytes)
    const zero = page.every((it) => it === 0)
    pages.push({ part, disk, number: (offset + at) / pageBytes, bytes: page, zero, right: undefined })
  }
  return pages
}

function holds(wanted: WantedPage): boolean {
  const page = wanted.disk.pages()[wanted.number]
  if (page === undefined) return false
  if (page === null) return wanted.zero
  if (page === wanted.right) return true
  if (Buffer.compare(page, wanted.bytes) !== 0) return false
  wanted.right = page
  return true
}

/** Whether the page begins with the seal; what follows is padding. */
function bears(wanted: WantedPage, sealBytes: number): boolean {
  const page = wanted.disk.pages()[wanted.number]
  if (page == null) return false
  if (page === wanted.right) return true
  return Buffer.compare(page.subarray(0, sealBytes), wanted.bytes.subarray(0, sealBytes)) === 0
}
