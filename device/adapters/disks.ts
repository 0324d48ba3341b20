/**
 * The block devices of the configuration.
 */

import { alignedMemory } from '../../core/aligned-memory.ts'
import { raise } from '../../core/errors.ts'
import type { Disks } from '../../core/ports.ts'
import type { SlotId } from '../../core/units.ts'
import { type DevicePath, openBlockDevice } from './block-device.ts'

export function configuredDisks(
  boot: DevicePath,
  slots: Readonly<Record<SlotId, Readonly<Record<string, DevicePath>>>>,
  autoboot?: DevicePath | undefined,
): Disks {
  const memory = alignedMemory()
  return {
    async openSlot(slot, image, mode) {
      const path = Object.hasOwn(slots[slot], image) ? slots[slot][image] : undefined
      if (path === undefined) return raise('EB-SLOT-MISSING', `slot ${slot} has no partition ${image}`)
      return openBlockDevice(path, mode, memory)
    },
    openBoot: () => openBlockDevice(boot, 'write', memory),
    ...(autoboot === undefined ? {} : { openAutoboot: () => openBlockDevice(autoboot, 'write', memory) }),
  }
}
