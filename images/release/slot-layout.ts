/**
 * Where things lie in a slot: image padded to 4 KiB · verity tree · gap · seal in the last 64 KiB.
 * Leaves to others: which device the slot is.
 */
import { slotLimits } from '../../core/limits.ts'
import { treeBytes } from './verity.ts'

/** Where the seal area starts in a slot of `slotBytes`. */
export function sealOffset(slotBytes: number): number {
  return slotBytes - slotLimits.sealAreaBytes
}

/** Bytes a slot must have for an image of `paddedBytes`: image, tree and, on the first partition, seal area. */
export function slotBytesNeeded(paddedBytes: number): number {
  return paddedBytes + treeBytes(paddedBytes) + slotLimits.sealAreaBytes
}
