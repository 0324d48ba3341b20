/**
 * Plays the stories of all boards in process, and what they come to as the table in docs/TESTING.md:
 * `node test/proof/boards/story-table.ts` writes it there.
 * Promise: changes nothing outside the two marks.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { rememberingParts } from '../../../proof/adapters/parts.ts'
import { openScenario } from '../../../proof/adapters/scenario-files.ts'
import { expectedOutcome, storyNames, storyTable } from '../../../proof/boards/stories.ts'

export const testingDocument = new URL('../../../docs/TESTING.md', import.meta.url)
const [begin, end] = ['<!-- stories -->\n', '<!-- /stories -->']

/** @param text of the document. @returns it with the table as it must be */
export async function withStoryTable(text: string): Promise<string> {
  const from = text.indexOf(begin) + begin.length
  const to = text.indexOf(end)
  if (from < begin.length || to < from) throw new Error('docs/TESTING.md has lost its marks')
  const rows = await Promise.all(
    storyNames.map(async (name) => {
      const { scenario } = await openScenario(name)
      const verifying = await expectedOutcome(scenario, 'verifying', rememberingParts)
      const claims = await expectedOutcome(scenario, 'record-only', rememberingParts)
      return { scenario, outcomes: { verifying, 'record-only': claims } }
    }),
  )
  return `${text.slice(0, from)}\n${storyTable(rows).join('\n')}\n\n${text.slice(to)}`
}

if (import.meta.main) {
  writeFileSync(testingDocument, await withStoryTable(readFileSync(testingDocument, 'utf8')))
}
