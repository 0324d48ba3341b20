/**
 * `autoboot.txt` of the Raspberry Pi's first FAT partition: which boot partition the firmware takes, and which one
 * for the single boot after `reboot "0 tryboot"`.
 * Promise: every text that `printAutoboot` makes has the same length, well inside one sector, so it can be
 * overwritten in place; `parseAutoboot` takes only what the firmware would read in the same way.
 * Leaves to others: finding and writing the sector. Source: Raspberry Pi documentation, config.txt, "autoboot.txt".
 */
import { assert } from './assert.ts'

export interface Autoboot {
  /** Number of the boot partition of a plain boot, 1 to 9. */
  readonly partition: number
  /** Of the one boot on trial. */
  readonly trial: number
}

/** The firmware reads no longer file; also the sector that holds the file. */
export const autobootBytesMax = 512
/** Length of every text that is printed here. */
export const autobootBytes = Buffer.byteLength(text({ partition: 1, trial: 2 }))

/** @returns the whole file. Both numbers have one digit, so the length never changes. */
export function printAutoboot(autoboot: Autoboot): Uint8Array {
  for (const it of [autoboot.partition, autoboot.trial])
    assert(Number.isInteger(it) && it >= 1 && it <= 9, `boot partition ${it}`)
  return Buffer.from(text(autoboot))
}

/**
 * @param file its bytes; may be the whole sector, with zeros behind the text
 * @returns null when it is too long, knows no A/B trial, or names no partition for one of the two boots
 */
export function parseAutoboot(file: Uint8Array): Autoboot | null {
  if (file.length > autobootBytesMax) return null
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength)
  const end = bytes.indexOf(0)
  const rest = end < 0 ? bytes.subarray(bytes.length) : bytes.subarray(end)
  if (rest.some((it) => it !== 0)) return null
  const lines = bytes
    .subarray(0, bytes.length - rest.length)
    .toString('latin1')
    .split('\n')
  const found = { all: new Map<string, string>(), tryboot: new Map<string, string>() }
  let section: keyof typeof found | null = 'all'
  for (const raw of lines) {
    const line = raw.trim()
    const filter = /^\[(\w+)\]$/.exec(line)?.[1]
    if (filter !== undefined) section = filter === 'all' || filter === 'tryboot' ? filter : null
    const setting = /^(\w+)=(\w+)$/.exec(line)
    if (section !== null && setting !== null) found[section].set(setting[1] ?? '', setting[2] ?? '')
  }
  const partition = digit(found.all.get('boot_partition'))
  const trial = digit(found.tryboot.get('boot_partition'))
  const known = found.all.get('tryboot_a_b') === '1'
  return known && partition !== null && trial !== null ? { partition, trial } : null
}

function text({ partition, trial }: Autoboot): string {
  return `[all]\ntryboot_a_b=1\nboot_partition=${partition}\n[tryboot]\nboot_partition=${trial}\n`
}

function digit(value: string | undefined): number | null {
  return value !== undefined && /^[1-9]$/.test(value) ? Number(value) : null
}
