/**
 * A release for the QEMU board, from the packages in the cache to an `.ebr` that a hub takes.
 * Promise: what `image build` makes; the directory it is made from is gone afterwards.
 * Leaves to others: publishing it.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { MiB } from '../../../../core/units.ts'
import { keyDirectory } from '../../../../keys/adapters/key-directory.ts'
import { type BuiltRelease, buildRelease } from '../../../build/adapters/build-release.ts'
import { boardPackages, cacheDirectory } from '../../arm64/adapters/packages.ts'
import { simChoices } from '../../sim/agent-settings.ts'
import { hardwareId } from '../agent-settings.ts'
import { makeQemuRootfs, type QemuRootfsOptions } from './rootfs.ts'

export interface QemuReleaseOptions {
  /** The `.ebr` to make. */
  readonly out: string
  /** Key directory of the publisher. */
  readonly keys: string
  readonly version: string
  readonly securityVersion: number
  readonly floorAfterCommit?: number | null
  readonly service?: QemuRootfsOptions['service']
  readonly init?: QemuRootfsOptions['init']
  readonly agent?: QemuRootfsOptions['agent']
  readonly product?: string
  readonly healthDeadlineMs?: number
  readonly networkDeadlineMs?: number
  readonly rebootDelayMs?: number
  readonly cache?: string
  /** For boards with signed boot: kernel and initramfs are signed by the boot key. */
  readonly signed?: boolean
}

/** @throws EverbootError */
export async function buildQemuRelease(options: QemuReleaseOptions): Promise<BuiltRelease> {
  const { out, keys, version, securityVersion, product = simChoices.product } = options
  const packages = await boardPackages(options.cache ?? cacheDirectory())
  await mkdir(dirname(out), { recursive: true })
  const work = await mkdtemp(join(dirname(out), '.rootfs-'))
  try {
    const rootfs: QemuRootfsOptions = {
      out: work,
      version,
      product,
      service: options.service ?? 'healthy',
      init: options.init ?? 'normal',
      agent: options.agent ?? 'bundle',
      trust: join(keys, 'trust.json'),
      bootKey: options.signed === true ? await keyDirectory(keys).bootKey() : null,
      healthDeadlineMs: options.healthDeadlineMs ?? simChoices.healthDeadlineMs,
      networkDeadlineMs: options.networkDeadlineMs ?? simChoices.networkDeadlineMs,
      rebootDelayMs: options.rebootDelayMs ?? simChoices.rebootDelayMs,
    }
    await makeQemuRootfs(rootfs, packages)
    return await buildRelease({
      input: work,
      out,
      keys,
      options: {
        product,
        version,
        securityVersion,
        floorAfterCommit: options.floorAfterCommit ?? null,
        hardware: [hardwareId],
        profile: 'standard',
        suite: 'aes-256-gcm',
        pieceBytes: MiB,
        level: 1,
      },
      filesystem: 'ext4',
      bytes: null,
      devices: null,
      seed: null,
      releaseDirectory: null,
      signal: new AbortController().signal,
      phase: () => {},
    })
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}
