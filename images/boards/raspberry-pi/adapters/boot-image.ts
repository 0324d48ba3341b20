/**
 * The boot partition of a release as a FAT image: firmware, device trees, overlays, kernel, initramfs, texts.
 * Promise: made by mkfs.vfat and mtools without a mount; nothing in it names a slot.
 * Leaves to others: choosing kernel and initramfs (release.ts), the rules (boot-files.ts).
 */
import { cp, lstat, mkdir, readdir, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { piLimits } from '../../../../core/disk-limits.ts'
import { raise } from '../../../../core/errors.ts'
import { slotLimits } from '../../../../core/limits.ts'
import { bytesText, KiB, MiB, roundUp } from '../../../../core/units.ts'
import { treeBytes } from '../../../release/verity.ts'
import { tool } from '../../arm64/adapters/disk-file.ts'
import { bootNames, chooseFirmware, commandLineText, configText, type Firmware } from '../boot-files.ts'
import type { RootKernel } from './root.ts'

export interface BootImagePlan {
  readonly kernel: RootKernel
  readonly initramfs: Uint8Array
  readonly firmware: string
  /** Lines for config.txt and words for the kernel besides the board's own. */
  readonly configLines: string
  readonly kernelWords: string
  readonly watchdogSeconds: number
  /** Room of the boot partitions. */
  readonly partitionBytes: number
  /** Empty directory. */
  readonly work: string
}

/** @returns path of the image. @throws EverbootError EB-BOARD-FIRMWARE, EB-TOO-LARGE */
export async function makeBootImage(plan: BootImagePlan): Promise<string> {
  const stage = join(plan.work, 'boot')
  await mkdir(stage)
  const upstream = await stageFirmware(plan, stage)
  await cp(plan.kernel.file, join(stage, bootNames.kernel))
  await writeFile(join(stage, bootNames.initramfs), plan.initramfs)
  await writeFile(join(stage, bootNames.config), configText({ upstream, more: plan.configLines }))
  await writeFile(join(stage, bootNames.commandLine), commandLineText(plan.watchdogSeconds, plan.kernelWords))
  const bytes = await imageBytes(stage)
  const room = plan.partitionBytes - treeBytes(bytes) - slotLimits.sealAreaBytes
  if (bytes > room) {
    raise(
      'EB-TOO-LARGE',
      `the boot files need ${bytesText(bytes)}, the boot partitions have ${bytesText(room)}`,
      {
        todo: 'give larger boot partitions with --boot-bytes',
      },
    )
  }
  const image = join(plan.work, 'boot.img')
  await writeFile(image, '')
  await truncate(image, bytes)
  await tool('mkfs.vfat', ['-F', '32', '-s', '1', '-S', '512', '-n', 'BOOT', image])
  const names = (await readdir(stage)).sort().map((it) => join(stage, it))
  await tool('mcopy', ['-s', '-Q', '-i', image, ...names, '::'])
  return image
}

/** @throws EverbootError EB-BOARD-FIRMWARE when the directory cannot start a board */
export async function readFirmware(directory: string): Promise<Firmware> {
  const names = await readdir(directory).catch((cause: Error) =>
    raise('EB-BOARD-FIRMWARE', `${directory} cannot be read: ${cause.message}`, { cause }),
  )
  return chooseFirmware(directory, names)
}

/** @returns whether the device trees are named as in the kernel's own tree */
async function stageFirmware({ firmware, kernel }: BootImagePlan, stage: string): Promise<boolean> {
  const chosen = await readFirmware(firmware)
  for (const name of chosen.programs) await cp(join(firmware, name), join(stage, name))
  const ofKernel = kernel.deviceTrees === null ? [] : await treesOf(join(kernel.deviceTrees, 'broadcom'))
  // Those of the kernel itself fit it; a firmware directory may be of another one.
  const trees = ofKernel.length > 0 ? ofKernel : chosen.deviceTrees.map((it) => join(firmware, it))
  if (trees.length === 0) {
    raise(
      'EB-BOARD-FIRMWARE',
      `neither ${firmware} nor the kernel ${kernel.release} has device trees (bcm2*.dtb)`,
    )
  }
  for (const path of trees) await cp(path, join(stage, path.split('/').at(-1) ?? ''))
  const overlays = kernel.deviceTrees === null ? null : join(kernel.deviceTrees, 'overlays')
  for (const place of [overlays, join(firmware, 'overlays')]) {
    if (place === null || !(await isDirectory(place))) continue
    await cp(place, join(stage, 'overlays'), { recursive: true })
    break
  }
  return trees.some((it) => /bcm283[67]-rpi/.test(it)) && !trees.some((it) => /bcm2710-rpi/.test(it))
}

async function treesOf(place: string): Promise<readonly string[]> {
  const names = await readdir(place).catch(() => [])
  return names
    .filter((it) => /^bcm2\d{3}[\w-]*\.dtb$/.test(it))
    .sort()
    .map((it) => join(place, it))
}

async function isDirectory(path: string): Promise<boolean> {
  return lstat(path).then(
    (it) => it.isDirectory(),
    () => false,
  )
}

/** Content with room for its tables, and enough clusters for a FAT32. */
async function imageBytes(stage: string): Promise<number> {
  let content = 0
  for (const it of await readdir(stage, { recursive: true, withFileTypes: true })) {
    const path = join(it.parentPath, it.name)
    content += it.isFile() ? roundUp((await lstat(path)).size, 512) : 32 * KiB
  }
  return roundUp(Math.max(piLimits.bootImageBytesMin, content * 1.03 + 2 * MiB), MiB)
}
