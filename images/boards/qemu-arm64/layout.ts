/**
 * Where everything lies on the disk of the QEMU board: a GPT of five partitions on 1 MiB edges.
 * Promise: the record is raw and has room for both copies and the stamp; a slot is one partition that starts with
 * its file system, which is what a stock U-Boot can load a kernel from.
 * Leaves to others: writing them (adapters/disk.ts).
 */
import { bootPartition } from '../../../core/boot-record.ts'
import { boardLimits } from '../../../core/limits.ts'
import { KiB, MiB, roundUp } from '../../../core/units.ts'
import type { Partition } from '../arm64/partition.ts'

/** Flash of the `virt` machine: one unit with U-Boot, one whose start is U-Boot's environment. */
export const flashBytes = 64 * MiB
export const flashEnvironmentBytes = 256 * KiB

/** Numbers in the GPT, from which the kernel's names follow: vda1 to vda5. */
export const partitionNumbers = { loader: 1, record: 2, a: 3, b: 4, data: 5 } as const
export type PartitionName = keyof typeof partitionNumbers
export const partitionNames = Object.keys(partitionNumbers) as readonly PartitionName[]

export interface DiskLayout {
  readonly bytes: number
  readonly partitions: Readonly<Record<PartitionName, Partition>>
}

/** FAT wants some thousand clusters. */
const loaderBytes = 8 * MiB

/** @param slotBytes room for image, tree and seal. */
export function layOutDisk(
  slotBytes: number,
  dataBytes: number = boardLimits.dataPartitionBytes,
): DiskLayout {
  let next = MiB
  const place = (name: PartitionName, bytes: number): Partition => {
    const offset = next
    next += roundUp(bytes, MiB)
    return { number: partitionNumbers[name], offset, bytes: roundUp(bytes, MiB) }
  }
  const partitions = {
    loader: place('loader', loaderBytes),
    record: place('record', Math.max(boardLimits.bootPartitionBytes, bootPartition.bytesMin)),
    a: place('a', slotBytes),
    b: place('b', slotBytes),
    data: place('data', dataBytes),
  }
  // The last MiB is for the second copy of the partition table.
  return { bytes: next + MiB, partitions }
}
