/**
 * Many boards in one world: one rollout for all of them, while power, agents, connections and the hub fail at
 * random; then the faults are over, and every board must have come right.
 * Promise: the same seed, the same story.
 * Leaves to others: the invariants of a single board at every operation (swarm/, sweep/).
 */
import { seededRandom } from '../core/prng.ts'
import type { SimBoard } from './board-facts.ts'
import { type MadeRelease, publisher } from './publisher.ts'
import type { PartsFor } from './stage.ts'
import { truthOf } from './truth.ts'
import { createWorld, type World } from './world.ts'

const seconds = 1000
const hour = 3_600 * seconds
const leftovers = ['lost', 'kept', 'torn'] as const

export interface FleetOptions {
  readonly boards: number
  readonly seed: number
  /** Pieces of 4 KiB in each image. */
  readonly pieces: number
  /** Faults for each board, on average. */
  readonly faultsPerBoard: number
}

export interface FleetResult {
  readonly boards: number
  readonly succeeded: number
  readonly faults: number
  readonly hubRestarts: number
  readonly boots: number
  readonly operations: number
  readonly statuses: number
  readonly virtualSeconds: number
  /** In words; none when everything is as it must be. */
  readonly wrong: readonly string[]
}

export async function runFleet(options: FleetOptions, partsFor: PartsFor): Promise<FleetResult> {
  const { seed, pieces } = options
  const make = publisher(seed)
  const factory = await make.make('1', 'healthy', { pieces, level: 0 })
  const release = await make.make('2', 'healthy', { pieces, level: 0, securityVersion: 2 })
  const world = await createWorld({ ...partsFor(make), seed })
  const ids = Array.from({ length: options.boards }, (_, index) => `board-${index + 1}`)
  const boards: SimBoard[] = []
  for (const id of ids) boards.push(await world.addBoard(id, factory, { slotBytes: 128 * 1024 }))
  await world.publish(release)
  for (const board of boards) await board.powerOn()
  await world.time.pass(60 * seconds)
  await world.rollOut(release, ids)
  const counts = await unsafePhase(world, boards, options)
  if (!world.net.broker.up) await world.startHub()
  for (const board of boards) board.power.unplan()
  const closed = (): boolean => ids.every((id) => world.attemptState(id) === 'succeeded')
  await world.time.until(closed, 24 * hour)
  await world.time.pass(60 * seconds)
  return {
    boards: boards.length,
    succeeded: ids.filter((id) => world.attemptState(id) === 'succeeded').length,
    ...counts,
    boots: boards.reduce((sum, it) => sum + it.boots.length, 0),
    operations: boards.reduce((sum, it) => sum + it.operations.length, 0),
    statuses: world.store.tables.statusLog.length,
    virtualSeconds: world.time.nowMs() / seconds,
    wrong: boards.flatMap((it) => wrongWith(world, it, release)),
  }
}

async function unsafePhase(world: World, boards: readonly SimBoard[], options: FleetOptions) {
  const random = seededRandom(options.seed)
  const total = Math.floor(options.boards * options.faultsPerBoard)
  const kinds: readonly ((board: SimBoard) => void)[] = [
    (board) => board.killAgent(),
    (board) => board.cutLink(),
    (board) => {
      board.powerOff(leftovers[random.below(3)])
      void board.powerOn()
    },
    (board) => board.cutAt(random.below(60), random.below(2) === 0 ? 'before' : 'after', 'torn'),
  ]
  let hubRestarts = 0
  for (let fault = 0; fault < total; fault += 1) {
    const board = boards[random.below(boards.length)]
    const kind = kinds[random.below(kinds.length)]
    if (board !== undefined) kind?.(board)
    if (fault % 200 === 199 && world.net.broker.up) {
      hubRestarts += 1
      world.stopHub()
      world.time.clock.timer(random.below(60 * seconds), () => void world.startHub())
    }
    await world.time.pass(random.below(200))
  }
  return { faults: total, hubRestarts }
}

/** @returns what is wrong with one board in the end */
function wrongWith(world: World, board: SimBoard, release: MadeRelease): readonly string[] {
  const { id } = board
  const truth = truthOf(board.storage, board.settings.partitions, () => [release])
  const slot = board.boots.at(-1)
  const reports = world.reports(id).filter((it) => it.seq === world.wanted(id))
  const keys = new Set(world.statuses(id).map((it) => `${it.bootId} ${it.seq}`))
  const wrong: string[] = []
  if (slot === undefined || truth.slot(slot) !== release) wrong.push('does not run the release whole')
  const record = truth.record()
  if (slot !== undefined && (record?.priority !== slot || !record[slot].ok)) wrong.push('is not committed')
  if (reports.length !== 1 || reports[0]?.result !== 'ok') wrong.push(`${reports.length} final reports`)
  if (keys.size !== world.statuses(id).length) wrong.push('a status is kept twice')
  if (board.ends.length > 0) wrong.push(`the agent ended: ${board.ends[0]?.what}`)
  return wrong.map((it) => `${id}: ${it}`)
}
