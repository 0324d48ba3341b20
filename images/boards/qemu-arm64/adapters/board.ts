/**
 * Makes a QEMU board: disk with a factory system in slot a, both units of flash.
 * Promise: no mount, no loop device; slot a holds the checked release with tree and seal, the record says it is
 * committed. The directory appears whole or not at all.
 * Leaves to others: running it, making the release (release.ts).
 */
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { raise } from '../../../../core/errors.ts'
import { boardLimits, qemuLimits } from '../../../../core/limits.ts'
import { bytesText, MiB, roundUp } from '../../../../core/units.ts'
import { type BootKey, keyDirectory } from '../../../../keys/adapters/key-directory.ts'
import { stockUBoot } from '../../../build/adapters/host-tools.ts'
import { openFileSource } from '../../../release/adapters/file-bytes.ts'
import { slotBytesNeeded } from '../../../release/slot-layout.ts'
import { tool } from '../../arm64/adapters/disk-file.ts'
import {
  openFactory,
  paddedBytesOf,
  putData,
  putFactoryRecord,
  putImage,
} from '../../arm64/adapters/factory.ts'
import { hardwareId } from '../agent-settings.ts'
import { bootScript } from '../boot-script.ts'
import { type DiskLayout, layOutDisk, partitionNumbers } from '../layout.ts'
import { makeDisk, makeEnvironmentFlash, makeProgramFlash, putLoaderFile, putScript } from './disk.ts'
import { dumpDeviceTree, makeScriptFit } from './fit.ts'
import { bootFiles } from './rootfs.ts'

export interface QemuBoardOptions {
  /** New directory. */
  readonly directory: string
  /** The factory release, an `.ebr` with key wraps. */
  readonly release: string
  /** Key directory of the publisher. */
  readonly keys: string
  /** The device's identity. A hub on this machine's loopback is reached by the name of the machine. */
  readonly identity: Readonly<Record<string, unknown>> & { readonly deviceId: string }
  /** null: room for the factory image and some more. */
  readonly slotBytes?: number | null
  readonly watchdogSeconds?: number
  /** More words for the kernel, at most `qemuLimits.kernelWordsMax`. */
  readonly words?: string
  readonly uBoot?: string
  /** Its U-Boot starts only what the boot key of the publisher has signed. */
  readonly signed?: boolean
}

export interface QemuBoard {
  readonly directory: string
  readonly disk: string
  /** First unit of flash: U-Boot. */
  readonly flash0: string
  /** Second unit: its environment. */
  readonly flash1: string
  /** The device tree that QEMU is to start with, which holds the key that U-Boot demands; null: QEMU's own. */
  readonly deviceTree: string | null
  readonly layout: DiskLayout
  readonly releaseId: string
  readonly version: string
}

const loopback = /^([a-z]+:\/\/)(127(?:\.\d+){3}|localhost|\[::1\])(?=[:/]|$)/
const deviceTreeName = 'board.dtb'
/** Name of the one image of a slot. */
const image = 'rootfs'

/** @throws EverbootError */
export async function buildQemuBoard(options: QemuBoardOptions): Promise<QemuBoard> {
  const target = resolve(options.directory)
  await mkdir(dirname(target), { recursive: true })
  const room = await mkdtemp(`${target}.new-`)
  const source = await openFileSource(options.release)
  try {
    const keys = keyDirectory(options.keys)
    const { deviceId } = options.identity
    const factory = await openFactory(source, keys, hardwareId, deviceId)
    const { manifest } = factory.release
    const layout = layOutDisk(slotBytesOf(options, slotBytesNeeded(paddedBytesOf(factory, image))))
    const disk = join(room, 'disk.img')
    await makeDisk(disk, layout)
    await putLoader(room, disk, layout, { ...options, bootKey: options.signed ? await keys.bootKey() : null })
    await putImage(disk, layout.partitions.a, factory, image, { sealed: true })
    await putFactoryRecord(disk, layout.partitions.record, manifest)
    await checkBootable(disk, layout, options)
    const wrappingKey = Buffer.from(await keys.wrappingKey(deviceId)).toString('hex')
    await putData(room, disk, layout.partitions.data, { ...reachable(options.identity), wrappingKey })
    await rename(room, target).catch((cause: Error) =>
      raise('EB-CONFLICT', `${target} exists and is not empty`, { todo: 'choose another directory', cause }),
    )
    const at = (name: string): string => join(target, name)
    const files = { disk: at('disk.img'), flash0: at('flash0.img'), flash1: at('flash1.img') }
    const deviceTree = options.signed === true ? at(deviceTreeName) : null
    return {
      directory: target,
      ...files,
      deviceTree,
      layout,
      releaseId: manifest.id,
      version: manifest.version,
    }
  } finally {
    await source.close()
    await rm(room, { recursive: true, force: true })
  }
}

function slotBytesOf({ slotBytes }: QemuBoardOptions, needed: number): number {
  if (slotBytes === undefined || slotBytes === null) return roundUp(needed + boardLimits.slotSpareBytes, MiB)
  if (slotBytes >= needed) return roundUp(slotBytes, MiB)
  return raise(
    'EB-TOO-LARGE',
    `the factory image needs ${bytesText(needed)}, the slot has ${bytesText(slotBytes)}`,
  )
}

/**
 * In QEMU the machine around is 10.0.2.2, a name that no hub's certificate has; each has that of the machine, and
 * the board looks it up in a file made from `everboot.host`.
 */
function reachable(identity: QemuBoardOptions['identity']): QemuBoardOptions['identity'] {
  const named = (url: unknown): unknown =>
    typeof url === 'string' ? url.replace(loopback, (_, scheme: string) => `${scheme}${hostname()}`) : url
  return { ...identity, mqtt: named(identity['mqtt']), http: named(identity['http']) }
}

/** Words for the kernel: a panic resets, and so does a watchdog that nobody pets. */
function commandLine(watchdogSeconds: number): string {
  const own = `everboot.watchdog=${watchdogSeconds} everboot.host=${hostname()}`
  return `console=ttyAMA0 quiet panic=1 ${own}`
}

async function putLoader(
  room: string,
  disk: string,
  layout: DiskLayout,
  options: QemuBoardOptions & { readonly bootKey: BootKey | null },
): Promise<void> {
  const { bootKey } = options
  const kind = bootKey === null ? 'plain' : 'signed'
  const [flash0, flash1] = [join(room, 'flash0.img'), join(room, 'flash1.img')] as const
  await makeProgramFlash(flash0, options.uBoot ?? stockUBoot)
  await makeEnvironmentFlash(flash1, options.words ?? '', kind)
  const seconds = options.watchdogSeconds ?? qemuLimits.watchdogMs / 1000
  const script = bootScript({
    partitions: partitionNumbers,
    files: bootFiles[kind],
    commandLine: commandLine(seconds),
    act: 'boot',
  })
  if (bootKey === null) return putScript(disk, layout, script, room)
  const [deviceTree, compiled] = [join(room, deviceTreeName), join(room, 'boot.itb')]
  await dumpDeviceTree(deviceTree, [flash0, flash1])
  await makeScriptFit(compiled, script, bootKey, deviceTree)
  await putLoaderFile(disk, layout, compiled, 'signed')
}

/** A release for boards of the other kind would never start. @throws EverbootError EB-IMAGE */
async function checkBootable(disk: string, layout: DiskLayout, options: QemuBoardOptions): Promise<void> {
  const [kind, other] =
    options.signed === true ? (['signed', 'plain'] as const) : (['plain', 'signed'] as const)
  const names = await tool('debugfs', ['-R', 'ls -p /boot', `${disk}?offset=${layout.partitions.a.offset}`])
  const missing = Object.values(bootFiles[kind]).filter(
    (it) => !names.includes(`/${it.slice('boot/'.length)}/`),
  )
  if (missing.length === 0) return
  raise('EB-IMAGE', `${options.release} holds no ${missing.join(', ')}: it is not for a ${kind} board`, {
    todo: `build the release ${kind}, or the board ${other}`,
  })
}
