/**
 * kill -9 of the agent at every single operation of an update, in the boot that goes on: caches keep what was not
 * flushed, and the next run of the agent reads it as if it were on the medium.
 * Promise: all checkers look on; each run ends with the update done and the board converged.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import { present } from '../../core/assert.ts'
import { allCheckers } from '../../proof/checkers/all.ts'
import type { MadeRelease } from '../../proof/publisher.ts'
import { type Cast, hour, makeCast, minute, name, watched } from '../proof/checkers/story.ts'

let cast: Cast
beforeAll(async () => {
  cast = await makeCast(3)
})

function release(version: string): MadeRelease {
  return present(
    [...cast.releases.values()].find((it) => it.manifest.version === version),
    version,
  )
}

/** Installs `first` undisturbed, then `second` with a kill as operation `at` of it begins. @returns its operations */
async function killed(at: number, first: string, second: string, rot = false): Promise<number> {
  const { world, board, observer, assign } = await watched(cast, allCheckers)
  await assign(release(first))
  await world.time.pass(5 * minute)
  if (rot) {
    const other = board.boots.at(-1) === 'a' ? 'b' : 'a'
    // Behind three pieces lies the tree of the image.
    board.slots[other].rot(3 * 4096 + 5)
    observer.planted('rot', other)
  }
  let count = 0
  board.power.onBegin = () => {
    count += 1
    if (count === at) board.killAgent()
  }
  await assign(release(second))
  await world.time.pass(hour)
  observer.tell({ kind: 'end', converged: true })
  expect(observer.violation(), `kill at operation ${at}`).toBeNull()
  expect(world.reports(name).at(-1), `kill at operation ${at}`).toMatchObject({ result: 'ok' })
  return count
}

describe('kill -9 at every operation', () => {
  it('of an update over a former release', async () => {
    const operations = await killed(0, 'good-1', 'good-3')
    expect(operations).toBeGreaterThan(60)
    for (let at = 1; at <= operations; at += 1) await killed(at, 'good-1', 'good-3')
  }, 120_000)

  it('of a return to the release in the spare', async () => {
    const operations = await killed(0, 'good-1', '1')
    for (let at = 1; at <= operations; at += 1) await killed(at, 'good-1', '1')
  }, 120_000)
})

describe('a spare whose hash tree has rotted', () => {
  it('is written again before it is armed', async () => {
    await killed(0, 'good-1', '1', true)
  })
})
