/**
 * Hunts for every planted bug, and what came of it as the table in docs/TESTING.md:
 * `node test/canaries/canary-table.ts` writes it there.
 * Promise: changes nothing outside the two marks.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { eachOf, endChildren, here, node, root } from './children.ts'
import type { Hunted } from './hunted.ts'
import { notYet, plants } from './plants.ts'

export const testingDocument = new URL('docs/TESTING.md', root)
const [begin, end] = ['<!-- canaries -->\n', '<!-- /canaries -->']
/** Several times what a hunt takes that finds nothing. */
const huntMs = 240_000

/** What hunting came to, or why there was no end. */
export type Hunt = Hunted | { readonly failed: string }

/** @returns by name of the bug; '' is the hunt without one */
export function huntAll(): Promise<ReadonlyMap<string, Hunt>> {
  return eachOf(['', ...plants.map((it) => it.name)], async (name): Promise<Hunt> => {
    const { status, output } = await node(['--import', here('plant.ts'), here('hunt.ts')], name, huntMs)
    return status === 0
      ? (JSON.parse(output) as Hunted)
      : { failed: `status ${status}: ${output.slice(-2000)}` }
  })
}

/** Where it came to light: not by the number of an operation, which other changes move. */
function placeOf(replay: string): string {
  const [story = '', state] = replay.split('/')
  if (state === undefined) return `seed ${story}`
  if (state === 'uncut') return `\`${story}\``
  return `\`${story}\`, ${state.endsWith('.killed') ? 'the agent killed' : 'the power cut'}`
}

/** @param text of the document. @returns it with the table of these hunts */
export function withCanaryTable(text: string, hunts: ReadonlyMap<string, Hunt>): string {
  const from = text.indexOf(begin) + begin.length
  const to = text.indexOf(end)
  if (from < begin.length || to < from) throw new Error('docs/TESTING.md has lost its marks')
  const rows = plants.map(({ name }) => {
    const hunt = hunts.get(name)
    const caught = hunt !== undefined && 'caught' in hunt ? hunt.caught : null
    const found = caught === null ? 'not found | ' : `${caught.invariant} | ${placeOf(caught.replay)}`
    return `| ${name} | ${found} |\n`
  })
  const later = Object.entries(notYet).map(([name, why]) => `| ${name} | not planted | ${why} |\n`)
  const head = '\n| planted bug | found by | in |\n|---|---|---|\n'
  return `${text.slice(0, from)}${head}${rows.join('')}${later.join('')}\n${text.slice(to)}`
}

if (import.meta.main) {
  try {
    writeFileSync(testingDocument, withCanaryTable(readFileSync(testingDocument, 'utf8'), await huntAll()))
  } finally {
    endChildren()
  }
}
