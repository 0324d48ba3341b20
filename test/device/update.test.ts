/**
 * Whole updates: real bootloader, agent and hub core in one process, in virtual time.
 */
import { describe, expect, it } from 'vitest'
import type { MadeRelease } from '../doubles/publisher.ts'
import { createWorld, lastReport, type TestBoard, type World } from '../doubles/world.ts'

const hour = 3_600_000

async function worldWithBoard(): Promise<{ world: World; board: TestBoard; v1: MadeRelease }> {
  const world = await createWorld()
  const v1 = await world.publisher.make('1', 'healthy')
  const board = await world.addBoard('board-1', v1)
  await board.powerOn()
  await world.time.until(() => world.hub().state().devices.get('board-1')?.reported != null, hour)
  return { world, board, v1 }
}

describe('an update', () => {
  it('is installed, tried, committed and reported', async () => {
    const { world, board } = await worldWithBoard()
    const v2 = await world.publisher.make('2', 'healthy')
    await world.publish(v2)
    await world.rollOut(v2, ['board-1'])
    await world.time.until(() => world.attemptState('board-1') === 'succeeded', hour)
    expect(board.boots).toEqual(['a', 'b'])
    expect(world.attemptState('board-1')).toBe('succeeded')
    expect(lastReport('board-1', world.store)).toMatchObject({ release: v2.manifest.id, result: 'ok' })
    const record = await board.record()
    expect(record).toMatchObject({
      priority: 'b',
      b: { ok: true, sv: 1, tries: 8 },
      a: { ok: true, tries: 8 },
    })
    expect(Buffer.compare(board.slots.b.medium.subarray(0, v2.image.length), v2.image)).toBe(0)
  })

  it('whose service is sick is rolled back after one boot, with evidence at the hub', async () => {
    const { world, board } = await worldWithBoard()
    const v2 = await world.publisher.make('2', 'sick')
    await world.publish(v2)
    await world.rollOut(v2, ['board-1'])
    await world.time.until(() => world.attemptState('board-1') === 'failed', hour)
    expect(board.boots).toEqual(['a', 'b', 'a'])
    expect(lastReport('board-1', world.store)).toMatchObject({
      result: 'failed',
      code: 'EB-HEALTH',
      evidence: { check: 'service', console: 'last words' },
    })
  })

  it('that hangs is tried three times and given up', async () => {
    const { world, board } = await worldWithBoard()
    const v2 = await world.publisher.make('2', 'hang')
    await world.publish(v2)
    await world.rollOut(v2, ['board-1'])
    await world.time.until(() => world.attemptState('board-1') === 'failed', hour)
    expect(board.boots).toEqual(['a', 'b', 'b', 'b', 'a'])
    expect(lastReport('board-1', world.store)).toMatchObject({ code: 'EB-NO-VERDICT' })
  })
})

/** Runs a good update and does `disturb` at the n-th event of the agent's log. @returns how many events there were */
async function disturbed(n: number, disturb: (board: TestBoard) => void): Promise<number> {
  const { world, board } = await worldWithBoard()
  const v2 = await world.publisher.make('2', 'healthy')
  await world.publish(v2)
  let seen = 0
  board.onLog = () => {
    seen += 1
    if (seen === n) disturb(board)
  }
  await world.rollOut(v2, ['board-1'])
  await world.time.until(() => world.attemptState('board-1') === 'succeeded', hour)
  const record = await board.record()
  expect(world.attemptState('board-1'), `disturbed at event ${n}`).toBe('succeeded')
  expect(record).toMatchObject({ priority: 'b', b: { ok: true } })
  expect(Buffer.compare(board.slots.b.medium.subarray(0, v2.image.length), v2.image)).toBe(0)
  const finals = world.store.statusLog.filter((it) => it.status.report !== undefined)
  expect(finals.length, `final reports, disturbed at event ${n}`).toBe(1)
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
