/**
 * The board's hardware when root: real loop devices, a really mounted slot, a process namespace.
 * Promise: the booted slot is mounted read-only and is the root of everything that runs; loop devices are
 * attached anew for each boot; all of it lives in the mount namespace of this process and dies with it.
 * Leaves to others: entering that namespace (cli.ts), the boot decision, the watchdog.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { assert } from '../../core/assert.ts'
import { EverbootError, fault, raise } from '../../core/errors.ts'
import type { Disks } from '../../core/ports.ts'
import type { SlotId } from '../../core/units.ts'
import type { Load, Wires } from '../board.ts'
import { type BoardFile, boardPaths } from '../board-file.ts'
import type { EmulatedHardware } from './emulated-hardware.ts'
import { openFileDevice } from './file-device.ts'
import { filesystemOf } from './filesystem.ts'
import { attachLoop, type Loop } from './loop.ts'
import { makeRunDirectory, type RunDirectory } from './run-directory.ts'
import { type SystemProcess, startSystem } from './system-process.ts'
import { runTool, tool } from './tools.ts'

const partitionNames = ['boot', 'a', 'b', 'data'] as const
type Loops = Readonly<Record<(typeof partitionNames)[number], Loop>>
type MaybeLoops = Readonly<{ [name in keyof Loops]?: Loop | undefined }>

const bootEnvironment = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root', TERM: 'dumb' }

/** @param directory of the board, absolute */
export function loopHardware(directory: string, board: BoardFile): EmulatedHardware {
  const root = join(directory, boardPaths.root)
  const runPath = join(directory, boardPaths.run)
  let loops: MaybeLoops = {}
  let run: RunDirectory | null = null
  let system: SystemProcess | null = null

  return {
    mode: 'loop',
    running: () => (system === null ? null : { pid: system.pid, slotRoot: root }),
    disks: () => (whole(loops) ? disksOn(loops, board) : null),
    async powerOn() {
      for (const name of partitionNames) {
        loops = { ...loops, [name]: await attach(directory, board, name, false) }
      }
      assert(whole(loops), 'all partitions are attached')
      return disksOn(loops, board)
    },
    async start(load, wires) {
      // The booted slot cannot be written, not even by root inside.
      await loops[load.slot]?.release()
      loops = { ...loops, [load.slot]: await attach(directory, board, load.slot, true) }
      assert(whole(loops), 'all partitions are attached')
      run = await makeRunDirectory(runPath, load, wires, [])
      await mountAll(root, runPath, loops, load, wires)
      system = start(root, wires)
      return system
    },
    async powerOff() {
      system = null
      run?.close()
      run = null
      await unmount(root)
      for (const name of partitionNames) {
        await loops[name]?.release()
        loops = { ...loops, [name]: undefined }
      }
    },
  }
}

function whole(loops: MaybeLoops): loops is Loops {
  return partitionNames.every((name) => loops[name] !== undefined)
}

function attach(directory: string, board: BoardFile, name: keyof Loops, readOnly: boolean): Promise<Loop> {
  return attachLoop({ path: join(directory, boardPaths.disk), ...board.partitions[name] }, readOnly)
}

function disksOn(loops: Loops, board: BoardFile): Disks {
  const open = (name: 'boot' | SlotId, mode: 'read' | 'write') =>
    openFileDevice({ path: loops[name].path, offset: 0, bytes: board.partitions[name].bytes }, mode)
  return {
    openBoot: () => open('boot', 'write'),
    openSlot(slot, image, mode) {
      if (image === board.image) return open(slot, mode === 'read' ? 'read' : 'write')
      throw new EverbootError(fault('EB-SLOT-MISSING', `this board has no partition for image ${image}`))
    },
  }
}

async function mountAll(root: string, run: string, loops: Loops, load: Load, wires: Wires): Promise<void> {
  const { slot } = load
  await mkdir(root, { recursive: true })
  const type = await filesystemOf(loops[slot].path, 0)
  if (type === null) raise('EB-IMAGE', `slot ${slot} holds neither ext4 nor squashfs`)
  const options = type === 'ext4' ? 'ro,noload' : 'ro'
  await tool('mount', '-t', type, '-o', options, loops[slot].path, root)
  const small = 'mode=0755,nosuid,size=64m'
  await tool('mount', '-t', 'tmpfs', '-o', 'mode=0755,nosuid,size=64k', 'dev', join(root, 'dev'))
  await makeNodes(join(root, 'dev'), loops)
  await tool('mount', '-t', 'sysfs', '-o', 'ro,nosuid,nodev,noexec', 'sys', join(root, 'sys'))
  await tool('mount', '-t', 'tmpfs', '-o', `${small},nodev`, 'tmp', join(root, 'tmp'))
  await tool('mount', '--bind', run, join(root, 'run'))
  await checkData(loops.data, wires)
  await tool('mount', '-t', 'ext4', '-o', 'rw,nosuid,nodev', loops.data.path, join(root, 'data'))
}

/** Major and minor numbers: Linux Documentation/admin-guide/devices.txt. */
async function makeNodes(dev: string, loops: Loops): Promise<void> {
  const nodes = [
    ...['null c 1 3', 'zero c 1 5', 'random c 1 8', 'urandom c 1 9'],
    `everboot/boot b ${loops.boot.major} ${loops.boot.minor}`,
    `everboot/slot-a b ${loops.a.major} ${loops.a.minor}`,
    `everboot/slot-b b ${loops.b.major} ${loops.b.minor}`,
  ]
  await mkdir(join(dev, 'everboot'))
  for (const node of nodes) {
    const [name = '', ...numbers] = node.split(' ')
    await tool('mknod', '--mode=0666', join(dev, name), ...numbers)
  }
}

/** A cut may have left the data partition in need of its journal, or worse. */
async function checkData(loop: Loop, wires: Wires): Promise<void> {
  const preen = await runTool(['e2fsck', '-p', loop.path])
  if (preen.status === 0) return
  wires.console(`board: e2fsck: ${preen.output.trim().split('\n').join('; ')}`)
  if (preen.status === 1) return
  const repair = await runTool(['e2fsck', '-y', loop.path])
  const fixed = repair.status !== null && repair.status <= 1
  if (!fixed) raise('EB-DATA-IO', 'the data partition cannot be repaired', { todo: 'create the board anew' })
}

function start(root: string, wires: Wires): SystemProcess {
  const plan = {
    argv: ['chroot', root, '/sbin/init'],
    environment: bootEnvironment,
    holding: 'namespace',
    procAt: join(root, 'proc'),
  } as const
  return startSystem(plan, wires.console)
}

/** Lazily when it must be: the mounts then go with their last user. */
async function unmount(root: string): Promise<void> {
  const mounted = async (): Promise<boolean> => (await runTool(['mountpoint', '-q', root])).status === 0
  if (!(await mounted())) return
  if ((await runTool(['umount', '--recursive', root])).status === 0) return
  await tool('umount', '--recursive', '--lazy', root)
}
