/**
 * Puts one file into a FAT partition of a disk, by mtools: no mount, no root for a plain file.
 * Promise: the content goes through a pipe, never through a file of its own; it is read back and compared.
 * Leaves to others: finding the partition (partition-table.ts), flushing the disk.
 */
import { raise } from '../../../core/errors.ts'
import { flashLimits } from '../../../core/limits.ts'
import { ensureHostTools } from '../../build/adapters/host-tools.ts'
import { runTool } from '../../build/adapters/run-tool.ts'
import type { Partition } from '../partition-table.ts'

/** @throws EverbootError EB-TOOL-MISSING naming the Debian package */
export async function findMcopy(): Promise<string> {
  return (await ensureHostTools(['mcopy'], { install: false })).path('mcopy')
}

/** @param disk path of the disk. @param mcopy from `findMcopy`. @throws EverbootError EB-FIRST-BOOT */
export async function putFatFile(
  mcopy: string,
  disk: string,
  { start, number }: Partition,
  file: { readonly name: string; readonly text: string },
): Promise<void> {
  const image = ['-i', `${disk}@@${start}`]
  // Tools of others lock the disk for moments; sizes of partitions and file systems need not agree.
  const environment = { MTOOLS_SKIP_CHECK: '1', MTOOLS_LOCK_TIMEOUT: '30' }
  const put = await runTool(mcopy, [...image, '-o', '-', `::${file.name}`], { environment, input: file.text })
  const where = `partition ${number} of ${disk}`
  if (put.status !== 0) {
    const why = put.errors.trim().split('\n').at(-1) ?? ''
    raise('EB-FIRST-BOOT', `${file.name} cannot be put on ${where}: ${why}`, {
      todo: 'see that the FAT partition of the image has room',
    })
  }
  const outputBytesMax = 2 * flashLimits.firstBootBytesMax
  const got = await runTool(mcopy, [...image, `::${file.name}`, '-'], { environment, outputBytesMax })
  if (got.status === 0 && got.output === file.text) return
  raise('EB-DISK-READBACK', `${where} does not hold ${file.name} as it was written`)
}
