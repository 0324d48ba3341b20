/**
 * Prints docs/ERRORS.md from the table of codes: `node test/tidy/print-errors.ts > docs/ERRORS.md`.
 * Promise: every code of the table, in its order, by family; nothing else.
 */
import { type ErrorCode, errorTable, exitStatus } from '../../core/errors.ts'

const families: Readonly<Record<keyof typeof exitStatus, string>> = {
  internal: 'A bug in Everboot itself.',
  usage: 'The command line or a configuration file has to be corrected.',
  refused: 'Everboot will not do it: keys, releases, assignments or requests that are not right.',
  network: 'The other side cannot be reached or answers wrongly.',
  storage: 'A file, a disk, a slot or a database.',
  updateFailed: 'The update was tried and did not stay.',
  environment: 'Something on the machine is missing or in the way.',
}

export function errorsDocument(): string {
  const codes = Object.keys(errorTable) as readonly ErrorCode[]
  const names = Object.keys(families) as (keyof typeof families)[]
  const sections = names
    .sort((a, b) => exitStatus[a] - exitStatus[b])
    .map((family) => {
      const rows = codes
        .filter((code) => errorTable[code].family === family)
        .map((code) => `| \`${code}\` | ${errorTable[code].means} | ${sentence(errorTable[code].todo)} |`)
      const head = `## ${title(family)}: exit status ${exitStatus[family]}\n\n${families[family]}`
      return `${head}\n\n| code | what it means | what to do |\n|---|---|---|\n${rows.join('\n')}\n`
    })
  return `${intro}\n${sections.join('\n')}`
}

const intro = `# Errors

Every expected failure has a code. A command prints it to standard error as \`EB-…: what; what to do\`, with
\`--json\` also as \`{"error":{"code":…,"what":…,"todo":…}}\` on standard output, and ends with the exit status
of the code's family; 0 is success. A device sends the same codes to the hub. Scripts may rely on codes and exit
statuses; the words between them may change.

This page is printed from \`core/errors.ts\` by \`node test/tidy/print-errors.ts\`; a test compares the two.
`

function title(family: string): string {
  const words = family.replace(/[A-Z]/g, (it) => ` ${it.toLowerCase()}`)
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}`
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`
}

if (import.meta.main) process.stdout.write(errorsDocument())
