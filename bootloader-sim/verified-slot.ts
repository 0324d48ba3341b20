/**
 * Verified boot of one slot: seal authentic, security version at or above the floor, every image intact.
 * Promise: `verified` only when every byte of every image in the seal, and of its hash tree, was read from its
 * partition and hashes to the root that the seal names (a kernel reads through the tree, so one that is damaged
 * stops it); anything unreadable, missing or too large is refused, in words.
 * Leaves to others: what follows from it (decide.ts).
 */
import { readWhole } from '../core/block-io.ts'
import { EverbootError, faultText } from '../core/errors.ts'
import { boardLimits, slotLimits } from '../core/limits.ts'
import type { BlockDevice, Disks } from '../core/ports.ts'
import { bytesText, type SlotId } from '../core/units.ts'
import { claimedSeal, openSeal, type Seal, type SealedImage } from '../images/release/seal.ts'
import { sealOffset, slotBytesNeeded } from '../images/release/slot-layout.ts'
import { treeBytes, verityBuilder } from '../images/release/verity.ts'
import { treeStands } from '../images/release/verity-tree.ts'
import type { KeyRing, Verify } from '../keys/public-key.ts'

/** What the firmware of a loader holds. */
export interface Firmware {
  /** What it can do with a slot: check everything, or read what the seal claims (claimed-slot.ts). */
  readonly looks: 'verify' | 'claim'
  readonly sealKeys: KeyRing
  readonly verify: Verify
  /** Name of the image whose partition carries the seal. */
  readonly sealImage: string
}

export type SlotVerdict =
  | { readonly verified: true; readonly seal: Seal }
  | { readonly verified: false; readonly why: string }

/** @param floor lowest security version that may run */
export async function verifySlot(
  disks: Disks,
  firmware: Firmware,
  slot: SlotId,
  floor: number,
): Promise<SlotVerdict> {
  const sealed = await sealVerdict(disks, firmware, slot, floor)
  if (!sealed.verified) return sealed
  try {
    const damage = await firstDamage(disks, firmware, slot, sealed.seal)
    return damage === null ? sealed : { verified: false, why: damage }
  } catch (caught) {
    if (caught instanceof EverbootError) return { verified: false, why: faultText(caught.fault) }
    throw caught
  }
}

/**
 * The seal alone, at or above the floor: what an initramfs asks, which leaves the images to dm-verity, and, by what
 * the seal claims, a loader that cannot verify.
 * @param floor lowest security version that may run
 */
export async function sealVerdict(
  disks: Disks,
  firmware: Firmware,
  slot: SlotId,
  floor: number,
): Promise<SlotVerdict> {
  try {
    const seal = await withPartition(disks, slot, firmware.sealImage, (it) => readSeal(it, firmware))
    if (typeof seal === 'string') return { verified: false, why: seal }
    if (seal.securityVersion >= floor) return { verified: true, seal }
    const why = `${seal.releaseId} has security version ${seal.securityVersion}, the floor is ${floor}`
    return { verified: false, why }
  } catch (caught) {
    if (caught instanceof EverbootError) return { verified: false, why: faultText(caught.fault) }
    throw caught
  }
}

/** @returns the seal, or in words why it is not believed */
async function readSeal(
  partition: BlockDevice,
  firmware: Pick<Firmware, 'sealKeys' | 'verify' | 'looks'>,
): Promise<Seal | string> {
  if (partition.sizeBytes < slotLimits.sealAreaBytes) return 'the partition is smaller than a seal'
  const area = partition.allocate(slotLimits.sealAreaBytes)
  await readWhole(partition, sealOffset(partition.sizeBytes), area, 'the seal')
  const seal =
    firmware.looks === 'claim' ? claimedSeal(area) : openSeal(area, firmware.sealKeys, firmware.verify)
  return seal.ok ? seal.value : seal.error.what
}

async function firstDamage(
  disks: Disks,
  firmware: Firmware,
  slot: SlotId,
  seal: Seal,
): Promise<string | null> {
  const total = seal.images.reduce((sum, it) => sum + it.paddedBytes, 0)
  if (total > boardLimits.checkedBytesMax) {
    return `${bytesText(total)} of images are more than the ${bytesText(boardLimits.checkedBytesMax)} this loader checks`
  }
  for (const image of seal.images) {
    const bearsSeal = image.name === firmware.sealImage
    const damage = await withPartition(disks, slot, image.name, (it) => damageOf(it, image, bearsSeal))
    if (damage !== null) return damage
  }
  return null
}

async function damageOf(
  partition: BlockDevice,
  image: SealedImage,
  bearsSeal: boolean,
): Promise<string | null> {
  const needed = bearsSeal
    ? slotBytesNeeded(image.paddedBytes)
    : image.paddedBytes + treeBytes(image.paddedBytes)
  if (needed > partition.sizeBytes) {
    return `image ${image.name} needs ${needed} bytes, its partition has ${partition.sizeBytes}`
  }
  const root = await rootOf(partition, image.paddedBytes)
  if (root === image.verityRoot) {
    return (await treeStands(partition, image)) ? null : `the hash tree of image ${image.name} is damaged`
  }
  return `image ${image.name} is damaged: root ${root.slice(0, 12)}, sealed ${image.verityRoot.slice(0, 12)}`
}

async function rootOf(partition: BlockDevice, paddedBytes: number): Promise<string> {
  const builder = verityBuilder(paddedBytes)
  const buffer = partition.allocate(Math.min(paddedBytes, boardLimits.checkStepBytes))
  for (let at = 0; at < paddedBytes; at += buffer.length) {
    const part = buffer.subarray(0, Math.min(buffer.length, paddedBytes - at))
    await readWhole(partition, at, part, 'the image')
    builder.update(part)
  }
  return builder.finish()
}

export async function withPartition<T>(
  disks: Disks,
  slot: SlotId,
  image: string,
  use: (partition: BlockDevice) => Promise<T>,
): Promise<T> {
  const partition = await disks.openSlot(slot, image, 'read')
  try {
    return await use(partition)
  } finally {
    await partition.close()
  }
}
