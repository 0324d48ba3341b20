/**
 * Whether a root can run on a Raspberry Pi: processor of its programs, its kernels, their form.
 * Promise: found by content; each refusal names the file and what it should be.
 * Leaves to others: reading the files (adapters/root.ts).
 */
import { gunzipSync } from 'node:zlib'
import { piLimits } from '../../../core/disk-limits.ts'
import { raise } from '../../../core/errors.ts'

/** Programs that roots have, one of which tells the processor. */
export const knownPrograms = [
  ...['usr/lib/systemd/systemd', 'lib/systemd/systemd', 'usr/bin/dpkg', 'usr/bin/env', 'bin/busybox'],
  ...['usr/bin/busybox', 'bin/sh', 'usr/bin/sh', 'sbin/init', 'usr/sbin/init'],
] as const

const processors: Readonly<Record<number, string>> = {
  3: 'i386',
  40: 'arm (32 bits)',
  62: 'amd64',
  183: 'arm64',
  243: 'riscv64',
}

/** @param head of an ELF file, 20 bytes. @throws EverbootError EB-BOARD-ROOT */
export function checkProcessor(head: Uint8Array, name: string): void {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength)
  if (head.length < 20 || view.getUint32(0) !== 0x7f454c46) raise('EB-BOARD-ROOT', `${name} is not a program`)
  const machine = view.getUint16(18, true)
  if (machine === 183 && head[4] === 2) return
  raise('EB-BOARD-ROOT', `${name} is for ${processors[machine] ?? `processor ${machine}`}, not arm64`, {
    todo: 'give the root of a 64-bit system for arm64',
  })
}

/** Kernels that start all boards come first, newer ones before older ones. @returns releases, best first */
export function orderKernels(releases: readonly string[]): readonly string[] {
  const rank = (it: string): number => (/rpi-v8$/.test(it) ? 0 : /2712/.test(it) ? 2 : 1)
  const compare = new Intl.Collator('en', { numeric: true }).compare
  return [...releases].sort((a, b) => rank(a) - rank(b) || compare(b, a))
}

export interface KernelFacts {
  /** Whether `reboot "0 tryboot"` reaches the firmware: Raspberry Pi's kernels have the code, others do not. */
  readonly tryboot: boolean
}

/** @param file a kernel as in /boot. @throws EverbootError EB-BOARD-ROOT when the firmware cannot start it */
export function inspectKernel(file: Uint8Array, name: string): KernelFacts {
  const image = Buffer.from(file[0] === 0x1f && file[1] === 0x8b ? expanded(file, name) : file)
  if (image.toString('latin1', 4, 8) === 'zimg') {
    raise('EB-BOARD-ROOT', `${name} is packed for EFI, which the firmware cannot start`, {
      todo: 'install a kernel built without CONFIG_EFI_ZBOOT',
    })
  }
  if (image.toString('latin1', 56, 60) !== 'ARMd')
    raise('EB-BOARD-ROOT', `${name} is not an arm64 kernel`, {
      todo: 'install linux-image-rpi-v8 or linux-image-arm64',
    })
  return { tryboot: image.includes(' tryboot\0') }
}

function expanded(file: Uint8Array, name: string): Uint8Array {
  try {
    return gunzipSync(file, { maxOutputLength: piLimits.kernelBytesMax })
  } catch (cause) {
    raise('EB-BOARD-ROOT', `${name} cannot be expanded: ${(cause as Error).message}`, { cause })
  }
}
