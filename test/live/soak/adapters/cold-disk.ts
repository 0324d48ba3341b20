/**
 * The disk of a board that is off, read beside everything that runs on the board: record and stamp also by
 * `fw_printenv`, seals by the loader's own verifier, image areas byte for byte, the journal by `debugfs`.
 * Promise: nothing is written to it.
 */
import { readFileSync } from 'node:fs'
import { type FileHandle, open, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openFileDevice } from '../../../../bootloader-sim/adapters/file-device.ts'
import { runTool, tool } from '../../../../bootloader-sim/adapters/tools.ts'
import { type BoardFile, boardPaths } from '../../../../bootloader-sim/board-file.ts'
import { verifyNoble } from '../../../../bootloader-sim/verify-noble.ts'
import { readWhole } from '../../../../core/block-io.ts'
import { currentRecord, readRecord, readStamp } from '../../../../core/boot-partition.ts'
import { type BootRecord, bootPartition } from '../../../../core/boot-record.ts'
import { orThrow } from '../../../../core/errors.ts'
import { slotLimits } from '../../../../core/limits.ts'
import { MiB, type SlotId } from '../../../../core/units.ts'
import { decodeJournal } from '../../../../device/update/journal.ts'
import { openSeal } from '../../../../images/release/seal.ts'
import { sealOffset } from '../../../../images/release/slot-layout.ts'
import { decodeTrust } from '../../../../keys/trust.ts'
import type { DiskFacts, KnownRelease, SlotFacts } from '../facts.ts'
import { soakLimits } from '../limits.ts'

/** @param directory of the board */
export async function readColdDisk(
  directory: string,
  board: BoardFile,
  releases: ReadonlyMap<string, KnownRelease>,
): Promise<DiskFacts> {
  const disk = join(directory, boardPaths.disk)
  const device = await openFileDevice({ path: disk, ...board.partitions.boot }, 'read')
  try {
    const copies = await readRecord(device)
    return {
      copies: copies.copies,
      record: currentRecord(copies),
      stamp: await readStamp(device),
      printed: await printedOf(directory, disk, board.partitions.boot.offset),
      slots: {
        a: await slotFacts(directory, board, 'a', releases),
        b: await slotFacts(directory, board, 'b', releases),
      },
      ...(await journalFacts(directory, disk, board.partitions.data)),
    }
  } finally {
    await device.close()
  }
}

/** The record that counts, of a board that may be running. */
export async function readLiveRecord(directory: string, board: BoardFile): Promise<BootRecord | null> {
  const path = join(directory, boardPaths.disk)
  const device = await openFileDevice({ path, ...board.partitions.boot }, 'read')
  try {
    return currentRecord(await readRecord(device))
  } finally {
    await device.close()
  }
}

async function printedOf(directory: string, disk: string, offset: number): Promise<DiskFacts['printed']> {
  const areas = [
    ...bootPartition.copyOffsets.map((at) => [at, slotLimits.recordCopyBytes] as const),
    [bootPartition.stampOffset, slotLimits.stampBytes] as const,
  ]
  const printed: (Record<string, string> | null)[] = []
  for (const [at, bytes] of areas) {
    const config = join(directory, 'fw.config')
    await writeFile(config, `${disk} 0x${(offset + at).toString(16)} 0x${bytes.toString(16)}\n`)
    // A bad checksum makes it print a default environment with status 0, and say so.
    const { status, output, errors } = await runTool(['fw_printenv', '-c', config])
    const good = status === 0 && !/bad CRC/i.test(errors)
    printed.push(good ? Object.fromEntries(output.trim().split('\n').map(keyAndValue)) : null)
  }
  return printed
}

function keyAndValue(line: string): readonly [string, string] {
  const at = line.indexOf('=')
  return [line.slice(0, at), line.slice(at + 1)]
}

async function slotFacts(
  directory: string,
  board: BoardFile,
  slot: SlotId,
  releases: ReadonlyMap<string, KnownRelease>,
): Promise<SlotFacts> {
  const disk = join(directory, boardPaths.disk)
  const part = board.partitions[slot]
  const trustPath = join(directory, boardPaths.trust)
  const trust = orThrow(decodeTrust(readFileSync(trustPath), trustPath))
  const device = await openFileDevice({ path: disk, ...part }, 'read')
  const area = device.allocate(slotLimits.sealAreaBytes)
  await readWhole(device, sealOffset(part.bytes), area, 'the seal').finally(() => device.close())
  const opened = openSeal(area, trust.seal, verifyNoble)
  if (!opened.ok) return { release: null, securityVersion: 0, sealFits: false, differsAt: null }
  const { releaseId, securityVersion, images } = opened.value
  const release = releases.get(releaseId)
  const [image] = images
  return {
    release: releaseId,
    securityVersion,
    sealFits:
      images.length === 1 &&
      image?.verityRoot === release?.verityRoot &&
      securityVersion === release?.securityVersion,
    differsAt: release === undefined ? 0 : await firstDifference(release.image, disk, part.offset),
  }
}

/** @returns where, within the image, the disk from `offset` on is other than the whole image */
async function firstDifference(image: string, disk: string, offset: number): Promise<number | null> {
  const wanted = await open(image, 'r')
  const found = await open(disk, 'r')
  try {
    const { size } = await wanted.stat()
    const buffers = [Buffer.alloc(soakLimits.compareBytes), Buffer.alloc(soakLimits.compareBytes)] as const
    for (let at = 0; at < size; at += soakLimits.compareBytes) {
      const bytes = Math.min(soakLimits.compareBytes, size - at)
      const want = await readPart(wanted, buffers[0], bytes, at)
      const have = await readPart(found, buffers[1], bytes, offset + at)
      if (want.equals(have)) continue
      return at + want.findIndex((byte, index) => byte !== have[index])
    }
    return null
  } finally {
    await wanted.close()
    await found.close()
  }
}

async function readPart(file: FileHandle, into: Buffer, bytes: number, at: number): Promise<Buffer> {
  const { bytesRead } = await file.read(into, 0, bytes, at)
  return into.subarray(0, bytesRead)
}

/** After a cut the file system has a journal of its own to play first, as the board does at its next boot. */
async function journalFacts(
  directory: string,
  disk: string,
  { offset, bytes }: BoardFile['partitions']['data'],
): Promise<Pick<DiskFacts, 'finished' | 'journal'>> {
  const [data, copy] = [join(directory, 'data.copy'), join(directory, 'journal.copy')]
  await rm(copy, { force: true })
  const blocks = ['bs=1M', `skip=${offset / MiB}`, `count=${bytes / MiB}`, 'conv=sparse', 'status=none']
  await tool('dd', `if=${disk}`, `of=${data}`, ...blocks)
  const { status } = await runTool(['e2fsck', '-p', data])
  if (status === null || status > 1) return { finished: null, journal: 'bad' }
  await tool('debugfs', '-R', `dump "/everboot/state/journal" "${copy}"`, data)
  const found = await readFile(copy).catch(() => null)
  if (found === null || found.length === 0) return { finished: null, journal: 'none' }
  const journal = decodeJournal(found)
  if (journal === null) return { finished: null, journal: 'bad' }
  const { finished } = journal
  return {
    finished: finished === null ? null : { seq: finished.seq, result: finished.result },
    journal: 'good',
  }
}
