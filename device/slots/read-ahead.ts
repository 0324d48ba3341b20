/**
 * Reads a device from its start in large steps, the next one while the present one is worked on.
 * Promise: steps come in order and whole; two buffers, whatever the length.
 */
import { readWhole } from '../../core/block-io.ts'
import type { BlockDevice } from '../../core/ports.ts'
import { MiB } from '../../core/units.ts'

const stepBytes = MiB

/**
 * @param bytes to read from offset 0, whole sectors
 * @param take is given each step; the buffer is used again for the step after the next
 * @throws EverbootError EB-SLOT-IO
 */
export async function readAhead(
  device: BlockDevice,
  bytes: number,
  take: (part: Uint8Array, offset: number) => void | Promise<void>,
): Promise<void> {
  const step = Math.min(stepBytes, bytes)
  const buffers = [device.allocate(step), device.allocate(step)] as const
  const read = (offset: number, into: Uint8Array): Promise<Uint8Array> => {
    const part = into.subarray(0, Math.min(step, bytes - offset))
    const reading = readWhole(device, offset, part, 'the slot').then(() => part)
    // Whoever waits for it sees its failure; when the work before it fails, nobody does.
    reading.catch(() => {})
    return reading
  }
  let next = read(0, buffers[0])
  for (let offset = 0, turn = 1; offset < bytes; offset += step, turn ^= 1) {
    const part = await next
    if (offset + step < bytes) next = read(offset + step, buffers[turn === 0 ? 0 : 1])
    await take(part, offset)
  }
}
