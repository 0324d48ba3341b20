/**
 * A QEMU board of a test: the real machine over the real disk server, for a directory with a disk and flash.
 * Promise: disk and console can be looked at while it runs; nothing of it outlives `close`.
 * Leaves to others: what lies on the disk.
 */
import { join } from 'node:path'
import { needQemu } from '../../bootloader-sim/qemu/adapters/find-program.ts'
import { type ImageFile, openImageFile } from '../../bootloader-sim/qemu/adapters/image-file.ts'
import { serveNbd } from '../../bootloader-sim/qemu/adapters/nbd-server.ts'
import { type Machine, startMachine } from '../../bootloader-sim/qemu/adapters/run-machine.ts'
import { virtCommand } from '../../bootloader-sim/qemu/machine.ts'
import { type NbdDisk, nbdDisk } from '../../bootloader-sim/qemu/nbd-disk.ts'
import { sectorBytes } from '../../images/boards/arm64/partition.ts'
import { boardTools, ensureHostTools } from '../../images/build/adapters/host-tools.ts'

/** Why no board runs here, or null. */
export async function whyNoQemu(): Promise<string | null> {
  const install = process.getuid?.() === 0
  return Promise.all([ensureHostTools(boardTools, { install }), needQemu()]).then(
    () => null,
    (caught: Error) => caught.message,
  )
}

export interface RunningBoard {
  readonly machine: Machine
  /** What has reached the medium. */
  readonly medium: ImageFile
  readonly disk: NbdDisk
  /** Everything that the console has said. */
  text(): string
  /** The guest gets no further; what it had written reaches the medium, as when the power stays. */
  close(): Promise<void>
}

/** @param directory holds `disk.img`, `flash0.img`, `flash1.img`; @param deviceTree of a board with signed boot */
export async function startBoard(directory: string, deviceTree: string | null = null): Promise<RunningBoard> {
  const medium = openImageFile(join(directory, 'disk.img'))
  const disk = nbdDisk({ name: 'disk', medium, sectorBytes })
  const server = await serveNbd({ disk, socketPath: join(directory, 'disk.sock') })
  const flash = { firmware: join(directory, 'flash0.img'), environment: join(directory, 'flash1.img') }
  const board = { memoryMiB: 512, ...flash, deviceTree, disks: [server.socketPath] }
  const end = async (): Promise<void> => {
    await server.close()
    medium.close()
  }
  try {
    const machine = await startMachine({ directory, command: (wires) => virtCommand(board, wires) })
    return {
      ...{ machine, medium, disk },
      text: () => machine.console.log.lines().join('\n'),
      async close() {
        await machine.kill()
        await end()
      },
    }
  } catch (caught) {
    await end()
    throw caught
  }
}
