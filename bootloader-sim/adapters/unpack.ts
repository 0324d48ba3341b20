/**
 * Takes files out of partitions without mounting them.
 * Promise: a directory stands under its name only when it was unpacked whole; slots are kept by verity root,
 * the oldest ones go.
 * Leaves to others: verifying the slot before.
 */
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { raise } from '../../core/errors.ts'
import { boardLimits } from '../../core/limits.ts'
import type { Load } from '../board.ts'
import { type BoardFile, boardPaths } from '../board-file.ts'
import { filesystemOf } from './filesystem.ts'
import { tool } from './tools.ts'

/** @returns the directory with the files of the slot */
export async function unpackSlot(directory: string, board: BoardFile, load: Load): Promise<string> {
  const image = load.seal.images.find((it) => it.name === board.image)
  if (image === undefined) raise('EB-IMAGE', `the seal of slot ${load.slot} names no image ${board.image}`)
  const kept = join(directory, boardPaths.unpacked)
  const path = join(kept, image.verityRoot.slice(0, 32))
  await mkdir(kept, { recursive: true })
  if (await exists(path)) return path
  await dropOldest(kept)
  const partial = `${path}.partial`
  await rm(partial, { recursive: true, force: true })
  await unpack(join(directory, boardPaths.disk), board.partitions[load.slot].offset, '/', partial)
  await rename(partial, path)
  return path
}

/** @param into existing directory */
export async function unpackData(disk: string, part: { offset: number }, into: string): Promise<void> {
  await dump(disk, part.offset, '/everboot', into)
}

async function unpack(disk: string, offset: number, from: string, into: string): Promise<void> {
  const type = await filesystemOf(disk, offset)
  if (type === 'squashfs') {
    await tool('unsquashfs', '-quiet', '-no-progress', '-no-xattrs', '-o', `${offset}`, '-d', into, disk)
    return
  }
  if (type === null) raise('EB-IMAGE', 'the slot holds neither ext4 nor squashfs')
  await mkdir(into, { recursive: true })
  await dump(disk, offset, from, into)
}

/** debugfs ends with status 0 whatever happens, so what it made is looked at. */
async function dump(disk: string, offset: number, from: string, into: string): Promise<void> {
  if (/["\\]/.test(into)) raise('EB-USAGE', `debugfs takes no path like ${into}`)
  await tool('debugfs', '-R', `rdump "${from}" "${into}"`, `${disk}?offset=${offset}`)
  if ((await readdir(into)).length === 0) raise('EB-TOOL-FAILED', `debugfs took nothing out of ${disk}`)
}

async function dropOldest(kept: string): Promise<void> {
  const ages: { name: string; time: number }[] = []
  for (const name of await readdir(kept)) ages.push({ name, time: (await stat(join(kept, name))).mtimeMs })
  ages.sort((one, other) => other.time - one.time)
  for (const { name } of ages.slice(boardLimits.unpackedMax - 1)) {
    await rm(join(kept, name), { recursive: true, force: true })
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch {
    return false
  }
}
