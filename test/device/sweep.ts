/**
 * Plays a story again and again, each time with a power cut at the next operation on storage.
 * Promise: every planned cut really came; after each the story must end as without it (I1-I5, I18).
 */
import { expect } from 'vitest'
import type { Leftover } from '../../bootloader-sim/devices/fate.ts'
import type { CutTime } from '../../bootloader-sim/devices/power.ts'
import type { Behaviour, MadeRelease, MakeOptions } from '../../proof/publisher.ts'
import { type Factory, minute, type Scene, scene, theReport } from './fixtures.ts'

export interface Story {
  /** What comes before the cuts. */
  prepare?(at: Scene): Promise<void>
  readonly behaviour: Behaviour
  readonly options?: MakeOptions
  readonly ends: 'succeeded' | 'failed'
  /** What must hold in the end; `at.board` has no work left. */
  check(at: Scene, release: MadeRelease): Promise<void>
}

export interface Cut {
  readonly n: number
  readonly time: CutTime
  readonly leftover: Leftover
}

export const cutKinds: readonly (readonly [CutTime, Leftover])[] = [
  ['before', 'lost'],
  ['before', 'torn'],
  ['after', 'kept'],
]

/** @returns how many of the cuts came before the story had ended */
export async function play(story: Story, factory: Factory, cuts: readonly Cut[]): Promise<number> {
  const at = await scene(factory, { quick: true })
  await story.prepare?.(at)
  const release = await at.release('new', story.behaviour, { pieces: 6, ...story.options })
  const first = at.board.operations.length
  let fired = 0
  const plan = (): void => {
    const next = cuts[fired]
    if (next !== undefined) at.board.cutAt(next.n, next.time, next.leftover)
  }
  plan()
  at.board.onCut = () => {
    fired += 1
    plan()
    return undefined
  }
  const seq = await at.assign(release)
  expect(await at.verdict(), JSON.stringify(cuts)).toBe(story.ends)
  // What the board has still to put right may be cut too.
  await at.world.time.pass(2 * minute)
  const where = cuts.map((it) => `${it.time} ${at.board.operations[first + it.n]}, ${it.leftover}`).join('; ')
  try {
    expect(theReport(at.world, seq).result).toBe(story.ends === 'succeeded' ? 'ok' : 'failed')
    await story.check(at, release)
  } catch (caught) {
    throw new Error(`with the power cut ${where}: ${(caught as Error).message}`, { cause: caught })
  }
  return fired
}

/**
 * One cut before each operation, and where writes were not flushed yet also with these torn or kept.
 * @returns how many cuts came
 */
export async function sweep(story: Story, factory: Factory): Promise<number> {
  const operations = await operationsOf(story, factory)
  let cuts = 0
  for (let n = 0; n < operations.length; n += 1) {
    const kinds = cutKinds.filter(([time, leftover]) => {
      const changing = operations[time === 'after' ? n : n - 1] ?? ''
      return leftover === 'lost' || / (write|rename|remove) /.test(changing)
    })
    for (const [time, leftover] of kinds) cuts += await play(story, factory, [{ n, time, leftover }])
  }
  expect(cuts, 'cuts that came').toBeGreaterThan(operations.length)
  return cuts
}

/** What a story without cuts does to the storage. */
async function operationsOf(story: Story, factory: Factory): Promise<readonly string[]> {
  let operations: readonly string[] = []
  const spy: Story = {
    ...story,
    async check(at, release) {
      operations = at.board.operations.slice(before)
      await story.check(at, release)
    },
    async prepare(at) {
      await story.prepare?.(at)
      before = at.board.operations.length
    },
  }
  let before = 0
  await play(spy, factory, [])
  return operations
}
