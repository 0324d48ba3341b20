/**
 * Prints the boot table and that of the Raspberry Pi's initramfs into docs/BOOT.md:
 * `node test/bootloader-sim/print-boot-table.ts`.
 * Promise: changes nothing outside their marks.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { bootTable } from '../../bootloader-sim/decide.ts'
import { initramfsTable } from '../../bootloader-sim/tryboot/initramfs.ts'

export const bootDocument = new URL('../../docs/BOOT.md', import.meta.url)

/** @param text of the document. @returns it with the tables as the code has them */
export function withBootTable(text: string): string {
  const rows = bootTable.map((it) => `| \`${it.id}\` | ${it.rule} | ${it.when} | ${it.action} |\n`)
  const table = `\n| row | rule | when | then |\n|---|---|---|---|\n${rows.join('')}\n`
  const initramfs = initramfsTable.map((it) => `| \`${it.id}\` | ${it.when} | ${it.action} |\n`)
  const second = `\n| row | when | then |\n|---|---|---|\n${initramfs.join('')}\n`
  return between(between(text, 'boot-table', table), 'initramfs-table', second)
}

function between(text: string, name: string, table: string): string {
  const [begin, end] = [`<!-- ${name} -->\n`, `<!-- /${name} -->`]
  const from = text.indexOf(begin) + begin.length
  const to = text.indexOf(end)
  if (from < begin.length || to < from) throw new Error('docs/BOOT.md has lost its marks')
  return `${text.slice(0, from)}${table}${text.slice(to)}`
}

if (import.meta.main) writeFileSync(bootDocument, withBootTable(readFileSync(bootDocument, 'utf8')))
