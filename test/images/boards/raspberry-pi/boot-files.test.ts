/** Texts of a boot partition and the choice of firmware: nothing names a slot, nothing leads elsewhere. */
import { describe, expect, test } from 'vitest'
import {
  bootNames,
  chooseFirmware,
  commandLineText,
  configText,
} from '../../../../images/boards/raspberry-pi/boot-files.ts'

const refusal = { fault: { code: 'EB-BOARD-FIRMWARE' } }
const caught = (act: () => unknown): unknown => {
  try {
    return act()
  } catch (error) {
    return error
  }
}

describe('config.txt', () => {
  test('starts our kernel with our initramfs, in lines that the firmware reads whole', () => {
    const lines = configText({ upstream: true, more: 'dtparam=spi=on\n[pi4]\ngpu_mem=64' }).split('\n')
    for (const line of [
      `kernel=${bootNames.kernel}`,
      'initramfs initrd.img followkernel',
      'arm_64bit=1',
      'upstream_kernel=1',
    ])
      expect(lines).toContain(line)
    expect(lines.slice(-4)).toEqual(['dtparam=spi=on', '[pi4]', 'gpu_mem=64', ''])
    for (const line of lines.filter((it) => !it.startsWith('#'))) expect(line.length).toBeLessThanOrEqual(98)
  })

  test.each([
    'kernel=kernel8.img',
    '  os_prefix=other/',
    'boot_partition=3',
    'auto_initramfs=1',
    'initramfs x followkernel',
    '[tryboot]',
    `dtoverlay=${'x'.repeat(99)}`,
  ])('refuses the line %s', (line) => {
    expect(caught(() => configText({ upstream: false, more: `# fine\n${line}` }))).toMatchObject(refusal)
  })
})

describe('cmdline.txt', () => {
  test('is one line without a root and without a slot', () => {
    const text = commandLineText(60, 'quiet  cma=64M')
    expect(text).toMatch(/^[^\n]+\n$/)
    expect(text).not.toMatch(/\broot=|everboot\.slot/)
    expect(text).toContain(' everboot.watchdog=60 bcm2835_wdt.heartbeat=60 quiet')
  })

  test.each(['root=/dev/mmcblk0p2', 'quiet init=/bin/sh', 'everboot.slot=b', 'two\nlines', 'ümlaut'])(
    'refuses the words %j',
    (words) => expect(caught(() => commandLineText(60, words))).toMatchObject(refusal),
  )
})

describe('the firmware directory', () => {
  test('gives starts with their fixups, and nothing that is not firmware', () => {
    const names = [
      'start4.elf',
      'fixup4.dat',
      'bootcode.bin',
      'kernel8.img',
      'cmdline.txt',
      'LICENCE.broadcom',
    ]
    expect(chooseFirmware('fw', [...names, 'bcm2711-rpi-4-b.dtb', 'overlays'])).toEqual({
      programs: ['LICENCE.broadcom', 'bootcode.bin', 'fixup4.dat', 'start4.elf'],
      deviceTrees: ['bcm2711-rpi-4-b.dtb'],
    })
  })

  test.each([[[]], [['bootcode.bin', 'fixup4.dat']], [['start4.elf', 'start.elf', 'fixup.dat']]])(
    'is refused with %j',
    (names) => expect(caught(() => chooseFirmware('fw', names))).toMatchObject(refusal),
  )
})
