/**
 * Which crash states one crash point has: for each way to cut there, lists of fates for what was not flushed.
 * Promise: exhaustive up to `exhaustiveMax` pending things; above that all prefixes, all single drops, all
 * single survivors and `randomSubsets` random lists. The same point gives the same states in the same order.
 * Leaves to others: applying fates (devices), running what is left (explore.ts).
 */
import { type Fate, type Pending, pickFate } from '../../bootloader-sim/devices/fate.ts'
import { seededRandom } from '../../core/prng.ts'
import type { SceneImage } from '../scene.ts'
import type { Way } from './result.ts'

const exhaustiveMax = 10
const randomSubsets = 32

/** A crash point: the world before an operation, and after its effect unless it failed. */
export interface CrashPoint<Image extends Cuttable = SceneImage> {
  readonly number: number
  readonly name: string
  readonly phase: string
  readonly atMs: number
  readonly before: Image
  readonly after: Image | null
}

/** What a loss of power leaves, and what of it is left to fate. */
export interface Cuttable {
  readonly pending: readonly Pending[]
}

export interface CrashState<Image extends Cuttable = SceneImage> {
  readonly way: Way
  /** Counts the states of one way at one point. */
  readonly index: number
  readonly image: Image
  readonly fates: readonly Fate[]
}

export function crashStates<Image extends Cuttable>(point: CrashPoint<Image>): readonly CrashState<Image>[] {
  const { before, after, number } = point
  const states: CrashState<Image>[] = []
  const add = (way: Way, image: Image, lists: readonly (readonly Fate[])[]): void => {
    for (const [index, fates] of lists.entries()) states.push({ way, index, image, fates })
  }
  add('before', before, [uniform(before.pending, 'lost'), uniform(before.pending, 'kept')])
  if (after !== null) {
    add('torn', after, tornLists(point))
    add('after', after, [uniform(after.pending, 'lost'), uniform(after.pending, 'kept')])
  }
  add('subset', before, subsets(before.pending, number))
  return states
}

function uniform(pending: readonly Pending[], fate: Fate): Fate[] {
  return pending.map(() => fate)
}

/**
 * Inside a write: a part of it, with all that was pending before lost, or kept. Inside a flush: some of what
 * was pending, the last of it torn.
 */
function tornLists({ before, after }: CrashPoint<Cuttable>): readonly (readonly Fate[])[] {
  if (after === null || after.pending.length <= before.pending.length) return []
  const last = after.pending.at(-1)
  if (last?.tearable !== true) return []
  const rest = after.pending.slice(0, -1)
  return [
    [...uniform(rest, 'lost'), 'front'],
    [...uniform(rest, 'kept'), 'back'],
    [...uniform(rest, 'kept'), 'front'],
    [...uniform(rest, 'lost'), 'back'],
  ]
}

/** All but "all lost" and "all kept". */
function subsets(pending: readonly Pending[], seed: number): readonly (readonly Fate[])[] {
  const count = pending.length
  if (count < 1) return []
  if (count <= exhaustiveMax) return [...everySubset(count), ...tornOnes(pending)]
  const lists: Fate[][] = []
  for (let at = 1; at < count; at += 1) lists.push(pending.map((_, index) => (index < at ? 'kept' : 'lost')))
  for (let at = 0; at < count; at += 1) {
    lists.push(pending.map((_, index) => (index === at ? 'lost' : 'kept')))
    lists.push(pending.map((_, index) => (index === at ? 'kept' : 'lost')))
  }
  const random = seededRandom(seed)
  for (let one = 0; one < randomSubsets; one += 1) {
    lists.push(pending.map(({ tearable }) => pickFate(tearable, random)))
  }
  return lists
}

function everySubset(count: number): Fate[][] {
  const lists: Fate[][] = []
  for (let bits = 1; bits < 2 ** count - 1; bits += 1) {
    lists.push(Array.from({ length: count }, (_, index): Fate => ((bits >> index) & 1 ? 'kept' : 'lost')))
  }
  return lists
}

/** Each tearable thing torn, with all others kept. */
function tornOnes(pending: readonly Pending[]): Fate[][] {
  return pending.flatMap(({ tearable }, at) =>
    tearable
      ? (['front', 'back'] as const).map((part) => pending.map((_, index) => (index === at ? part : 'kept')))
      : [],
  )
}
