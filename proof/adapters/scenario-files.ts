/**
 * The scenarios that come with Everboot, and others by path.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { EverbootError, fault, orThrow } from '../../core/errors.ts'
import { readScenario, type Scenario } from '../scenario.ts'

const directory = join(import.meta.dirname, '../scenarios')

export interface ScenarioFile {
  readonly text: string
  readonly scenario: Scenario
}

/** Names of the scenarios that come with Everboot, sorted. */
export async function scenarioNames(): Promise<readonly string[]> {
  const files = await readdir(directory)
  return files
    .filter((it) => it.endsWith('.json'))
    .map((it) => it.slice(0, -5))
    .sort()
}

/** Names of those that are to be swept. @param everyday only those of the everyday run */
export async function sweptNames(everyday: boolean): Promise<readonly string[]> {
  const swept: string[] = []
  for (const name of await scenarioNames()) {
    const { scenario } = await openScenario(name)
    if (scenario.sweep && (!everyday || scenario.everyday)) swept.push(name)
  }
  return swept
}

/** @param nameOrPath a name of ours, or the path of a file. @throws EverbootError EB-SCENARIO */
export async function openScenario(nameOrPath: string): Promise<ScenarioFile> {
  const own = /^[a-z0-9-]+$/.test(nameOrPath)
  const path = own ? join(directory, `${nameOrPath}.json`) : nameOrPath
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    if (!own && (cause as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw new EverbootError(
        fault('EB-SCENARIO', `${nameOrPath} cannot be read: ${(cause as Error).message}`),
        { cause },
      )
    }
    const known = own ? `; there are: ${(await scenarioNames()).join(', ')}` : ''
    throw new EverbootError(fault('EB-SCENARIO', `there is no scenario ${nameOrPath}${known}`), { cause })
  }
  return { text, scenario: orThrow(readScenario(text, nameOrPath)) }
}
