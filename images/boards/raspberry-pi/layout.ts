/**
 * Where everything lies on the disk of a Raspberry Pi: an MBR, since start4.elf counts only FAT partitions in a GPT.
 * Promise: the three FAT partitions that the firmware reads are primary, 1 to 3, the rest are logical; all lie on
 * 1 MiB edges; the data partition is the last, so it can grow.
 * Leaves to others: writing them (adapters/disk.ts). Source: rpi-eeprom issue 654, Raspberry Pi documentation,
 * "autoboot.txt".
 */
import { bootPartition } from '../../../core/boot-record.ts'
import { piLimits } from '../../../core/disk-limits.ts'
import { boardLimits } from '../../../core/limits.ts'
import { MiB, roundUp } from '../../../core/units.ts'
import { type Partition, sectorBytes } from '../arm64/partition.ts'

/** Numbers in the MBR; 4 is the extended partition around the logical ones. */
export const partitionNumbers = {
  autoboot: 1,
  'boot-a': 2,
  'boot-b': 3,
  'root-a': 5,
  'root-b': 6,
  record: 7,
  data: 8,
} as const
export type PartitionName = keyof typeof partitionNumbers
export const partitionNames = Object.keys(partitionNumbers) as readonly PartitionName[]
const extendedNumber = 4

/** Disk signature by which the initramfs knows its disk; "EVBT". */
export const diskMark = 0x45564254

export interface PiDiskLayout {
  readonly bytes: number
  readonly partitions: Readonly<Record<PartitionName, Partition>>
  readonly extended: Partition
}

export interface PiSizes {
  /** Room of a boot partition: FAT image and its tree. */
  readonly bootBytes: number
  /** Room of a root partition: image, tree, seal. */
  readonly rootBytes: number
  readonly dataBytes: number
}

/** All sizes are rounded up to 1 MiB. */
export function layOutPiDisk({ bootBytes, rootBytes, dataBytes }: PiSizes): PiDiskLayout {
  let next = MiB
  const place = (name: PartitionName, bytes: number): Partition => {
    const offset = next
    next += roundUp(bytes, MiB)
    return { number: partitionNumbers[name], offset, bytes: next - offset }
  }
  // In front of each logical partition lies a sector of the table.
  const logical = (name: PartitionName, bytes: number): Partition => {
    next += MiB
    return place(name, bytes)
  }
  const primary = {
    autoboot: place('autoboot', piLimits.autobootPartitionBytes),
    'boot-a': place('boot-a', bootBytes),
    'boot-b': place('boot-b', bootBytes),
  }
  const start = next
  const partitions = {
    ...primary,
    'root-a': logical('root-a', rootBytes),
    'root-b': logical('root-b', rootBytes),
    record: logical('record', Math.max(boardLimits.bootPartitionBytes, bootPartition.bytesMin)),
    data: logical('data', dataBytes),
  }
  return { bytes: next, partitions, extended: { number: extendedNumber, offset: start, bytes: next - start } }
}

/** What `sfdisk` reads. Types: c FAT with LBA, f extended with LBA, 83 Linux. */
export function sfdiskScript({ partitions, extended }: PiDiskLayout): string {
  const line = ({ number, offset, bytes }: Partition, type: string): string =>
    `${number} : start=${offset / sectorBytes}, size=${bytes / sectorBytes}, type=${type}`
  const fat = ['autoboot', 'boot-a', 'boot-b'] as const
  const linux = ['root-a', 'root-b', 'record', 'data'] as const
  return [
    'label: dos',
    `label-id: 0x${diskMark.toString(16)}`,
    'unit: sectors',
    '',
    ...fat.map((it) => line(partitions[it], 'c')),
    line(extended, 'f'),
    ...linux.map((it) => line(partitions[it], '83')),
    '',
  ].join('\n')
}
