/**
 * Power cuts at every operation of updates that fail, of a return, and pairs of cuts.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import { seededRandom } from '../../core/prng.ts'
import { type Factory, holds, makeFactory } from './fixtures.ts'
import { cutKinds, play, type Story, sweep } from './sweep.ts'

const time = 120_000
let factory: Factory
beforeAll(async () => {
  factory = await makeFactory({ pieces: 6 })
})

const sick: Story = {
  behaviour: 'sick',
  ends: 'failed',
  async check({ board, v1 }) {
    expect(board.boots.at(-1)).toBe('a')
    expect(holds(board, 'a', v1)).toBe(true)
    const b = { ok: false, tries: 0 }
    expect(await board.record()).toMatchObject({ priority: 'a', a: { ok: true, tries: 8 }, b, floor: 0 })
  },
}

const good: Story = {
  behaviour: 'healthy',
  ends: 'succeeded',
  async check({ board }, release) {
    expect(board.boots.at(-1)).toBe('b')
    expect(holds(board, 'b', release)).toBe(true)
    expect(await board.record()).toMatchObject({ priority: 'b', b: { ok: true, tries: 8 }, floor: 1 })
  },
}

describe('a power cut at every operation on storage', () => {
  it(
    'leaves a sick update that is rolled back',
    async () => {
      expect(await sweep(sick, factory)).toBeGreaterThan(100)
    },
    time,
  )
})

describe('two power cuts, the second in the recovery from the first', () => {
  for (const [name, story] of Object.entries({ good, sick })) {
    it(
      `leave a ${name} update that ends as it should`,
      async () => {
        const random = seededRandom(20_26)
        let both = 0
        for (let round = 0; round < 40; round += 1) {
          const cuts = [60, 25].map((operations) => {
            const [time, leftover] = cutKinds[random.below(cutKinds.length)] ?? ['before', 'lost']
            return { n: random.below(operations), time, leftover }
          })
          if ((await play(story, factory, cuts)) === 2) both += 1
        }
        expect(both).toBeGreaterThan(25)
      },
      time,
    )
  }
})
