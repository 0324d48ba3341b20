/**
 * Every planted bug is found by an invariant by name, nothing is found without one, and docs/TESTING.md says
 * what found which.
 */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Hunt, huntAll, testingDocument, withCanaryTable } from './canary-table.ts'
import { endChildren } from './children.ts'
import { plants } from './plants.ts'

let hunts: ReadonlyMap<string, Hunt>
beforeAll(async () => {
  hunts = await huntAll()
}, 1_200_000)
afterAll(endChildren)

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
