/**
 * What a slot holds: its seal, and whether the images under the seal are intact.
 * Promise: "intact" means that every block of every image and of its hash tree was read from the medium just
 * now and hashes to the verity root in a seal whose signature holds: dm-verity will not refuse one of them.
 * Leaves to others: writing (slot-writer.ts), what follows from it (update/boot-rules.ts).
 */
import { readWhole } from '../../core/block-io.ts'
import { EverbootError } from '../../core/errors.ts'
import type { BlockDevice, Disks } from '../../core/ports.ts'
import { blockBytes, type SlotId } from '../../core/units.ts'
import { openSeal, type Seal } from '../../images/release/seal.ts'
import { sealOffset } from '../../images/release/slot-layout.ts'
import { treeBytes, verityBuilder } from '../../images/release/verity.ts'
import { treeStands } from '../../images/release/verity-tree.ts'
import type { KeyRing, Verify } from '../../keys/public-key.ts'
import { readAhead } from './read-ahead.ts'

export interface SlotKeys {
  readonly ring: KeyRing
  readonly verify: Verify
}

/**
 * @param partition the first partition of the slots, at whose end the seal lies
 * @returns null when the slot holds no valid seal
 * @throws EverbootError when the device cannot be opened or read
 */
export async function readSeal(
  disks: Disks,
  slot: SlotId,
  partition: string,
  keys: SlotKeys,
): Promise<Seal | null> {
  const device = await disks.openSlot(slot, partition, 'read')
  try {
    const area = device.allocate(blockBytes)
    await readWhole(device, sealOffset(device.sizeBytes), area, 'the slot')
    const opened = openSeal(area, keys.ring, keys.verify)
    return opened.ok ? opened.value : null
  } finally {
    await device.close()
  }
}

/** Re-reads every image of a slot, and its tree. @throws EverbootError when a device cannot be opened; a read error means "no". */
export async function isIntact(disks: Disks, slot: SlotId, seal: Seal): Promise<boolean> {
  for (const image of seal.images) {
    const device = await disks.openSlot(slot, image.name, 'read')
    try {
      if (image.paddedBytes + treeBytes(image.paddedBytes) > device.sizeBytes) return false
      if ((await rootOf(device, image.paddedBytes)) !== image.verityRoot) return false
      if (!(await treeStands(device, image))) return false
    } catch (caught) {
      if (caught instanceof EverbootError) return false
      throw caught
    } finally {
      await device.close()
    }
  }
  return true
}

async function rootOf(device: BlockDevice, paddedBytes: number): Promise<string> {
  const builder = verityBuilder(paddedBytes)
  await readAhead(device, paddedBytes, (part) => builder.update(part))
  return builder.finish()
}
