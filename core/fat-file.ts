/**
 * A small file in the root directory of a FAT file system (12, 16 or 32 bits), read and overwritten in place: the
 * one data sector that it lies in is written, nothing else.
 * Promise: neither directory nor allocation table is ever written, so a cut leaves the old sector, the new one or a
 * garbled one, and always a whole file system with the file in it. What does not look like FAT is refused.
 * Why not a new file and a rename: FAT has no journal; a cut between the two directory sectors leaves both names or
 * none. Leaves to others: what the file says. Nobody may have the file system mounted for writing meanwhile.
 */
import { autobootBytes, autobootBytesMax } from './autoboot.ts'
import { readWhole, writeWhole } from './block-io.ts'
import { raise } from './errors.ts'
import { boardLimits } from './limits.ts'
import type { BlockDevice } from './ports.ts'

/** On the first FAT partition of a Raspberry Pi. */
export const autobootName = 'autoboot.txt'

/** Where the content of the file lies on the partition. */
export interface FatPlace {
  readonly offset: number
  readonly bytes: number
}

interface Layout {
  readonly clusterBytes: number
  readonly sectorBytes: number
  readonly fatOffset: number
  readonly dataOffset: number
  readonly clusters: number
  /** Of FAT12 and FAT16, outside the clusters; null: FAT32, by chain. */
  readonly root: FatPlace | { readonly cluster: number }
}

const entryBytes = 32
/** A long name, a directory, a volume label. */
const noFile = 0x18
const deleted = 0xe5

/**
 * @param name such as `autoboot.txt`: eight characters, a dot, three
 * @throws EverbootError EB-AUTOBOOT when there is no such file system, file, or when it does not fit one sector
 */
export async function findFatFile(device: BlockDevice, name: string): Promise<FatPlace> {
  const layout = layoutOf(await readAt(device, 0, 512), device)
  const wanted = shortName(name)
  for await (const directory of rootOf(device, layout)) {
    for (let at = 0; at + entryBytes <= directory.length; at += entryBytes) {
      const entry = Buffer.from(directory.subarray(at, at + entryBytes))
      const first = entry.readUInt8(0)
      if (first === 0) return noSuch(name)
      if (first === deleted || (entry.readUInt8(11) & noFile) !== 0) continue
      if (entry.toString('latin1', 0, 11) === wanted) return placeOf(name, entry, layout)
    }
  }
  return noSuch(name)
}

/** @throws EverbootError EB-AUTOBOOT */
export async function readFatFile(device: BlockDevice, { offset, bytes }: FatPlace): Promise<Uint8Array> {
  return readAt(device, offset, bytes)
}

/** Writes the sector, flushes, reads it back. @throws EverbootError EB-AUTOBOOT when the medium did not keep it */
export async function overwriteFatFile(
  device: BlockDevice,
  place: FatPlace,
  content: Uint8Array,
): Promise<void> {
  const { offset, bytes } = place
  if (content.length !== bytes) raise('EB-AUTOBOOT', `the file has ${bytes} bytes, not ${content.length}`)
  const { from, block } = await blockAround(device, offset, bytes)
  block.set(content, offset - from)
  await writeWhole(device, from, block, 'autoboot.txt', 'EB-AUTOBOOT')
  await device.flush()
  const again = await readAt(device, offset, bytes)
  if (Buffer.compare(again, content) !== 0) raise('EB-AUTOBOOT', 'autoboot.txt reads back other than written')
}

function noSuch(name: string): never {
  raise('EB-AUTOBOOT', `there is no ${name} in the root directory of the first partition`)
}

/** `autoboot.txt` as directories have it. */
function shortName(name: string): string {
  const [base = '', extension = ''] = name.toUpperCase().split('.')
  return base.padEnd(8) + extension.padEnd(3)
}

function layoutOf(sector: Uint8Array, device: BlockDevice): Layout {
  const view = new DataView(sector.buffer, sector.byteOffset, sector.byteLength)
  const sectorBytes = view.getUint16(11, true)
  const perCluster = view.getUint8(13)
  const isPower = (it: number): boolean => it > 0 && (it & (it - 1)) === 0
  const isFat = view.getUint16(510, true) === 0xaa55 && isPower(sectorBytes) && isPower(perCluster)
  if (!isFat || sectorBytes < 512 || sectorBytes > 4096)
    raise('EB-AUTOBOOT', 'the first partition holds no FAT')
  const reserved = view.getUint16(14, true)
  const fats = view.getUint8(16)
  const rootEntries = view.getUint16(17, true)
  const total = view.getUint16(19, true) || view.getUint32(32, true)
  const perFat = view.getUint16(22, true) || view.getUint32(36, true)
  const rootSectors = Math.ceil((rootEntries * entryBytes) / sectorBytes)
  const rootOffset = (reserved + fats * perFat) * sectorBytes
  const dataOffset = rootOffset + rootSectors * sectorBytes
  if (
    fats === 0 ||
    perFat === 0 ||
    dataOffset >= device.sizeBytes ||
    total * sectorBytes > device.sizeBytes
  ) {
    raise('EB-AUTOBOOT', 'the FAT of the first partition does not fit it')
  }
  const root =
    rootEntries === 0
      ? { cluster: view.getUint32(44, true) }
      : { offset: rootOffset, bytes: rootSectors * sectorBytes }
  return {
    clusterBytes: perCluster * sectorBytes,
    sectorBytes,
    fatOffset: reserved * sectorBytes,
    dataOffset,
    clusters: Math.min(
      Math.floor((total * sectorBytes - dataOffset) / (perCluster * sectorBytes)),
      // No more than the table has entries for, of which two are reserved.
      Math.floor((perFat * sectorBytes * 8) / (rootEntries === 0 ? 32 : 12)) - 2,
    ),
    root,
  }
}

/** The root directory, part by part. */
async function* rootOf(device: BlockDevice, layout: Layout): AsyncGenerator<Uint8Array> {
  const { root, clusterBytes } = layout
  if ('bytes' in root) {
    yield readAt(device, root.offset, root.bytes)
    return
  }
  let { cluster } = root
  for (let count = 0; count < boardLimits.directoryClustersMax && isData(cluster, layout); count += 1) {
    yield readAt(device, clusterOffset(cluster, layout), clusterBytes)
    const entry = await readAt(device, layout.fatOffset + cluster * 4, 4)
    cluster = new DataView(entry.buffer, entry.byteOffset).getUint32(0, true) & 0x0fff_ffff
  }
}

function isData(cluster: number, { clusters }: Layout): boolean {
  return cluster >= 2 && cluster < clusters + 2
}

function clusterOffset(cluster: number, { dataOffset, clusterBytes }: Layout): number {
  return dataOffset + (cluster - 2) * clusterBytes
}

function placeOf(name: string, entry: Uint8Array, layout: Layout): FatPlace {
  const view = new DataView(entry.buffer, entry.byteOffset, entry.byteLength)
  const high = 'bytes' in layout.root ? 0 : view.getUint16(20, true)
  const cluster = high * 0x1_0000 + view.getUint16(26, true)
  const bytes = view.getUint32(28, true)
  if (bytes < autobootBytes || bytes > autobootBytesMax || !isData(cluster, layout)) {
    const wanted = `between ${autobootBytes} and ${autobootBytesMax}`
    raise('EB-AUTOBOOT', `${name} has ${bytes} bytes, it must have ${wanted}`)
  }
  return { offset: clusterOffset(cluster, layout), bytes }
}

async function readAt(device: BlockDevice, offset: number, bytes: number): Promise<Uint8Array> {
  const { from, block } = await blockAround(device, offset, bytes)
  return new Uint8Array(block.subarray(offset - from, offset - from + bytes))
}

/** Whole sectors of the device around a range. */
async function blockAround(
  device: BlockDevice,
  offset: number,
  bytes: number,
): Promise<{ readonly from: number; readonly block: Uint8Array }> {
  const { sectorBytes } = device
  const from = offset - (offset % sectorBytes)
  const block = device.allocate(Math.ceil((offset + bytes - from) / sectorBytes) * sectorBytes)
  await readWhole(device, from, block, 'the first partition', 'EB-AUTOBOOT')
  return { from, block }
}
