/**
 * The hub acknowledges after its commit, the broker when it likes: neither order may hold statuses up.
 */
import { expect, it } from 'vitest'
import { minute, scene } from '../fixtures.ts'

it.each([0, 1, 5, 20])('an update takes no longer when the PUBACK comes %i turns late', async (turns) => {
  const { world, board, release, assign, verdict } = await scene()
  world.net.broker.pubackTurns = turns
  await assign(await release('2', 'healthy'))
  const startMs = world.time.nowMs()
  expect(await verdict()).toBe('succeeded')
  await world.time.until(
    () => world.store.tables.statusLog.some((it) => it.status.report !== undefined),
    minute,
  )
  // Without a resend: those wait 10 s and more.
  expect(world.time.nowMs() - startMs).toBeLessThan(10_000)
  expect(board.boots).toEqual(['a', 'b'])
})
