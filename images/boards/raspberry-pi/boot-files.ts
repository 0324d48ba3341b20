/**
 * The files of a boot partition: `config.txt` and `cmdline.txt`, and which of a firmware directory it takes.
 * Promise: the same for both slots, so nothing here names one; lines that would lead the firmware to another
 * kernel, root or slot are refused.
 * Leaves to others: making the file system (adapters/boot-image.ts). Source: Raspberry Pi documentation, config.txt.
 */

import { piLimits } from '../../../core/disk-limits.ts'
import { raise } from '../../../core/errors.ts'

/** Names on the boot partition. */
export const bootNames = {
  kernel: 'vmlinuz',
  initramfs: 'initrd.img',
  config: 'config.txt',
  commandLine: 'cmdline.txt',
} as const

/** Settings that the board makes itself, or that would defeat it. */
const ownSettings =
  /^(kernel|initramfs|auto_initramfs|ramfsfile|ramfsaddr|cmdline|os_prefix|arm_64bit|upstream_kernel|boot_partition|tryboot_a_b|boot_ramdisk|start_file|fixup_file)\b/

export interface ConfigPlan {
  /** Device trees have the names of the kernel's own tree, such as bcm2837-rpi-3-b.dtb. */
  readonly upstream: boolean
  /** Lines of the board maker. */
  readonly more: string
}

/** @throws EverbootError EB-BOARD-FIRMWARE naming a line that the board cannot have */
export function configText({ upstream, more }: ConfigPlan): string {
  checkConfig(more)
  const own = [
    '# Both slots have this same file: the firmware says which partition it started, the initramfs knows the slot.',
    '[all]',
    'arm_64bit=1',
    ...(upstream ? ['upstream_kernel=1'] : []),
    `kernel=${bootNames.kernel}`,
    `initramfs ${bootNames.initramfs} followkernel`,
    'enable_uart=1',
  ]
  return `${[...own, ...(more.trim() === '' ? [] : [more.trimEnd()])].join('\n')}\n`
}

/** @throws EverbootError EB-BOARD-FIRMWARE */
export function checkConfig(more: string): void {
  for (const [index, raw] of more.split('\n').entries()) {
    const line = raw.trim()
    const bad = ownSettings.test(line)
      ? 'is set by the board'
      : line.startsWith('[tryboot]')
        ? 'would make a trial another boot than the one that is committed'
        : line.length > piLimits.configLineBytesMax
          ? `is longer than the ${piLimits.configLineBytesMax} characters that the firmware reads`
          : null
    if (bad !== null) {
      raise('EB-BOARD-FIRMWARE', `line ${index + 1} of the config.txt lines, ${line.slice(0, 40)}, ${bad}`, {
        todo: 'leave the line out',
      })
    }
  }
}

/**
 * The firmware puts the serial port that the board has for `serial0`. No root: that is the initramfs' part.
 * @param more words of the board maker. @throws EverbootError EB-BOARD-FIRMWARE
 */
export function commandLineText(watchdogSeconds: number, more: string): string {
  const bad = /(^|\s)(root|init|rdinit|everboot\.[a-z]+|bcm2835_wdt\.\w+)=\S*/.exec(more)
  if (bad !== null || /[^\x20-\x7e]/.test(more)) {
    raise(
      'EB-BOARD-FIRMWARE',
      `kernel words ${JSON.stringify((bad?.[0] ?? more).trim().slice(0, 60))} cannot be given`,
    )
  }
  const own = 'console=tty1 console=serial0,115200 ro panic=5 loglevel=4'
  const watchdog = `everboot.watchdog=${watchdogSeconds} bcm2835_wdt.heartbeat=${watchdogSeconds}`
  return `${[own, watchdog, ...(more.trim() === '' ? [] : [more.trim()])].join(' ')}\n`
}

/** Files of a firmware directory that go onto a boot partition. */
export interface Firmware {
  /** start*.elf with its fixup*.dat, bootcode.bin, licenses. */
  readonly programs: readonly string[]
  readonly deviceTrees: readonly string[]
}

/** @param names of the directory. @throws EverbootError EB-BOARD-FIRMWARE when it cannot start a board */
export function chooseFirmware(directory: string, names: readonly string[]): Firmware {
  const starts = names.filter((it) => /^start\w*\.elf$/.test(it))
  if (starts.length === 0) {
    raise('EB-BOARD-FIRMWARE', `${directory} holds no start*.elf`, {
      todo: "give the directory with start4.elf and fixup4.dat, such as /usr/lib/raspi-firmware of Debian's raspi-firmware",
    })
  }
  const pairs = starts.flatMap((it) => {
    const fixup = it.replace(/^start/, 'fixup').replace(/\.elf$/, '.dat')
    if (names.includes(fixup)) return [it, fixup]
    return raise('EB-BOARD-FIRMWARE', `${directory} holds ${it}, but no ${fixup}`)
  })
  const more = names.filter((it) => it === 'bootcode.bin' || /^(LICENCE|COPYING)\b/.test(it))
  return {
    programs: [...pairs, ...more].sort(),
    deviceTrees: names.filter((it) => /^bcm2\d{3}[\w-]*\.dtb$/.test(it)).sort(),
  }
}
