/**
 * Whole updates: real bootloader, agent and hub core in one process, in virtual time.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import type { SimBoard } from '../../proof/board-facts.ts'
import { type Factory, holds, makeFactory, scene, theReport } from './fixtures.ts'

let factory: Factory
beforeAll(async () => {
  factory = await makeFactory()
})

describe('an update', () => {
  it('is installed, tried, committed and reported', async () => {
    const { world, board, release, assign, verdict } = await scene(factory)
    const v2 = await release('2', 'healthy')
    const seq = await assign(v2)
    expect(await verdict()).toBe('succeeded')
    expect(board.boots).toEqual(['a', 'b'])
    expect(theReport(world, seq)).toMatchObject({ release: v2.manifest.id, result: 'ok' })
    expect(await board.record()).toMatchObject({
      priority: 'b',
      b: { ok: true, sv: 1, tries: 8 },
      a: { ok: true, tries: 8 },
    })
    expect(holds(board, 'b', v2)).toBe(true)
  })

  it('whose service is sick is rolled back after one boot, with evidence at the hub', async () => {
    const { world, board, release, assign, verdict } = await scene(factory)
    const seq = await assign(await release('2', 'sick'))
    expect(await verdict()).toBe('failed')
    expect(board.boots).toEqual(['a', 'b', 'a'])
    expect(theReport(world, seq)).toMatchObject({
      result: 'failed',
      code: 'EB-HEALTH',
      evidence: { check: 'service', console: 'last words' },
    })
  })

  it('that hangs is tried three times and given up', async () => {
    const { world, board, release, assign, verdict } = await scene(factory)
    const seq = await assign(await release('2', 'hang'))
    expect(await verdict()).toBe('failed')
    expect(board.boots).toEqual(['a', 'b', 'b', 'b', 'a'])
    expect(theReport(world, seq)).toMatchObject({ code: 'EB-NO-VERDICT' })
  })
})

/** Runs a good update and does `disturb` at the n-th event of the agent's log. @returns how many events there were */
async function disturbed(n: number, disturb: (board: SimBoard) => void): Promise<number> {
  const { world, board, release, assign, verdict } = await scene(factory)
  const v2 = await release('2', 'healthy')
  let seen = 0
  board.onLog = () => {
    seen += 1
    if (seen === n) disturb(board)
  }
  const seq = await assign(v2)
  expect(await verdict(), `disturbed at event ${n}`).toBe('succeeded')
  expect(await board.record()).toMatchObject({ priority: 'b', b: { ok: true } })
  expect(holds(board, 'b', v2)).toBe(true)
  theReport(world, seq)
  return seen
}

describe('an update that is disturbed at each of its events', () => {
  it('completes after kill -9 of the agent', async () => {
    const events = await disturbed(0, () => {})
    expect(events).toBeGreaterThan(8)
    for (let n = 1; n <= events; n += 1) await disturbed(n, (board) => board.killAgent())
  })

  it('completes after a reset of the board', async () => {
    const events = await disturbed(0, () => {})
    for (let n = 1; n <= events; n += 1) {
      await disturbed(n, (board) => {
        board.powerOff()
        void board.powerOn()
      })
    }
  })
})
