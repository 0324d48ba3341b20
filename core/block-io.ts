/**
 * Whole transfers over a `BlockDevice`, whose reads and writes may be shorter than asked for.
 * Promise: returns only when every byte was transferred; a device that makes no progress is an error, so
 * a short read is never taken for data. A read that fails is tried again, since a medium that fails once must
 * not count as damaged; a write is not, since nobody knows what of it is there.
 * Leaves to others: flushing, and what the bytes mean.
 */
import { assert } from './assert.ts'
import { type ErrorCode, EverbootError, raise } from './errors.ts'
import { slotLimits } from './limits.ts'
import type { BlockDevice } from './ports.ts'

/**
 * Fills `into` from `offset`; both in whole sectors.
 * @param what names the device in the error; @param code of the error when bytes are missing
 * @throws EverbootError `code`
 */
export async function readWhole(
  device: BlockDevice,
  offset: number,
  into: Uint8Array,
  what: string,
  code: ErrorCode = 'EB-SLOT-IO',
): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await transfer(device, offset, into, `reading ${what}`, code, (at, part) =>
        device.read(at, part),
      )
    } catch (caught) {
      if (!(caught instanceof EverbootError) || tries === slotLimits.readTries) throw caught
    }
  }
}

/**
 * Writes all of `bytes` at `offset`; both in whole sectors. Nothing is durable before a flush.
 * @throws EverbootError `code`
 */
export async function writeWhole(
  device: BlockDevice,
  offset: number,
  bytes: Uint8Array,
  what: string,
  code: ErrorCode = 'EB-SLOT-IO',
): Promise<void> {
  await transfer(device, offset, bytes, `writing ${what}`, code, (at, part) => device.write(at, part))
}

async function transfer(
  device: BlockDevice,
  offset: number,
  bytes: Uint8Array,
  doing: string,
  code: ErrorCode,
  step: (at: number, part: Uint8Array) => Promise<number>,
): Promise<void> {
  const sector = device.sectorBytes
  assert(offset % sector === 0 && bytes.length % sector === 0, `${doing}: not whole sectors`)
  if (offset + bytes.length > device.sizeBytes) {
    raise(code, `${doing}: ${bytes.length} bytes at ${offset} of a device of ${device.sizeBytes}`)
  }
  let done = 0
  while (done < bytes.length) {
    const moved = await step(offset + done, bytes.subarray(done))
    // Part of a sector counts for nothing: the next transfer must start at a sector again.
    const whole = moved - (moved % sector)
    if (whole <= 0 || done + whole > bytes.length) {
      raise(code, `${doing}: ${moved} of ${bytes.length - done} bytes at ${offset + done}`)
    }
    done += whole
  }
}
