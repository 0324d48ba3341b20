/**
 * Reads what the bootloader handed over on the kernel command line: `everboot.slot=a everboot.boot=ID`, and
 * where the clock does not start with the boot (emulated boards) `everboot.start=MS`.
 */
import { readFileSync } from 'node:fs'
import { raise } from '../../core/errors.ts'
import type { HandOver } from '../../core/ports.ts'
import { safeName } from '../../core/units.ts'

/** @param path `/proc/cmdline` or the like. @throws EverbootError EB-CONFIG */
export function readHandOver(path: string): HandOver {
  let text: string
  try {
    text = readFileSync(path, 'latin1')
  } catch (cause) {
    raise('EB-CONFIG', `the hand-over ${path} cannot be read`, { cause })
  }
  return parseHandOver(text, path)
}

/** @throws EverbootError EB-CONFIG */
export function parseHandOver(text: string, path: string): HandOver {
  const words = new Map(
    text
      .trim()
      .split(/\s+/)
      .map((word) => {
        const split = word.indexOf('=')
        return split < 0 ? [word, ''] : [word.slice(0, split), word.slice(split + 1)]
      }),
  )
  const slot = words.get('everboot.slot')
  const bootId = words.get('everboot.boot') ?? ''
  const start = words.get('everboot.start') ?? '0'
  if (slot !== 'a' && slot !== 'b') {
    raise('EB-CONFIG', `${path} does not say which slot runs (everboot.slot=a or b)`, {
      todo: 'boot through a bootloader that hands over',
    })
  }
  if (!safeName.test(bootId)) raise('EB-CONFIG', `${path} has no usable everboot.boot`)
  if (!/^\d{1,15}$/.test(start)) raise('EB-CONFIG', `${path}: everboot.start is ${start}, not milliseconds`)
  return { slot, bootId, bootMs: Number(start) }
}
