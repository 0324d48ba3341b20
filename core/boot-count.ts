/**
 * How often a slot was booted without having been found healthy since: one sector of the boot partition that the
 * initramfs of a Raspberry Pi counts in, because its firmware cannot count.
 * Promise: small enough for a shell, `b 3` and a line feed, then zeros; whatever else is there counts as no boots, so
 * a torn sector costs nothing but boots. The boot record is not touched by it.
 * Leaves to others: when it is counted (the initramfs), when it is set back (the agent of a healthy slot).
 */
import { readWhole, writeWhole } from './block-io.ts'
import { bootPartition } from './boot-record.ts'
import { EverbootError } from './errors.ts'
import { slotLimits } from './limits.ts'
import type { BlockDevice } from './ports.ts'
import type { SlotId } from './units.ts'

const sectorBytes = 512

/** @returns boots of this slot; those of the other one are none of its */
export function decodeBootCount(sector: Uint8Array, slot: SlotId): number {
  const text = Buffer.from(sector.subarray(0, sectorBytes)).toString('latin1')
  const found = /^([ab]) ([0-8])\n\0*$/.exec(text)
  return found?.[1] === slot ? Number(found[2]) : 0
}

/** @param boots more than a committed slot has tries count as that many */
export function encodeBootCount(slot: SlotId, boots: number): Uint8Array {
  const sector = Buffer.alloc(sectorBytes)
  sector.write(`${slot} ${Math.min(boots, slotLimits.committedTries)}\n`, 'latin1')
  return sector
}

/** @returns boots of the slot; none when it cannot be read */
export async function readBootCount(device: BlockDevice, slot: SlotId): Promise<number> {
  try {
    return decodeBootCount(await blockOf(device), slot)
  } catch (caught) {
    if (caught instanceof EverbootError) return 0
    throw caught
  }
}

/** Writes it and flushes. @throws EverbootError EB-RECORD, EB-SLOT-IO */
export async function writeBootCount(device: BlockDevice, slot: SlotId, boots: number): Promise<void> {
  const block = await blockOf(device)
  block.set(encodeBootCount(slot, boots))
  await writeWhole(device, bootPartition.countOffset, block, 'the count of boots', 'EB-RECORD')
  await device.flush()
}

async function blockOf(device: BlockDevice): Promise<Uint8Array> {
  const block = device.allocate(Math.max(sectorBytes, device.sectorBytes))
  await readWhole(device, bootPartition.countOffset, block, 'the count of boots', 'EB-RECORD')
  return block
}
