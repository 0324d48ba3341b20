/**
 * A slot in the eyes of a loader that can read but not verify, such as a stock U-Boot: it goes by what the seal
 * claims (`sealVerdict` of verified-slot.ts), and by whether there is something to load.
 * Leaves to others: believing it. What such a loader starts verifies the slot (verified-slot.ts) and resets the
 * board when it does not hold; the try that was taken is the price of a false claim.
 */
import { readWhole } from '../core/block-io.ts'
import { EverbootError } from '../core/errors.ts'
import type { Disks } from '../core/ports.ts'
import { blockBytes, type SlotId } from '../core/units.ts'
import { type Firmware, withPartition } from './verified-slot.ts'

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
