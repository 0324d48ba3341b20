/**
 * The firmware of a Raspberry Pi, as far as it chooses a partition: by the number that `reboot N` gave, else by
 * autoboot.txt and the one-shot flag, else the first bootable one; a partition that is not bootable gives way to the
 * next (PARTITION_WALK=1, the default of bootloaders since 2025-08).
 * Promise: pure. It verifies nothing and counts nothing; the flag is cleared before anything starts, by whoever
 * calls this. Source: Raspberry Pi documentation, autoboot.txt and PARTITION_WALK.
 * Leaves to others: what the partition holds (initramfs.ts).
 */
import { autobootBytesMax } from '../../core/autoboot.ts'
import { boardLimits } from '../../core/limits.ts'

export interface FirmwareKnowledge {
  /** Bytes of autoboot.txt; null: there is no such file, or no file system. */
  readonly autoboot: Uint8Array | null
  /** The one-shot flag. */
  readonly tryboot: boolean
  /** Of `reboot N`; 0: none was given. */
  readonly requested: number
  /** Partitions with something that can be started. */
  readonly bootable: ReadonlySet<number>
}

/** @returns the partition that is started, or null when none is bootable */
export function choosePartition({
  autoboot,
  tryboot,
  requested,
  bootable,
}: FirmwareKnowledge): number | null {
  const named = requested > 0 ? requested : namedIn(autoboot, tryboot)
  const first = named === 0 || named > boardLimits.partitionsWalkedMax ? 1 : named
  for (let step = 0; step < boardLimits.partitionsWalkedMax; step += 1) {
    const partition = ((first - 1 + step) % boardLimits.partitionsWalkedMax) + 1
    if (bootable.has(partition)) return partition
  }
  return null
}

function namedIn(autoboot: Uint8Array | null, tryboot: boolean): number {
  return autoboot === null ? 0 : (partitionNamed(autoboot, tryboot) ?? 0)
}

/**
 * What the firmware makes of autoboot.txt, whatever its bytes are: the last line that counts is the one that counts.
 * @returns null where no partition is named
 */
export function partitionNamed(autoboot: Uint8Array, tryboot: boolean): number | null {
  let counts = true
  let partition: number | null = null
  const text = Buffer.from(autoboot.subarray(0, autobootBytesMax)).toString('latin1')
  for (const line of text.split(/\r?\n/)) {
    const section = /^\[([^\]]*)\]/.exec(line)?.[1]
    if (section !== undefined) counts = section === 'all' || (section === 'tryboot' && tryboot)
    const named = /^boot_partition=(\d{1,3})\s*$/.exec(line)?.[1]
    if (counts && named !== undefined) partition = Number(named)
  }
  return partition
}
