/**
 * Power cuts at every operation of updates that succeed.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import { type Factory, holds, makeFactory } from './fixtures.ts'
import { sweep } from './sweep.ts'

const time = 120_000
let factory: Factory
beforeAll(async () => {
  factory = await makeFactory({ pieces: 6 })
})

describe('a power cut at every operation on storage', () => {
  it(
    'leaves a good update that completes, floor and all',
    async () => {
      const cuts = await sweep(
        {
          behaviour: 'healthy',
          ends: 'succeeded',
          async check({ board }, release) {
            expect(board.boots.at(-1)).toBe('b')
            expect(holds(board, 'b', release)).toBe(true)
            const b = { ok: true, sv: 1, tries: 8 }
            expect(await board.record()).toMatchObject({ priority: 'b', b, a: { ok: true }, floor: 1 })
          },
        },
        factory,
      )
      expect(cuts).toBeGreaterThan(100)
    },
    time,
  )

  it(
    'leaves an update over a former release that completes and bars what is older',
    async () => {
      const cuts = await sweep(
        {
          async prepare(at) {
            await at.assign(await at.release('2', 'healthy', { pieces: 6, securityVersion: 2 }))
            expect(await at.verdict()).toBe('succeeded')
          },
          behaviour: 'healthy',
          options: { securityVersion: 3, floorAfterCommit: 3 },
          ends: 'succeeded',
          async check({ board }, release) {
            expect(board.boots.at(-1)).toBe('a')
            expect(holds(board, 'a', release)).toBe(true)
            const a = { ok: true, sv: 3, tries: 8 }
            expect(await board.record()).toMatchObject({ priority: 'a', a, floor: 3 })
          },
        },
        factory,
      )
      expect(cuts).toBeGreaterThan(100)
    },
    time,
  )
})
