/**
 * What the firmware of a Raspberry Pi says of this boot, in the device tree: `chosen/bootloader/tryboot` and
 * `.../partition`, 32 bits each, the highest byte first.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FirmwareFacts } from '../../core/ports.ts'

/** @param directory `/proc/device-tree/chosen/bootloader`. @returns null when it does not say it: an old bootloader */
export function readFirmwareFacts(directory: string): FirmwareFacts | null {
  const partition = number(join(directory, 'partition'))
  const tryboot = number(join(directory, 'tryboot'))
  return partition === null || tryboot === null ? null : { partition, tryboot: tryboot === 1 }
}

function number(path: string): number | null {
  try {
    const bytes = readFileSync(path)
    return bytes.length === 4 ? bytes.readUInt32BE(0) : null
  } catch {
    return null
  }
}
