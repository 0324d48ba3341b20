/**
 * Writes into the spare slot: pieces, seal, and the wiping of a seal.
 * Promise: a piece lands where the manifest says and nowhere else; zeros are written only where something
 * else stands (an empty slot stays empty), unless what is read does not count; nothing counts as written before `flush` returned.
 * Leaves to others: checking pieces before and after.
 */
import { assert } from '../../core/assert.ts'
import { readWhole, writeWhole } from '../../core/block-io.ts'
import { slotLimits } from '../../core/limits.ts'
import type { BlockDevice } from '../../core/ports.ts'
import { sealOffset } from '../../images/release/slot-layout.ts'

export interface SlotWriter {
  /** Checked raw bytes of a piece. */
  write(offset: number, raw: Uint8Array): Promise<void>
  /** `bytes` zeros at `offset`, at most a piece. */
  writeZeros(offset: number, bytes: number): Promise<void>
  /** Returns when all of it is on the medium. */
  flush(): Promise<void>
}

/**
 * @param device one partition of the spare slot, opened exclusively
 * @param imageBytes padded size of the image; nothing is written past it
 * @param pieceBytes largest piece
 * @param blindly zeros are written without looking
 */
export function slotWriter(
  device: BlockDevice,
  imageBytes: number,
  pieceBytes: number,
  blindly = false,
): SlotWriter {
  const buffers = [device.allocate(pieceBytes), device.allocate(pieceBytes)] as const
  let turn: 0 | 1 = 0
  /** The write under way: the next piece is fetched and opened meanwhile. */
  let underway: Promise<void> = Promise.resolve()
  const inside = (offset: number, bytes: number): void =>
    assert(
      bytes <= pieceBytes && offset >= 0 && offset + bytes <= imageBytes,
      `piece at ${offset}+${bytes} of ${imageBytes}`,
    )
  return {
    async write(offset, raw) {
      inside(offset, raw.length)
      turn = turn === 0 ? 1 : 0
      const part = buffers[turn].subarray(0, raw.length)
      part.set(raw)
      await underway
      underway = writeWhole(device, offset, part, 'the spare slot')
      // Its failure is seen by the next write or flush.
      underway.catch(() => {})
    },
    async writeZeros(offset, bytes) {
      inside(offset, bytes)
      await underway
      const part = buffers[0].subarray(0, bytes)
      if (!blindly) {
        await readWhole(device, offset, part, 'the spare slot')
        if (isZero(part)) return
      }
      part.fill(0)
      await writeWhole(device, offset, part, 'the spare slot')
    },
    async flush() {
      await underway
      await device.flush()
    },
  }
}

/** Overwrites the whole seal area, and returns when that is on the medium. @param seal null wipes. */
export async function writeSeal(device: BlockDevice, seal: Uint8Array | null): Promise<void> {
  const area = device.allocate(slotLimits.sealAreaBytes)
  area.fill(0)
  if (seal !== null) area.set(seal)
  await writeWhole(device, sealOffset(device.sizeBytes), area, 'the spare slot')
  await device.flush()
}

/** True when the seal area holds exactly this seal and zeros. */
export async function holdsSeal(device: BlockDevice, seal: Uint8Array): Promise<boolean> {
  const area = device.allocate(slotLimits.sealAreaBytes)
  await readWhole(device, sealOffset(device.sizeBytes), area, 'the spare slot')
  return Buffer.compare(area.subarray(0, seal.length), seal) === 0 && isZero(area.subarray(seal.length))
}

/** Compares a range with itself shifted by one byte: as fast as memcmp, without a buffer of zeros. */
export function isZero(bytes: Uint8Array): boolean {
  if (bytes.length === 0) return true
  const tail = bytes.length - 1
  return bytes[0] === 0 && Buffer.compare(bytes.subarray(0, tail), bytes.subarray(1)) === 0
}
