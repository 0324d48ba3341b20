/**
 * Random stories of one board under all checkers: updates one after another, good, sick, hanging and barring,
 * with kills and power cuts at operations and at times, broken links, a hub that goes and comes. Nothing is
 * planted that excuses anything, so no checker may fire.
 * Promise: one seed, one story.
 */
import { type SeededRandom, seededRandom } from '../../../core/prng.ts'
import { rememberingParts } from '../../../proof/adapters/parts.ts'
import type { BoardOptions, SimBoard } from '../../../proof/board-facts.ts'
import type { AnyChecker } from '../../../proof/checkers/checker.ts'
import { type Observer, observe, type Violation } from '../../../proof/observer.ts'
import { type MadeRelease, type Publisher, publisher } from '../../../proof/publisher.ts'
import { createWorld, type World, type WorldParts } from '../../../proof/world.ts'

export const name = 'board-1'
export const minute = 60_000
export const hour = 60 * minute

/** Keys and releases, made once for many worlds. */
export interface Cast {
  readonly publisher: Publisher
  readonly parts: WorldParts
  readonly v1: MadeRelease
  /** All of them by id, the factory's too. */
  readonly releases: ReadonlyMap<string, MadeRelease>
}

export interface Scene {
  readonly world: World
  readonly board: SimBoard
  readonly observer: Observer
  readonly releases: Map<string, MadeRelease>
  assign(release: MadeRelease): Promise<number>
}

export async function makeCast(pieces = 6): Promise<Cast> {
  const make = publisher(1)
  const common = { pieces }
  const v1 = await make.make('1', 'healthy', common)
  const others = [
    await make.make('good-1', 'healthy', common),
    await make.make('good-2', 'healthy', { ...common, securityVersion: 2 }),
    await make.make('good-3', 'healthy', { ...common, securityVersion: 3, floorAfterCommit: 2 }),
    await make.make('good-4', 'healthy', { ...common, securityVersion: 4, floorAfterCommit: 4 }),
    await make.make('sick-1', 'sick', { ...common, securityVersion: 5 }),
    await make.make('sick-2', 'sick', { ...common, securityVersion: 5, floorAfterCommit: 5 }),
    await make.make('hang-1', 'hang', { ...common, securityVersion: 5 }),
  ]
  const releases = new Map([v1, ...others].map((it) => [it.manifest.id, it]))
  return { publisher: make, parts: rememberingParts(make), v1, releases }
}

export interface WatchOptions extends BoardOptions {
  readonly seed?: number
  /** What is done to the board before anybody watches it. */
  readonly first?: (board: SimBoard) => void
}

/** A board as it comes from the factory, watched from its first boot on. */
export async function watched(
  cast: Cast,
  checkers: readonly AnyChecker[],
  { seed = 0, first = () => {}, ...options }: WatchOptions = {},
): Promise<Scene> {
  const world = await createWorld({ ...cast.parts, seed })
  const board = await world.addBoard(name, cast.v1, options)
  first(board)
  const releases = new Map(cast.releases)
  const observer = observe(world, board, releases, checkers)
  for (const it of cast.releases.values()) await world.publish(it)
  await board.powerOn()
  await world.time.pass(minute)
  return {
    world,
    board,
    observer,
    releases,
    async assign(release) {
      await world.rollOut(release, [name])
      return world.wanted(name)
    },
  }
}

type Blow = (scene: Scene, random: SeededRandom) => void

const leftovers = ['lost', 'kept', 'torn'] as const

/** Calls `blow` at the n-th operation from now on, before its effect. */
function atOperation({ board }: Scene, n: number, blow: () => void): void {
  const at = board.operations.length + n
  const before = board.power.onBegin
  board.power.onBegin = (it) => {
    before(it)
    if (board.operations.length !== at) return
    board.power.onBegin = before
    blow()
  }
}

const killAtOperation: Blow = (scene, random) =>
  atOperation(scene, 1 + random.below(60), () => scene.board.killAgent())

const blows: readonly Blow[] = [
  ({ board }) => board.killAgent(),
  ({ board }, random) => {
    board.powerOff(leftovers[random.below(3)] ?? 'lost')
    void board.powerOn()
  },
  ({ board }, random) =>
    board.cutAt(
      random.below(60),
      random.below(2) === 0 ? 'before' : 'after',
      leftovers[random.below(3)] ?? 'lost',
    ),
  ({ board }, random) => {
    let again = random.below(4)
    board.onCut = () => {
      if (again > 0) board.cutAt(random.below(20), 'before', leftovers[random.below(3)] ?? 'lost')
      again -= 1
      return undefined
    }
    board.cutAt(random.below(60), 'after', leftovers[random.below(3)] ?? 'lost')
  },
  ({ board }) => board.cutLink(),
  ({ world }, random) => {
    if (!world.net.broker.up) return
    world.stopHub()
    world.time.clock.timer(1000 * random.below(300), () => void world.startHub())
  },
  ({ world }, random) => {
    world.net.broker.pubackTurns = random.below(10)
  },
]

/** What came of a seed. */
export interface Played {
  readonly violation: Violation | null
  readonly boots: number
  readonly operations: number
  readonly blows: number
}

export interface StoryOptions {
  /** Kills of the agent fall at operations too, not only where it waits. */
  readonly killAnywhere: boolean
}

export async function playStory(
  seed: number,
  cast: Cast,
  checkers: readonly AnyChecker[],
  { killAnywhere }: StoryOptions,
): Promise<Played> {
  const random = seededRandom(seed)
  const known = killAnywhere ? [...blows, killAtOperation] : blows
  const sectorBytes = random.below(2) === 0 ? 512 : 4096
  const scene = await watched(cast, checkers, { sectorBytes, seed })
  const { world, board, observer } = scene
  const releases = [...cast.releases.values()].filter((it) => it !== cast.v1)
  let struck = 0
  let on = random.below(6) > 0
  const log = board.onLog
  board.onLog = (event) => {
    log(event)
    if (!on || random.below(6) !== 0) return
    world.time.clock.timer(random.below(3000), () => {
      if (!on) return
      struck += 1
      known[random.below(known.length)]?.(scene, random)
    })
  }
  for (let round = 0; round < 1 + random.below(4) && observer.violation() === null; round += 1) {
    const release = releases[random.below(releases.length)]
    if (release !== undefined) await scene.assign(release)
    await world.time.pass(1000 * random.below(1200))
  }
  on = false
  board.onCut = () => undefined
  await world.time.pass(hour)
  if (!world.net.broker.up) await world.startHub()
  await world.time.pass(2 * hour)
  observer.tell({ kind: 'end', converged: true })
  return {
    violation: observer.violation(),
    boots: board.boots.length,
    operations: board.operations.length,
    blows: struck,
  }
}
