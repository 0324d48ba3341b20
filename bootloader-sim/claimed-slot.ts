/**
 * A slot in the eyes of a loader that can read but not verify, such as a stock U-Boot: it goes by what the seal
 * claims, and by whether there is something to load.
 * Promise: a slot whose seal was wiped or not written yet is refused; so is one that claims a security version
 * below the floor.
 * Leaves to others: believing it. What such a loader starts verifies the slot (verified-slot.ts) and resets the
 * board when it does not hold; the try that was taken is the price of a false claim.
 */
import { readWhole } from '../core/block-io.ts'
import { EverbootError, faultText } from '../core/errors.ts'
import type { Disks } from '../core/ports.ts'
import { blockBytes, type SlotId } from '../core/units.ts'
import { type Firmware, readSeal, type SlotVerdict, withPartition } from './verified-slot.ts'

/** @param floor lowest security version that may run */
export async function claimedSlot(
  disks: Disks,
  firmware: Firmware,
  slot: SlotId,
  floor: number,
): Promise<SlotVerdict> {
  try {
    const seal = await withPartition(disks, slot, firmware.sealImage, (it) => readSeal(it, firmware))
    if (typeof seal === 'string') return { verified: false, why: seal }
    if (seal.securityVersion >= floor) return { verified: true, seal }
    const why = `${seal.releaseId} claims security version ${seal.securityVersion}, the floor is ${floor}`
    return { verified: false, why }
  } catch (caught) {
    if (caught instanceof EverbootError) return { verified: false, why: faultText(caught.fault) }
    throw caught
  }
}

/** Whether a kernel is found: the head of the file system is there. */
export async function hasKernel(disks: Disks, firmware: Firmware, slot: SlotId): Promise<boolean> {
  try {
    return await withPartition(disks, slot, firmware.sealImage, async (partition) => {
      const head = partition.allocate(blockBytes)
      await readWhole(partition, 0, head, 'the file system')
      return head.some((byte) => byte !== 0)
    })
  } catch (caught) {
    if (caught instanceof EverbootError) return false
    throw caught
  }
}
