/**
 * All checkers over random stories in which everything is allowed that the code under test must bear: none
 * fires. And what a state of a checker must be: a value, from which many futures go on.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import { allCheckers } from '../../../proof/checkers/all.ts'
import type { AnyChecker, Facts } from '../../../proof/checkers/checker.ts'
import { observe } from '../../../proof/observer.ts'
import { createWorld } from '../../../proof/world.ts'
import { type Cast, hour, makeCast, minute, name, playStory, watched } from './story.ts'

const seeds = Array.from({ length: 30 }, (_, index) => 1 + index)

let cast: Cast
beforeAll(async () => {
  cast = await makeCast()
})

/** The same checker, whose states cannot be changed in place. */
function frozen(it: AnyChecker): AnyChecker {
  const hooks = Object.entries(it.on).map(([kind, hook]) => [
    kind,
    (state: unknown, happening: unknown, facts: Facts): unknown =>
      deepFreeze((hook as (...args: unknown[]) => unknown)(state, happening, facts)),
  ])
  return { ...it, on: Object.fromEntries(hooks) }
}

/** Bytes and maps are not looked into: no checker makes them anew but once. */
function deepFreeze<T>(it: T): T {
  if (typeof it !== 'object' || it === null || Object.isFrozen(it)) return it
  if (ArrayBuffer.isView(it) || it instanceof Map) return it
  Object.freeze(it)
  for (const value of Object.values(it)) deepFreeze(value)
  return it
}

describe('over random stories', () => {
  it.each(seeds)('no checker fires: seed %i', async (seed) => {
    const { violation, operations } = await playStory(seed, cast, allCheckers.map(frozen), {
      killAnywhere: false,
    })
    expect(violation).toBeNull()
    expect(operations).toBeGreaterThan(20)
  })
})

describe('the list of checkers', () => {
  it('has every invariant but I15, once, in order', () => {
    const ids = Array.from({ length: 18 }, (_, index) => `I${index + 1}`).filter((it) => it !== 'I15')
    expect(allCheckers.map((it) => it.id)).toEqual(ids)
    for (const it of allCheckers) expect(it.says.length).toBeGreaterThan(20)
  })
})

describe('the states of checkers', () => {
  it('go on from an image of a board, in as many futures as one likes', async () => {
    const scene = await watched(cast, allCheckers)
    const release = [...cast.releases.values()].find((it) => it.manifest.version === 'good-2')
    if (release === undefined) throw new Error('no release')
    await scene.assign(release)
    const [board, world, states] = [scene.board.image(), scene.world.image(), scene.observer.states()]
    const before = JSON.stringify(states)
    for (const future of [1, 2]) {
      const next = await createWorld({ ...cast.parts, seed: future }, world)
      const returned = await next.returnBoard(name, board)
      const observer = observe(next, returned, cast.releases, allCheckers, states)
      returned.powerOff('torn')
      await returned.powerOn()
      await next.time.pass(10 * minute)
      await next.time.pass(hour)
      observer.tell({ kind: 'end', converged: true })
      expect(observer.violation()).toBeNull()
      expect(next.attemptState(name)).toBe('succeeded')
    }
    expect(JSON.stringify(states)).toBe(before)
  })
})
