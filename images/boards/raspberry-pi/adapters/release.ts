/**
 * A release for Raspberry Pis: the images `rootfs` (ext4) and `boot` (vfat), the same for both slots, from a root
 * and a firmware directory to an `.ebr` that a hub takes.
 * Promise: what `image build` makes; the input is not changed, and what lies beside the output is gone afterwards.
 * Leaves to others: publishing it, the disk (disk.ts).
 */
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { piLimits } from '../../../../core/disk-limits.ts'
import { EverbootError, orThrow, raise } from '../../../../core/errors.ts'
import { decodeTrust } from '../../../../keys/trust.ts'
import { type BuiltRelease, buildRelease } from '../../../build/adapters/build-release.ts'
import type { ReleaseOptions } from '../../../release/writer.ts'
import { namedIfFull } from '../../arm64/adapters/disk-file.ts'
import { kernelLists, makeInitramfs } from '../../arm64/adapters/initramfs.ts'
import { boardPackages, cacheDirectory } from '../../arm64/adapters/packages.ts'
import { presentModules } from '../../arm64/modules.ts'
import { bootImage, hardwareId, piAgentSettings, piChoices } from '../agent-settings.ts'
import { neededModules, usefulModules } from '../modules.ts'
import { restartProgram } from '../restart-program.ts'
import { makeBootImage, readFirmware } from './boot-image.ts'
import { addEverboot, inspectRoot, ownSettings, type RootKernel, takeRoot } from './root.ts'

export interface PiReleaseOptions {
  /** Root directory, tar, or disk image. */
  readonly rootfs: string
  /** Directory with start*.elf; null: the FAT partition of the disk image. */
  readonly firmware: string | null
  /** The `.ebr` to make. */
  readonly out: string
  /** Key directory of the publisher. */
  readonly keys: string
  readonly options: Omit<ReleaseOptions, 'hardware'>
  readonly configLines?: string
  readonly kernelWords?: string
  readonly watchdogSeconds?: number
  readonly bootBytes?: number
  readonly devices?: readonly string[] | null
  readonly agent?: 'bundle' | { readonly file: string }
  readonly cache?: string
  /** Changes what would be written to /etc/everboot/agent.json. */
  readonly adjust?: (settings: Record<string, unknown>) => Record<string, unknown>
  readonly signal?: AbortSignal
  readonly phase?: (name: string, done: number, total: number) => void
}

export interface PiRelease {
  readonly built: BuiltRelease
  /** Release of the kernel, and whether it can ask the firmware for a trial. */
  readonly kernel: Pick<RootKernel, 'release' | 'tryboot'>
}

/** @throws EverbootError EB-BOARD-ROOT, EB-BOARD-FIRMWARE, EB-TOO-LARGE, EB-DISK-FULL, … */
export async function buildPiRelease(options: PiReleaseOptions): Promise<PiRelease> {
  const signal = options.signal ?? new AbortController().signal
  const phase = options.phase ?? (() => {})
  const parent = dirname(resolve(options.out))
  return namedIfFull(parent, async () => {
    await mkdir(parent, { recursive: true })
    const work = await mkdtemp(join(parent, '.everboot-pi-'))
    try {
      phase('unpacking', 0, 0)
      const taken = await takeRoot(options.rootfs, work, signal)
      const kernel = await inspectRoot(taken.directory)
      const firmware =
        options.firmware ??
        taken.firmware ??
        raise('EB-BOARD-FIRMWARE', 'no firmware is given, and the root comes without', {
          todo: "give --firmware, such as /usr/lib/raspi-firmware of Debian's raspi-firmware",
        })
      // Before anything is fetched.
      await readFirmware(firmware)
      const boot = await makeBoot(options, kernel, firmware, work)
      await putAgent(options, taken.directory)
      const built = await buildRelease({
        input: taken.directory,
        more: [{ name: bootImage, path: boot }],
        out: options.out,
        keys: options.keys,
        options: { ...options.options, hardware: [hardwareId] },
        filesystem: 'ext4',
        bytes: null,
        devices: options.devices ?? null,
        seed: null,
        releaseDirectory: null,
        signal,
        phase,
      })
      const { release, tryboot } = kernel
      return { built, kernel: { release, tryboot } }
    } finally {
      await rm(work, { recursive: true, force: true })
    }
  })
}

async function makeBoot(
  options: PiReleaseOptions,
  kernel: RootKernel,
  firmware: string,
  work: string,
): Promise<string> {
  const trust = orThrow(decodeTrust(await readFile(join(options.keys, 'trust.json')), 'trust.json'))
  const lists = await kernelLists(kernel.modules)
  const own = (name: string): Promise<Uint8Array> => readFile(new URL(`../files/${name}`, import.meta.url))
  const initramfs = await makeInitramfs({
    packages: await boardPackages(options.cache ?? cacheDirectory()),
    kernelModules: kernel.modules,
    modules: [...neededModules, ...presentModules(lists, usefulModules)],
    script: await own('initramfs.sh'),
    functions: new Map([['count.sh', await own('count.sh')]]),
    sealKeys: trust.seal,
    programs: new Map([['restart', restartProgram()]]),
  }).catch((caught: unknown) => {
    if (!(caught instanceof EverbootError) || caught.fault.code !== 'EB-IMAGE') throw caught
    return raise('EB-BOARD-ROOT', `kernel ${kernel.release}: ${caught.fault.what}`, {
      todo: 'take a newer kernel; Raspberry Pi OS has dm-verity since the end of 2024',
      cause: caught,
    })
  })
  return makeBootImage({
    kernel,
    initramfs,
    firmware,
    configLines: options.configLines ?? '',
    kernelWords: options.kernelWords ?? '',
    watchdogSeconds: options.watchdogSeconds ?? piLimits.watchdogSeconds,
    partitionBytes: options.bootBytes ?? piLimits.bootPartitionBytes,
    work,
  })
}

async function putAgent(options: PiReleaseOptions, root: string): Promise<void> {
  const settings = piAgentSettings(
    { ...piChoices, product: options.options.product },
    await ownSettings(root),
  )
  await addEverboot(root, {
    packages: await boardPackages(options.cache ?? cacheDirectory()),
    agent: options.agent ?? 'bundle',
    trust: await readFile(join(options.keys, 'trust.json')),
    settings: options.adjust === undefined ? settings : options.adjust(settings),
  })
}
