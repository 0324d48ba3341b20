/**
 * Seeds: rows of assignments under kills, power cuts, broken links, a hub that goes and comes, a bad server
 * and a full data partition, all at random; then the faults are off and everything must have come right.
 * Any failure names its seed, which plays the same again.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import { raise } from '../../core/errors.ts'
import { type SeededRandom, seededRandom } from '../../core/prng.ts'
import type { Behaviour, MadeRelease } from '../../proof/publisher.ts'
import {
  type Factory,
  holds,
  hour,
  lastStatus,
  makeFactory,
  type Scene,
  scene,
  theReports,
} from './fixtures.ts'

const seeds = Array.from({ length: 40 }, (_, index) => 1000 + index)

let factory: Factory
const releases = new Map<string, readonly MadeRelease[]>()
beforeAll(async () => {
  factory = await makeFactory({ pieces: 6 })
  for (const behaviour of ['healthy', 'sick', 'hang'] as const) {
    const versions = [1, 2, 3, 4].map((number) => `${behaviour}-${number}`)
    releases.set(
      behaviour,
      await Promise.all(versions.map((it) => factory.publisher.make(it, behaviour, { pieces: 6 }))),
    )
  }
})

type Disturbance = (at: Scene, random: SeededRandom) => void

const leftovers = ['lost', 'kept', 'torn'] as const

const disturbances: Readonly<Record<string, Disturbance>> = {
  kill: ({ board }) => board.killAgent(),
  power(at, random) {
    at.board.powerOff(leftovers[random.below(3)])
    void at.board.powerOn()
  },
  cut: ({ board }, random) =>
    board.cutAt(
      random.below(40),
      random.below(2) === 0 ? 'before' : 'after',
      leftovers[random.below(3)] ?? 'lost',
    ),
  link: ({ board }) => board.cutLink(),
  hub({ world }, random) {
    if (!world.net.broker.up) return
    world.stopHub()
    world.time.clock.timer(1000 * random.below(300), () => void world.startHub())
  },
  server({ world }, random) {
    const endMs = world.time.nowMs() + 1000 * random.below(200)
    const status = [500, 503, 429][random.below(3)] ?? 500
    world.net.files.bend = (_, answer) => {
      if (world.time.nowMs() < endMs) Object.assign(answer, { status, contentRange: null })
    }
  },
  broken({ world }, random) {
    let left = 3
    const after = random.below(20_000)
    world.net.files.bend = (_, answer) => {
      left -= 1
      if (left >= 0) answer.breakAfter = after
    }
  },
  full({ board, world }, random) {
    const endMs = world.time.nowMs() + 1000 * random.below(120)
    board.files.fault = (operation) => {
      if (operation === 'write' && world.time.nowMs() < endMs) raise('EB-DATA-FULL', 'planted')
    }
  },
}

function pick<T>(random: SeededRandom, from: readonly T[]): T {
  const it = from[random.below(from.length)]
  if (it === undefined) throw new Error('nothing to pick from')
  return it
}

/** @returns what was done, for people */
async function play(seed: number): Promise<string[]> {
  const random = seededRandom(seed)
  const at = await scene(factory, { quick: true })
  const { board, world } = at
  const story: string[] = []
  for (const list of releases.values()) for (const it of list) await world.publish(it)
  // At every event of the agent, one in eight: something happens.
  let armed = true
  board.onLog = () => {
    if (!armed || random.below(8) !== 0) return
    const [name, disturb] = pick(random, Object.entries(disturbances))
    story.push(`${world.time.nowMs()} ${name}`)
    world.time.clock.timer(random.below(3000), () => armed && disturb(at, random))
  }
  let last: MadeRelease | null = null
  for (let round = 0; round < 4; round += 1) {
    const behaviour = pick(random, [
      'healthy',
      'healthy',
      'healthy',
      'sick',
      'hang',
    ] as const satisfies Behaviour[])
    last = pick(random, releases.get(behaviour) ?? [])
    story.push(`${world.time.nowMs()} assign ${last.manifest.version}`)
    await world.rollOut(last, ['board-1'])
    await world.time.pass(1000 * random.below(1200))
  }
  armed = false
  world.net.files.bend = () => {}
  board.files.fault = () => {}
  await world.time.pass(3 * hour)
  if (!world.net.broker.up) await world.startHub()
  await world.time.pass(hour)
  const reports = theReports(world)
  const wanted = world.wanted('board-1')
  expect(reports.get(wanted), `the last attempt, ${wanted}`).toBeDefined()
  const { slot, state, slots } = lastStatus(world)
  expect(state).toBe('IDLE')
  expect(board.boots.at(-1)).toBe(slot)
  expect(slots[slot]).toMatchObject({ ok: true, tries: 8 })
  expect(await board.record()).toMatchObject({ priority: slot })
  const all = [factory.v1, ...[...releases.values()].flat()]
  const running = all.find((it) => it.manifest.id === slots[slot].release)
  expect(running !== undefined && holds(board, slot, running), 'the running image is whole').toBe(true)
  const healthy = last?.manifest.version.startsWith('healthy') ?? false
  if (healthy && reports.get(wanted)?.result === 'ok') expect(slots[slot].release).toBe(last?.manifest.id)
  const before = board.boots.length
  await world.time.pass(hour)
  expect(board.boots.length, 'boots at rest').toBe(before)
  return story
}

describe('a board under random faults', () => {
  it.each(seeds)('seed %i comes right', async (seed) => {
    const story: string[] = []
    try {
      story.push(...(await play(seed)))
    } catch (caught) {
      throw new Error(`seed ${seed}: ${(caught as Error).message}`, { cause: caught })
    }
    expect(story.length).toBeGreaterThan(3)
  })
})
