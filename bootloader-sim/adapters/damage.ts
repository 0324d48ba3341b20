/**
 * Destroys bytes on the disk of a board as rot would, behind the back of everything that runs.
 * Promise: what it says it destroyed is destroyed on the medium when it returns; nothing else is touched.
 * Leaves to others: noticing it.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { readWhole, writeWhole } from '../../core/block-io.ts'
import { raise } from '../../core/errors.ts'
import { blockBytes, type SlotId } from '../../core/units.ts'
import { sealOffset } from '../../images/release/slot-layout.ts'
import { type BoardFile, boardPaths } from '../board-file.ts'
import { openFileDevice } from './file-device.ts'
import { filesystemOf } from './filesystem.ts'
import { tool } from './tools.ts'

export const damages = ['init', 'superblock', 'seal'] as const
export type Damage = (typeof damages)[number]

/** @returns where in the slot, in bytes. @throws EverbootError */
export async function damageSlot(
  directory: string,
  board: BoardFile,
  slot: SlotId,
  what: Damage,
): Promise<number> {
  const disk = join(directory, boardPaths.disk)
  const part = { path: disk, ...board.partitions[slot] }
  const offset = await placeOf(what, disk, part)
  const device = await openFileDevice(part, 'write')
  try {
    const block = device.allocate(blockBytes)
    await readWhole(device, offset, block, `slot ${slot}`)
    // The first half only: a file shorter than a block may end in zeros that nobody would miss.
    block.set(randomBytes(blockBytes / 2), 0)
    await writeWhole(device, offset, block, `slot ${slot}`)
    await device.flush()
  } finally {
    await device.close()
  }
  return offset
}

async function placeOf(what: Damage, disk: string, part: { offset: number; bytes: number }): Promise<number> {
  if (what === 'seal') return sealOffset(part.bytes)
  if (what === 'superblock') return 0
  const type = await filesystemOf(disk, part.offset)
  if (type !== 'ext4') {
    raise('EB-UNSUPPORTED', 'only in an ext4 slot can a file be found', {
      todo: 'damage the superblock instead',
    })
  }
  const blocks = await tool('debugfs', '-R', 'blocks /sbin/init.mjs', `${disk}?offset=${part.offset}`)
  const [first = ''] = blocks.trim().split(/\s+/)
  if (!/^[1-9]\d*$/.test(first)) raise('EB-IMAGE', 'the slot has no /sbin/init.mjs with a block of its own')
  return Number(first) * blockBytes
}
