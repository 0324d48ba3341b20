/**
 * Every planted bug is found by an invariant by name, nothing is found without one, and docs/TESTING.md says
 * what found which. The agent that sweep and swarm run is the one that ships: a throw in it ends them.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Hunt, huntAll, testingDocument, withCanaryTable } from './canary-table.ts'
import { bug, endChildren, node, planting, root } from './children.ts'
import { plants } from './plants.ts'

let hunts: ReadonlyMap<string, Hunt>
beforeAll(async () => {
  hunts = await huntAll()
}, 1_200_000)
afterAll(endChildren)

describe('a throw in the agent', () => {
  const plant = bug({
    file: 'device/agent.ts',
    find: 'async function assigned(running: Running, desired: Desired): Promise<void> {\n',
    replace: `async function assigned(running: Running, desired: Desired): Promise<void> {
      if (desired.seq > 0) throw new TypeError('planted')
`,
  })
  const program = fileURLToPath(new URL('everboot.ts', root))

  it.each([
    ['sweep', '--scenario', 'update', '--pieces', '4'],
    ['swarm', '--seeds', '8'],
  ])('fails a %s', async (...args) => {
    const { status, output } = await node(['--import', planting(plant), program, 'emulator', ...args])
    expect(output).toMatch(/\bI\d+\b/)
    expect(status).toBe(6)
  })
})

describe('a hunt', () => {
  it('finds nothing without a planted bug', () => {
    expect(hunts.get('')).toMatchObject({ caught: null })
  })

  it.each(plants)('finds "$name"', ({ name }) => {
    expect(hunts.get(name)).toMatchObject({ caught: { invariant: expect.stringMatching(/^I\d+$/) } })
  })

  it('is told in docs/TESTING.md; node test/canaries/canary-table.ts writes it there', () => {
    const text = readFileSync(testingDocument, 'utf8')
    expect(text).toBe(withCanaryTable(text, hunts))
  })
})
