/**
 * QEMU as the board of a test: its console as text, and an end in any case.
 * Leaves to others: what lies on disk and flash.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { boardTools, ensureHostTools } from '../../images/build/adapters/host-tools.ts'

/** Why no board runs here, or null. */
export async function whyNoQemu(): Promise<string | null> {
  return ensureHostTools(boardTools, { install: process.getuid?.() === 0 }).then(
    () => null,
    (caught: Error) => caught.message,
  )
}

export interface QemuRun {
  /** Holds `disk.img`, `flash0.img`, `flash1.img`. */
  readonly directory: string
  /** Ends the run as soon as the console matches; null: the first reset ends it. */
  readonly until: RegExp | null
  readonly deadlineMs: number
}

/** @returns the console, whether or not `until` came */
export function runQemu({ directory, until, deadlineMs }: QemuRun): Promise<string> {
  const file = (name: string): string => `format=raw,file=${join(directory, name)}`
  const child = spawn('setpriv', [
    ...['--pdeathsig', 'KILL', '--', 'qemu-system-aarch64', '-M', 'virt', '-cpu', 'cortex-a72', '-m', '512'],
    ...[
      '-display',
      'none',
      '-monitor',
      'none',
      '-serial',
      'stdio',
      ...(until === null ? ['-no-reboot'] : []),
    ],
    ...['-drive', `if=pflash,${file('flash0.img')}`, '-drive', `if=pflash,${file('flash1.img')}`],
    ...['-drive', `if=none,id=disk,${file('disk.img')}`, '-device', 'virtio-blk-pci,drive=disk,romfile='],
    ...['-netdev', 'user,id=net', '-device', 'virtio-net-pci,netdev=net,romfile='],
  ])
  const deadline = setTimeout(() => child.kill('SIGKILL'), deadlineMs)
  let text = ''
  const take = (part: Buffer): void => {
    text += part.toString('latin1')
    if (until?.test(text)) child.kill('SIGKILL')
  }
  child.stdout.on('data', take)
  child.stderr.on('data', take)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', () => {
      clearTimeout(deadline)
      resolve(text)
    })
  })
}
