/**
 * Partition tables: GPT (UEFI 2.10, section 5.3) and MBR with logical partitions, and FAT boot sectors.
 * Promise: both checksums of a GPT are checked; a table that names bytes outside the disk or runs in circles is
 * EB-FIRST-BOOT; lengths are bounded before anything is read.
 * Leaves to others: what is on the partitions.
 */
import { crc32 } from 'node:zlib'
import { raise } from '../../core/errors.ts'
import { flashLimits } from '../../core/limits.ts'
import { type ByteSource, readExactly } from '../release/byte-source.ts'

export interface Partition {
  /** As Linux counts: 1 is the first. 0: a file system without a table. */
  readonly number: number
  /** Bytes from the start of the disk. */
  readonly start: number
  readonly bytes: number
}

const sector = 512
const code = 'EB-FIRST-BOOT'

/** The partitions in the order of their numbers; empty when there is no table. @throws EverbootError EB-FIRST-BOOT */
export async function readPartitions(disk: ByteSource): Promise<readonly Partition[]> {
  if (disk.bytes < sector) return []
  const first = await sectorAt(disk, 0)
  if (!isSigned(first) || isFat(first)) return []
  const entries = primaryEntries(first)
  if (entries.some((it) => it.type === 0xee)) return readGpt(disk)
  const partitions: Partition[] = []
  for (const [index, it] of entries.entries()) {
    if (it.type === 0 || isExtended(it.type)) continue
    partitions.push(inside(disk, { number: index + 1, start: it.first * sector, bytes: it.sectors * sector }))
  }
  const extended = entries.find((it) => isExtended(it.type))
  const logical = extended === undefined ? [] : await readLogical(disk, extended.first, extended.sectors)
  return [...partitions, ...logical]
}

/** The first partition with a FAT file system, or null. @throws EverbootError EB-FIRST-BOOT */
export async function findFat(disk: ByteSource): Promise<Partition | null> {
  if (disk.bytes >= sector && isFat(await sectorAt(disk, 0)))
    return { number: 0, start: 0, bytes: disk.bytes }
  for (const it of await readPartitions(disk)) {
    if (it.bytes >= sector && isFat(await sectorAt(disk, it.start))) return it
  }
  return null
}

interface MbrEntry {
  readonly type: number
  readonly first: number
  readonly sectors: number
}

function primaryEntries(table: Uint8Array): readonly MbrEntry[] {
  const view = viewOf(table)
  return [0, 1, 2, 3].map((index) => {
    const at = 446 + 16 * index
    return {
      type: view.getUint8(at + 4),
      first: view.getUint32(at + 8, true),
      sectors: view.getUint32(at + 12, true),
    }
  })
}

function isExtended(type: number): boolean {
  return type === 0x05 || type === 0x0f || type === 0x85
}

/** A chain of tables, each with one partition, from its own sector, and the next table, from the first one. */
async function readLogical(disk: ByteSource, base: number, sectors: number): Promise<readonly Partition[]> {
  const found: Partition[] = []
  let at = base
  for (let links = 0; links < flashLimits.logicalPartitionsMax; links += 1) {
    const table = await sectorAt(disk, at * sector)
    if (!isSigned(table)) raise(code, `${disk.name} has a damaged extended partition table at sector ${at}`)
    const [own, next] = primaryEntries(table)
    if (own !== undefined && own.type !== 0) {
      const number = 5 + found.length
      found.push(inside(disk, { number, start: (at + own.first) * sector, bytes: own.sectors * sector }))
    }
    if (next === undefined || next.type === 0) return found
    const to = base + next.first
    if (to <= at || next.first >= sectors)
      raise(code, `${disk.name} has a partition table that leads to sector ${to}`)
    at = to
  }
  raise(code, `${disk.name} has more than ${flashLimits.logicalPartitionsMax} logical partitions`)
}

const gptMagic = 'EFI PART'
const gptHeadBytesMin = 92

/** Disks with sectors of 4 KiB have their table in units of those. */
async function readGpt(disk: ByteSource): Promise<readonly Partition[]> {
  for (const unit of [sector, 4096]) {
    if (disk.bytes < 2 * unit) continue
    const head = await sectorAt(disk, unit)
    if (Buffer.from(head.buffer, 0, 8).toString('latin1') === gptMagic) return gptEntries(disk, head, unit)
  }
  raise(code, `${disk.name} has a protective MBR, but no GPT behind it`)
}

async function gptEntries(disk: ByteSource, head: Uint8Array, unit: number): Promise<readonly Partition[]> {
  const view = viewOf(head)
  const headBytes = view.getUint32(12, true)
  const sum = view.getUint32(16, true)
  const cleared = Uint8Array.from(head.subarray(0, Math.min(sector, headBytes))).fill(0, 16, 20)
  if (headBytes < gptHeadBytesMin || headBytes > sector || crc32(cleared) !== sum) {
    raise(code, `${disk.name} has a GPT header that does not match its checksum`)
  }
  const count = view.getUint32(80, true)
  const size = view.getUint32(84, true)
  const sane = size >= 128 && size <= flashLimits.tableEntryBytesMax && size % 8 === 0
  if (!sane || count > flashLimits.tableEntriesMax) {
    raise(code, `${disk.name} has a GPT of ${count} entries of ${size} bytes`)
  }
  const table = new Uint8Array(count * size)
  await readExactly(disk, position(disk, view, 72, unit), table, code)
  if (crc32(table) !== view.getUint32(88, true)) {
    raise(code, `${disk.name} has a GPT that does not match its checksum`)
  }
  return gptPartitions(disk, table, size, unit)
}

function gptPartitions(
  disk: ByteSource,
  table: Uint8Array,
  size: number,
  unit: number,
): readonly Partition[] {
  const view = viewOf(table)
  const found: Partition[] = []
  for (let index = 0; index * size < table.length; index += 1) {
    const at = index * size
    if (table.subarray(at, at + 16).every((it) => it === 0)) continue
    const start = position(disk, view, at + 32, unit)
    const end = position(disk, view, at + 40, unit) + unit
    found.push(inside(disk, { number: index + 1, start, bytes: end - start }))
  }
  return found
}

/** A sector number as bytes from the start. */
function position(disk: ByteSource, view: DataView, at: number, unit: number): number {
  const bytes = Number(view.getBigUint64(at, true)) * unit
  if (bytes < disk.bytes) return bytes
  raise(code, `${disk.name} has a partition table that names byte ${bytes} of ${disk.bytes}`)
}

function inside(disk: ByteSource, it: Partition): Partition {
  if (it.start > 0 && it.bytes > 0 && it.start + it.bytes <= disk.bytes) return it
  raise(code, `partition ${it.number} of ${disk.name} has ${it.bytes} bytes at ${it.start} of ${disk.bytes}`)
}

/** A FAT boot sector: jump, a sane parameter block, signature, and the name that every mkfs writes. */
function isFat(boot: Uint8Array): boolean {
  const view = viewOf(boot)
  const jump = view.getUint8(0)
  const bytes = view.getUint16(11, true)
  const cluster = view.getUint8(13)
  const copies = view.getUint8(16)
  const text = (at: number): string => Buffer.from(boot.subarray(at, at + 5)).toString('latin1')
  const named = /^FAT1[26]$/.test(text(54)) || text(82) === 'FAT32'
  return (
    isSigned(boot) &&
    (jump === 0xeb || jump === 0xe9) &&
    [512, 1024, 2048, 4096].includes(bytes) &&
    cluster !== 0 &&
    (cluster & (cluster - 1)) === 0 &&
    copies >= 1 &&
    named
  )
}

function isSigned(bytes: Uint8Array): boolean {
  return bytes[510] === 0x55 && bytes[511] === 0xaa
}

async function sectorAt(disk: ByteSource, offset: number): Promise<Uint8Array> {
  if (offset + sector > disk.bytes)
    raise(code, `${disk.name} has a partition table that names byte ${offset}`)
  const bytes = new Uint8Array(sector)
  await readExactly(disk, offset, bytes, code)
  return bytes
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
