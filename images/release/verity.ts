/**
 * The dm-verity tree (format 1, SHA-256, 4096-byte blocks, empty salt, no superblock), made in one pass.
 * Promise: the root and the tree equal those of `veritysetup`; memory is one block per level, whatever the
 * size of the image. Source: Linux Documentation/admin-guide/device-mapper/verity.rst.
 * Leaves to others: reading the image and writing the tree.
 */
import { createHash, hash } from 'node:crypto'
import { assert, present } from '../../core/assert.ts'
import { blockBytes, type Digest } from '../../core/units.ts'

/** Length of a hash in the tree. */
export const hashBytes = 32
const fanOut = blockBytes / hashBytes

/** Blocks on each level, lowest (hashes of data blocks) first. An image of one block has no tree. */
export function levelBlocks(paddedBytes: number): readonly number[] {
  const levels: number[] = []
  let below = paddedBytes / blockBytes
  while (below > 1) {
    below = Math.ceil(below / fanOut)
    levels.push(below)
  }
  return levels
}

export function treeBytes(paddedBytes: number): number {
  return levelBlocks(paddedBytes).reduce((sum, blocks) => sum + blocks * blockBytes, 0)
}

/** Takes a tree block: `offset` counts from the start of the tree. The block may be used until the call returns. */
export type TreeSink = (offset: number, block: Uint8Array) => void

interface Level {
  readonly offset: number
  readonly block: Uint8Array
  written: number
  filled: number
}

export interface VerityBuilder {
  /** The next data blocks, in order; a multiple of 4096 bytes. */
  update(blocks: Uint8Array): void
  /** @returns the root, after exactly `paddedBytes` bytes */
  finish(): Digest
}

/** @param sink receives each finished tree block, levels interleaved; the top level lies first on disk. */
export function verityBuilder(paddedBytes: number, sink: TreeSink = () => {}): VerityBuilder {
  assert(paddedBytes > 0 && paddedBytes % blockBytes === 0, `image of ${paddedBytes} bytes`)
  const levels = layOut(paddedBytes)
  let taken = 0
  let lastHash: Uint8Array | null = null

  const push = (number: number, digest: Uint8Array): void => {
    const level = levels[number]
    if (level === undefined) {
      lastHash = digest
      return
    }
    level.block.set(digest, level.filled)
    level.filled += hashBytes
    if (level.filled === blockBytes) close(number, level)
  }
  const close = (number: number, level: Level): void => {
    level.block.fill(0, level.filled)
    sink(level.offset + level.written * blockBytes, level.block)
    level.written += 1
    level.filled = 0
    push(number + 1, blockHash(level.block))
  }
  return {
    update(blocks) {
      assert(blocks.length % blockBytes === 0, `${blocks.length} bytes are not whole blocks`)
      for (let at = 0; at < blocks.length; at += blockBytes) {
        push(0, blockHash(blocks.subarray(at, at + blockBytes)))
      }
      taken += blocks.length
    },
    finish() {
      assert(taken === paddedBytes, `${taken} of ${paddedBytes} bytes hashed`)
      levels.forEach((level, number) => {
        if (level.filled > 0) close(number, level)
      })
      return Buffer.from(present(lastHash, 'root')).toString('hex') as Digest
    },
  }
}

const zeroBlock = new Uint8Array(blockBytes)
const zeroHash = createHash('sha256').update(zeroBlock).digest()

/** Comparing with zeros costs a tenth of a hash, and images have many. */
function blockHash(block: Uint8Array): Uint8Array {
  if (block[0] === 0 && Buffer.compare(block, zeroBlock) === 0) return zeroHash
  return hash('sha256', block, 'buffer')
}

function layOut(paddedBytes: number): Level[] {
  const blocks = levelBlocks(paddedBytes)
  let offset = 0
  const levels: Level[] = []
  for (let number = blocks.length - 1; number >= 0; number -= 1) {
    levels[number] = { offset, block: new Uint8Array(blockBytes), written: 0, filled: 0 }
    offset += present(blocks[number], 'level') * blockBytes
  }
  return levels
}
