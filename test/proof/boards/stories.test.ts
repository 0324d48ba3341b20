/** The stories that boards of every kind play, and which scenarios are such. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { rememberingParts } from '../../../proof/adapters/parts.ts'
import { openScenario, scenarioNames } from '../../../proof/adapters/scenario-files.ts'
import { difference } from '../../../proof/boards/outcome.ts'
import { notForReal } from '../../../proof/boards/real-player.ts'
import { expectedOutcome, storyNames } from '../../../proof/boards/stories.ts'
import type { Scenario } from '../../../proof/scenario.ts'
import { testingDocument, withStoryTable } from './story-table.ts'

const open = async (name: string): Promise<Scenario> => (await openScenario(name)).scenario

describe('the stories of all boards', () => {
  it('come to what docs/TESTING.md says; node test/proof/boards/story-table.ts writes it there', async () => {
    const text = readFileSync(testingDocument, 'utf8')
    expect(await withStoryTable(text)).toBe(text)
  })

  it.each(storyNames)('%s can be played in QEMU', async (name) => {
    expect(notForReal(await open(name), 'qemu')).toBeNull()
  })

  it('come to the same once more, and differ where a loader cannot verify', async () => {
    const scenario = await open('rot-after-verify')
    const [verifying, claims, again] = [
      await expectedOutcome(scenario, 'verifying', rememberingParts),
      await expectedOutcome(scenario, 'record-only', rememberingParts),
      await expectedOutcome(scenario, 'record-only', rememberingParts),
    ]
    expect(difference(claims, again)).toBeNull()
    expect(difference(verifying, claims)).toBe('boots aa and abbba')
  })

  it('cut the power twenty-two times in one of them', async () => {
    const [first] = (await open('many-cuts')).steps
    expect(first?.do === 'cut-at' && 1 + first.next.length).toBe(22)
    const { boots } = await expectedOutcome(await open('many-cuts'), 'record-only', rememberingParts)
    // Two of the cuts come while the loader takes a try: before there is a boot.
    expect(boots.length).toBe(22 - 2 + 2)
  })
})

describe('scenarios for real boards', () => {
  it('are those whose words a real board understands', async () => {
    const reasons = await Promise.all(
      (await scenarioNames()).map(async (name) => [name, notForReal(await open(name), 'qemu')] as const),
    )
    const playable = reasons.filter(([, why]) => why === null).map(([name]) => name)
    expect(playable.length).toBeGreaterThan(25)
    expect(playable).toEqual(expect.arrayContaining([...storyNames]))
    expect(Object.fromEntries(reasons)['hub-restarts']).toBe('no real board can be told to "hub"')
  })

  it('do not cut where a disk cannot tell', async () => {
    const scenario = await open('many-cuts')
    expect(notForReal(scenario, 'loop')).toBe('loop devices lose nothing at a chosen write')
    const link = {
      ...scenario,
      steps: scenario.steps.map((it) => (it.do === 'cut-at' ? { ...it, operation: '^link publish' } : it)),
    }
    expect(notForReal(link, 'qemu')).toBe('no real disk tells of "^link publish"')
  })
})
