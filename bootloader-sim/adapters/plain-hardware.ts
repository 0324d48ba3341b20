/**
 * The board's hardware where nothing can be mounted: partitions are parts of the disk file, the data
 * partition is a directory, the slot is unpacked into a directory and its programs run from there.
 * Promise: the same bootloader, watchdog and resets; what runs was unpacked from the verified slot image.
 * Does not promise what only mounts can: the root directory of the system is this machine's, and a slot
 * that is damaged while it runs goes unnoticed until the next boot.
 */
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { EverbootError, fault } from '../../core/errors.ts'
import type { Disks } from '../../core/ports.ts'
import type { Wires } from '../board.ts'
import { type BoardFile, boardPaths } from '../board-file.ts'
import { type PlainPaths, plainAgentSettings } from '../plain-paths.ts'
import type { EmulatedHardware } from './emulated-hardware.ts'
import { openFileDevice } from './file-device.ts'
import { makeRunDirectory, type RunDirectory } from './run-directory.ts'
import { bestHolding, type SystemProcess, startSystem } from './system-process.ts'
import { toolEnvironment } from './tools.ts'
import { unpackData, unpackSlot } from './unpack.ts'

/** @param directory of the board, absolute */
export function plainHardware(directory: string, board: BoardFile): EmulatedHardware {
  const disk = join(directory, boardPaths.disk)
  const run = join(directory, boardPaths.run)
  let wiring: RunDirectory | null = null
  let running: { readonly pid: number; readonly slotRoot: string } | null = null
  return {
    mode: 'plain',
    running: () => running,
    disks: () => disksOf(disk, board),
    powerOn: async () => disksOf(disk, board),
    async start(load, wires) {
      const root = await unpackSlot(directory, board, load)
      const data = await dataDirectory(directory, board)
      const paths: PlainPaths = { root, run, data, disk, partitions: board.partitions }
      const settings = join(run, 'everboot', 'agent.json')
      wiring = await makeRunDirectory(run, load, wires, [`everboot.config=${settings}`])
      await writeFile(settings, await mappedSettings(root, paths))
      const system = await start(paths, wires)
      running = { pid: system.pid, slotRoot: root }
      return system
    },
    async powerOff() {
      running = null
      wiring?.close()
      wiring = null
    },
  }
}

function disksOf(disk: string, board: BoardFile): Disks {
  return {
    openBoot: () => openFileDevice({ path: disk, ...board.partitions.boot }, 'write'),
    openSlot(slot, image, mode) {
      const part = { path: disk, ...board.partitions[slot] }
      if (image === board.image) return openFileDevice(part, mode === 'read' ? 'read' : 'write')
      throw new EverbootError(fault('EB-SLOT-MISSING', `this board has no partition for image ${image}`))
    },
  }
}

async function start(paths: PlainPaths, wires: Wires): Promise<SystemProcess> {
  const node = join(paths.root, 'usr/bin/node')
  const plan = {
    argv: [node, join(paths.root, 'sbin/init.mjs')],
    environment: { ...toolEnvironment(), EVERBOOT_ROOT: paths.root, EVERBOOT_RUN: paths.run },
    holding: await bestHolding(),
    procAt: null,
  } as const
  wires.console(`board: plain emulation, processes held together by ${plan.holding}`)
  return startSystem(plan, wires.console)
}

/** Taken from the data partition once; from then on the directory is the data partition. */
async function dataDirectory(directory: string, board: BoardFile): Promise<string> {
  const path = join(directory, boardPaths.data)
  try {
    await stat(join(path, 'everboot'))
  } catch {
    await mkdir(path, { recursive: true, mode: 0o700 })
    await unpackData(join(directory, boardPaths.disk), board.partitions.data, path)
  }
  return path
}

async function mappedSettings(root: string, paths: PlainPaths): Promise<string> {
  try {
    const text = await readFile(join(root, 'etc/everboot/agent.json'), 'utf8')
    return plainAgentSettings(text, paths)
  } catch (cause) {
    if (cause instanceof EverbootError) throw cause
    throw new EverbootError(fault('EB-CONFIG', 'the slot has no /etc/everboot/agent.json'), { cause })
  }
}
