/**
 * Prints the boot table into docs/BOOT.md: `node test/bootloader-sim/print-boot-table.ts`.
 * Promise: changes nothing outside the two marks.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { bootTable } from '../../bootloader-sim/decide.ts'

export const bootDocument = new URL('../../docs/BOOT.md', import.meta.url)
const [begin, end] = ['<!-- boot-table -->\n', '<!-- /boot-table -->']

/** @param text of the document. @returns it with the table as the code has it */
export function withBootTable(text: string): string {
  const from = text.indexOf(begin) + begin.length
  const to = text.indexOf(end)
  if (from < begin.length || to < from) throw new Error('docs/BOOT.md has lost its marks')
  const rows = bootTable.map((it) => `| \`${it.id}\` | ${it.rule} | ${it.when} | ${it.action} |\n`)
  const table = `\n| row | rule | when | then |\n|---|---|---|---|\n${rows.join('')}\n`
  return `${text.slice(0, from)}${table}${text.slice(to)}`
}

if (import.meta.main) writeFileSync(bootDocument, withBootTable(readFileSync(bootDocument, 'utf8')))
