/**
 * The hash tree behind an image, looked at where it lies.
 * Promise: "stands" means that every block of the tree was read from the medium just now and hashes up to the
 * root. A tree that does belongs to whatever data has the same root, so it need not be compared with them.
 * Leaves to others: the data (verity.ts), writing a tree.
 */
import { hash } from 'node:crypto'
import { present } from '../../core/assert.ts'
import { readWhole } from '../../core/block-io.ts'
import type { BlockDevice } from '../../core/ports.ts'
import { blockBytes, KiB } from '../../core/units.ts'
import { hashBytes, levelBlocks } from './verity.ts'

/** Tree blocks that are read together. */
const stepBytes = 256 * KiB

/**
 * @param device the partition; the tree lies behind the image
 * @param image its padded length in bytes and its verity root, hex
 * @throws EverbootError EB-SLOT-IO
 */
export async function treeStands(
  device: BlockDevice,
  { paddedBytes, verityRoot }: { readonly paddedBytes: number; readonly verityRoot: string },
): Promise<boolean> {
  const levels = levelBlocks(paddedBytes)
  let offset = paddedBytes
  let wanted: Uint8Array = Buffer.from(verityRoot, 'hex')
  for (let level = levels.length - 1; level >= 0; level -= 1) {
    const blocks = present(levels[level], 'level')
    const below = level === 0 ? null : new Uint8Array(blocks * blockBytes)
    if (!(await levelStands(device, offset, blocks, wanted, below))) return false
    offset += blocks * blockBytes
    wanted = below ?? wanted
  }
  return true
}

/** @param keep receives the blocks: the hashes of the level below; null for the lowest level */
async function levelStands(
  device: BlockDevice,
  offset: number,
  blocks: number,
  wanted: Uint8Array,
  keep: Uint8Array | null,
): Promise<boolean> {
  const bytes = blocks * blockBytes
  const buffer = device.allocate(Math.min(stepBytes, bytes))
  for (let at = 0; at < bytes; at += buffer.length) {
    const part = buffer.subarray(0, Math.min(buffer.length, bytes - at))
    await readWhole(device, offset + at, part, 'the hash tree')
    for (let block = 0; block < part.length; block += blockBytes) {
      const digest = hash('sha256', part.subarray(block, block + blockBytes), 'buffer')
      const from = ((at + block) / blockBytes) * hashBytes
      if (digest.compare(wanted, from, from + hashBytes) !== 0) return false
    }
    keep?.set(part, at)
  }
  return true
}
