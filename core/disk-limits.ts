/** The limits of disks that are made for boards; limits.ts has all the others. */
import { MiB } from './units.ts'

/** The disk of a Raspberry Pi. */
export const piLimits = {
  /** Room for a FAT16 whose clusters are one sector, and for the file of the first boot. */
  autobootPartitionBytes: 16 * MiB,
  bootPartitionBytes: 256 * MiB,
  /** Below this a FAT32 is none by its number of clusters. */
  bootImageBytesMin: 64 * MiB,
  dataPartitionBytes: 512 * MiB,
  /** The firmware reads no more of a line of config.txt. */
  configLineBytesMax: 98,
  watchdogSeconds: 120,
  /** The hardware counts sixteen seconds; the kernel's driver makes more of it. */
  watchdogSecondsMax: 600,
  /** Of a kernel, expanded. */
  kernelBytesMax: 256 * MiB,
} as const
