/**
 * The command line of a QEMU machine: the arm64 `virt` machine with two flash images, a disk over NBD, and
 * console and monitor on Unix sockets to which QEMU connects.
 * Promise: QEMU connects to its sockets before it starts the guest, so no word of the console is lost.
 * Leaves to others: starting and ending it (adapters/run-machine.ts). One processor: with more it is no faster.
 */

/** Sockets on which console and monitor are waited for. */
export interface Wires {
  readonly serial: string
  readonly monitor: string
}

export interface VirtBoard {
  /**
   * `work`: the guest's clock goes by what its processor has done, and stands still with it; a deadline in the
   * guest then says nothing about how busy this machine is. While the guest waits it goes with the wall's.
   */
  readonly clock?: 'wall' | 'work'
  readonly memoryMiB: number
  /** Flash images of 64 MiB: firmware, and its environment or null. */
  readonly firmware: string
  readonly environment: string | null
  /** A device tree with keys that the firmware demands: then nothing that runs may change the flash. */
  readonly deviceTree?: string | null
  /** Unix sockets of NBD servers, in the order of the guest's disks. */
  readonly disks: readonly string[]
  /** Ports of this machine that lead to ports of the guest. */
  readonly forwards?: readonly { readonly hostPort: number; readonly guestPort: number }[]
}

export const qemuProgram = 'qemu-system-aarch64'

/** The oldest version that this was tried with. */
export const qemuVersionMin: readonly [number, number] = [7, 2]

/** Console and monitor, for any QEMU. */
export function wireArguments({ serial, monitor }: Wires): readonly string[] {
  return [
    ...[
      '-display',
      'none',
      '-chardev',
      `socket,id=serial,path=${escaped(serial)}`,
      '-serial',
      'chardev:serial',
    ],
    ...['-chardev', `socket,id=monitor,path=${escaped(monitor)}`, '-mon', 'chardev=monitor,mode=control'],
  ]
}

/** @returns the whole command */
export function virtCommand(board: VirtBoard, wires: Wires): readonly string[] {
  const flash = [board.firmware, ...(board.environment === null ? [] : [board.environment])]
  const deviceTree = board.deviceTree ?? null
  const flashForm = `if=pflash,format=raw${deviceTree === null ? '' : ',readonly=on'}`
  const forwards = (board.forwards ?? []).map(
    (it) => `,hostfwd=tcp:127.0.0.1:${it.hostPort}-:${it.guestPort}`,
  )
  return [
    ...[qemuProgram, '-nodefaults', '-M', 'virt', '-cpu', 'cortex-a72', '-smp', '1'],
    ...['-m', `${board.memoryMiB}`],
    // Two nanoseconds for an instruction: about what an idle machine emulates.
    ...(board.clock === 'work' ? ['-icount', 'shift=1,sleep=on,align=off'] : []),
    ...flash.flatMap((path) => ['-drive', `${flashForm},file=${escaped(path)}`]),
    ...(deviceTree === null ? [] : ['-dtb', deviceTree]),
    ...board.disks.flatMap((path, n) => diskArguments(path, n)),
    ...['-netdev', `user,id=net0${forwards.join('')}`, '-device', 'virtio-net-pci,netdev=net0,romfile='],
    ...wireArguments(wires),
  ]
}

function diskArguments(socket: string, n: number): readonly string[] {
  const server = `driver=nbd,server.type=unix,server.path=${escaped(socket)}`
  return [
    ...['-drive', `if=none,id=${driveName(n)},cache=writeback,discard=unmap,${server}`],
    ...['-device', `virtio-blk-pci,drive=${driveName(n)},romfile=`],
  ]
}

/** What the monitor calls the guest's n-th disk. */
export function driveName(n: number): string {
  return `disk${n}`
}

/** QEMU's options are separated by commas; one in a value is doubled. */
function escaped(value: string): string {
  return value.replaceAll(',', ',,')
}

/** @returns major and minor of what `--version` prints, or null */
export function qemuVersion(text: string): readonly [number, number] | null {
  const found = /version (\d+)\.(\d+)/.exec(text)
  return found === null ? null : [Number(found[1]), Number(found[2])]
}

export function isNewEnough([major, minor]: readonly [number, number]): boolean {
  const [leastMajor, leastMinor] = qemuVersionMin
  return major > leastMajor || (major === leastMajor && minor >= leastMinor)
}
