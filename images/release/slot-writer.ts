/**
 * Writes a slot from a release that lies here: image, verity tree, seal. For factory slots, where no agent
 * runs yet.
 * Promise: the seal is written last, after a flush, so a slot that carries it is whole; the root of what was
 * written equals the signed one, or no seal is written.
 * Leaves to others: checking the release and its seal before (reader.ts, `sealOf`), choosing the device.
 */
import { writeWhole } from '../../core/block-io.ts'
import { raise } from '../../core/errors.ts'
import { releaseLimits, slotLimits } from '../../core/limits.ts'
import type { BlockDevice } from '../../core/ports.ts'
import { bytesText } from '../../core/units.ts'
import { imageOf } from './piece-task.ts'
import { blobOf, type Progress, type Release, releasePieces } from './reader.ts'
import { sealOffset, slotBytesNeeded } from './slot-layout.ts'
import { verityBuilder } from './verity.ts'

export interface SlotPlan {
  readonly image: string
  /** Of the full blob of that image. */
  readonly contentKey: Uint8Array
  /** As `sealOf` gave it; null for a partition of the slot that does not carry it. */
  readonly seal: Uint8Array | null
  /** The device holds zeros already, as a new file does: pieces of zeros need not be written. */
  readonly zeroed: boolean
}

/**
 * @throws EverbootError EB-TOO-LARGE before anything is written; EB-IMAGE, EB-INDEX, EB-PIECE, EB-BLOB
 */
export async function writeSlot(
  release: Release,
  plan: SlotPlan,
  device: BlockDevice,
  progress: Progress = () => {},
): Promise<void> {
  const blob = blobOf(release.manifest, plan.image)
  const image = imageOf(release.manifest, blob)
  const needed = slotBytesNeeded(image.paddedBytes)
  if (needed > device.sizeBytes) {
    raise(
      'EB-TOO-LARGE',
      `image ${image.name} needs ${bytesText(needed)}, the slot has ${bytesText(device.sizeBytes)}`,
    )
  }
  const write = alignedWriter(device)
  const tree: { readonly offset: number; readonly block: Uint8Array }[] = []
  const verity = verityBuilder(image.paddedBytes, (offset, block) =>
    tree.push({ offset, block: block.slice() }),
  )
  const writeTree = async (): Promise<void> => {
    for (const { offset, block } of tree.splice(0)) await write(image.paddedBytes + offset, block)
  }
  const zeros = new Uint8Array(blob.pieceBytes)
  for await (const piece of releasePieces(release, blob, plan.contentKey)) {
    const raw = piece.raw ?? zeros.subarray(0, piece.bytes)
    if (piece.raw !== null || !plan.zeroed) await write(piece.offset, raw)
    verity.update(raw)
    await writeTree()
    progress(piece.offset + piece.bytes, image.paddedBytes)
  }
  const root = verity.finish()
  if (root !== image.verityRoot) raise('EB-IMAGE', `image ${image.name} has another verity root`)
  await writeTree()
  await device.flush()
  if (plan.seal === null) return
  const area = new Uint8Array(slotLimits.sealAreaBytes)
  area.set(plan.seal)
  await write(sealOffset(device.sizeBytes), area)
  await device.flush()
}

/** Writes through a buffer that the device takes as it is. */
function alignedWriter(device: BlockDevice): (offset: number, bytes: Uint8Array) => Promise<void> {
  const room = device.allocate(releaseLimits.pieceBytesMax)
  return async (offset, bytes) => {
    room.set(bytes)
    await writeWhole(device, offset, room.subarray(0, bytes.length), 'the slot')
  }
}
