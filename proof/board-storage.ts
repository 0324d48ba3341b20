/**
 * What of a simulated board survives: its disks and its files. An image of it is a crash point; an image with
 * a fate for each pending thing is a crash image.
 * Promise: the order of pending things is fixed: boot partition, that of autoboot.txt where there is one, partitions
 * of slot A, of slot B, files.
 * Leaves to others: everything that runs (board.ts).
 */

import { type DiskImage, type SimDisk, simDisk } from '../bootloader-sim/devices/block-device.ts'
import type { Fate, Pending } from '../bootloader-sim/devices/fate.ts'
import { type FilesImage, type SimFiles, simFiles } from '../bootloader-sim/devices/file-store.ts'
import type { Power } from '../bootloader-sim/devices/power.ts'
import { fatImage, fatImageBytes } from '../bootloader-sim/tryboot/fat-image.ts'
import { printAutoboot } from '../core/autoboot.ts'
import { writeFactoryRecord } from '../core/boot-partition.ts'
import { bootPartition } from '../core/boot-record.ts'
import { raise } from '../core/errors.ts'
import { autobootName } from '../core/fat-file.ts'
import { slotLimits } from '../core/limits.ts'
import { type SlotId, slotIds } from '../core/units.ts'
import { sealOffset } from '../images/release/slot-layout.ts'
import { verityBuilder } from '../images/release/verity.ts'
import { trybootPartitions } from './board-facts.ts'
import type { MadeRelease } from './publisher.ts'

export interface Storage {
  readonly boot: SimDisk
  /** The first partition of a board that is started by tryboot. */
  readonly autoboot: SimDisk | null
  readonly files: SimFiles
  /** All disks: the boot partition first. */
  readonly disks: readonly SimDisk[]
  /** @throws EverbootError EB-SLOT-MISSING */
  partition(slot: SlotId, name: string): SimDisk
  pending(): readonly Pending[]
  image(): StorageImage
  restore(image: StorageImage): void
  /** Fates in the order of `pending`. */
  crash(fates: readonly Fate[]): void
}

export interface StorageImage {
  readonly disks: readonly DiskImage[]
  readonly files: FilesImage
}

export interface StorageShape {
  readonly partitions: readonly string[]
  readonly slotBytes: number
  /** Atomic unit of the disks: 512 or 4096. */
  readonly sectorBytes: number
  /** Memory for readers and writers of the disks. */
  readonly allocate?: ((bytes: number) => Uint8Array) | undefined
  readonly tryboot?: boolean | undefined
}

/** In the emulated autoboot.txt: behind the number of [all], so that a torn write leaves both lines with one number. */
const autobootTear = printAutoboot({ partition: 2, trial: 3 }).indexOf('2'.charCodeAt(0)) + 1

export function createStorage(shape: StorageShape, power: Power): Storage {
  const { partitions, slotBytes, sectorBytes, allocate } = shape
  const boot = simDisk('boot', bootPartition.bytesMin, sectorBytes, power, allocate)
  const slots = new Map(
    slotIds.flatMap((slot) =>
      partitions.map((name, index) => {
        const label = index === 0 ? `slot ${slot}` : `slot ${slot} ${name}`
        return [`${slot} ${name}`, simDisk(label, slotBytes, sectorBytes, power, allocate)] as const
      }),
    ),
  )
  const files = simFiles(power)
  const autoboot =
    shape.tryboot === true ? simDisk('autoboot', fatImageBytes, sectorBytes, power, allocate) : null
  autoboot?.tearAt(autobootTear)
  const disks = [boot, ...(autoboot === null ? [] : [autoboot]), ...slots.values()]
  return {
    boot,
    autoboot,
    files,
    disks,
    partition: (slot, name) =>
      slots.get(`${slot} ${name}`) ?? raise('EB-SLOT-MISSING', `slot ${slot} has no partition ${name}`),
    pending: () => [...disks.flatMap((it) => it.pending()), ...files.pending()],
    image: () => ({ disks: disks.map((it) => it.image()), files: files.image() }),
    restore(image) {
      disks.forEach((disk, index) => {
        const from = image.disks[index]
        if (from !== undefined) disk.restore(from)
      })
      files.restore(image.files)
    },
    crash(fates) {
      let at = 0
      for (const disk of disks) {
        const count = disk.pending().length
        disk.crash(fates.slice(at, at + count))
        at += count
      }
      files.crash(fates.slice(at))
    },
  }
}

/** Slot A as the factory leaves it: images, trees, seal, committed; slot B empty. */
export async function writeFactory(storage: Storage, { manifest, images }: MadeRelease): Promise<void> {
  for (const [name, image] of images) {
    const disk = storage.partition('a', name)
    for (const { offset, bytes } of slotContent(image)) await disk.write(offset, bytes)
    await disk.flush()
  }
  const [first = 'rootfs'] = images.keys()
  const disk = storage.partition('a', first)
  const seal = new Uint8Array(slotLimits.sealAreaBytes)
  seal.set(Buffer.from(manifest.seal, 'base64'))
  await disk.write(sealOffset(disk.sizeBytes), seal)
  await disk.flush()
  await writeFactoryRecord(storage.boot, manifest.securityVersion)
  const { a, b } = trybootPartitions
  storage.autoboot?.plant(0, fatImage(autobootName, printAutoboot({ partition: a, trial: b })))
}

/** An image and its hash tree, as they lie in a slot. */
export function slotContent(image: Uint8Array): readonly { offset: number; bytes: Uint8Array }[] {
  const content = [{ offset: 0, bytes: image }]
  const builder = verityBuilder(image.length, (offset, block) =>
    content.push({ offset: image.length + offset, bytes: new Uint8Array(block) }),
  )
  builder.update(image)
  builder.finish()
  return content
}
