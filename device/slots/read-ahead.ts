/**
 * Reads a device from its start in large steps, the next ones while the present one is worked on.
 * Promise: steps come in order and whole; three buffers, whatever the length.
 */
import { present } from '../../core/assert.ts'
import { readWhole } from '../../core/block-io.ts'
import type { BlockDevice } from '../../core/ports.ts'
import { MiB } from '../../core/units.ts'

const stepBytes = MiB
/** Reads under way and the one that is worked on. */
const buffersMax = 3

/**
 * @param bytes to read from offset 0, whole sectors
 * @param take is given each step; its buffer is used again as soon as it has resolved
 * @throws EverbootError EB-SLOT-IO
 */
export async function readAhead(
  device: BlockDevice,
  bytes: number,
  take: (part: Uint8Array, offset: number) => void | Promise<void>,
): Promise<void> {
  const step = Math.min(stepBytes, bytes)
  const steps = Math.ceil(bytes / step)
  const buffers = Array.from({ length: Math.min(buffersMax, steps) }, () => device.allocate(step))
  const read = (number: number): Promise<Uint8Array> => {
    const offset = number * step
    const buffer = present(buffers[number % buffers.length], 'buffer')
    const part = buffer.subarray(0, Math.min(step, bytes - offset))
    const reading = readWhole(device, offset, part, 'the slot').then(() => part)
    // Whoever waits for it sees its failure; when the work before it fails, nobody does.
    reading.catch(() => {})
    return reading
  }
  const underway = buffers.map((_, number) => read(number))
  for (let number = 0; number < steps; number += 1) {
    const part = await present(underway.shift(), 'read under way')
    await take(part, number * step)
    if (number + buffers.length < steps) underway.push(read(number + buffers.length))
  }
}
