/**
 * Cuts the power of a story at every operation in every way, and runs what is left to its end; two deep when
 * asked: each recovery is cut again at each of its own operations. And kills the agent at every operation.
 * Promise: operations are counted in a story without cuts first, and each planned cut must come; a crash state
 * goes on from a copy of what the power left, so the cost grows with the operations, not with their square.
 * Leaves to others: dividing the work (adapters/workers.ts), which states (crash-states.ts), what must hold
 * (../checkers, ../verdict.ts).
 */
import { assert, present } from '../../core/assert.ts'
import type { Scenario } from '../scenario.ts'
import type { Stage } from '../scene.ts'
import { type CrashPoint, type CrashState, crashStates } from './crash-states.ts'
import { crashedImage, type Future, futureOf, killedFuture, pointsOf } from './futures.ts'
import { type Identity, identity } from './identity.ts'
import type { Cell, FoundViolation, SweptOperation, Way } from './result.ts'

/** More would only repeat the first ones. */
const violationsKept = 20

export interface SweepPlan {
  readonly scenario: Scenario
  readonly stage: Stage
  readonly depth: 1 | 2
  /** Of so many equal runs of operations this one. */
  readonly part: number
  readonly parts: number
  /** End as soon as an invariant by name does not hold: what a hunt for planted bugs wants. */
  readonly untilFirst?: boolean
}

export interface SweepPart {
  readonly operations: readonly SweptOperation[]
  readonly planned: number
  readonly fired: number
  /** Kills of the agent; each one came. */
  readonly kills: number
  readonly violations: readonly FoundViolation[]
  /** Identities of all different crash images. */
  readonly images: Iterable<string>
}

/** @param tick told how many more states are done */
export async function sweepPart(plan: SweepPlan, tick: (states: number) => void): Promise<SweepPart> {
  const part = new Part(plan)
  const counted = await pointsOf(plan)
  const { points, violation } = await pointsOf(plan)
  if (violation !== null) {
    part.violations.push({ ...violation, replay: `${plan.scenario.name}/uncut` })
    return part
  }
  for (const [index, point] of points.entries()) {
    const planned = present(counted.points[index], 'counted operation')
    assert(planned.name === point.name, `operation ${index} was ${planned.name}, is ${point.name}`)
    if (Math.floor((index * plan.parts) / points.length) !== plan.part) continue
    const before = part.fired
    await part.cutAt(point)
    if (point.phase !== 'boot') await part.killAt(point)
    tick(part.fired - before)
    if (part.enough()) break
  }
  return part
}

class Part implements SweepPart {
  readonly operations: SweptOperation[] = []
  planned = 0
  fired = 0
  kills = 0
  readonly violations: FoundViolation[] = []
  readonly #plan: SweepPlan
  readonly #identity: Identity = identity()
  readonly #seen = new Map<string, Future>()
  readonly #images = new Set<string>()

  constructor(plan: SweepPlan) {
    this.#plan = plan
  }

  get images(): Iterable<string> {
    return this.#images
  }

  enough(): boolean {
    return this.#plan.untilFirst === true && this.violations.some((it) => /^I\d+$/.test(it.invariant))
  }

  async cutAt(point: CrashPoint): Promise<void> {
    const cells = new Map<Way, MutableCell>()
    const deeper = { states: 0, distinct: 0, violations: 0 }
    for (const state of crashStates(point)) {
      if (this.enough()) break
      const path = `${this.#plan.scenario.name}/${point.number}.${state.way}.${state.index}`
      const cell = cells.get(state.way) ?? newCell(state.way, path)
      cells.set(state.way, cell)
      const two = this.#plan.depth === 2
      const { future, isNew } = await this.#judge(state, path, two)
      cell.add(future, isNew, path)
      // A future that was known has no points: its second cuts were made before.
      if (!two) continue
      for (const second of future.points) {
        for (const again of crashStates(second)) {
          const deep = await this.#judge(again, `${path}/${second.number}.${again.way}.${again.index}`, false)
          deeper.states += 1
          if (deep.isNew) deeper.distinct += 1
          if (deep.future.violation !== null) deeper.violations += 1
        }
      }
    }
    this.operations.push({
      number: point.number,
      name: point.name,
      phase: point.phase,
      atMs: point.atMs,
      cells: [...cells.values()].map((it) => it.done()),
      deeper: this.#plan.depth === 2 ? deeper : null,
    })
  }

  async #judge(
    state: CrashState,
    path: string,
    recording: boolean,
  ): Promise<{ future: Future; isNew: boolean }> {
    this.planned += 1
    const { stage, scenario } = this.#plan
    const crashed = crashedImage(state.image, state.fates, stage)
    const media = this.#identity.media(crashed)
    const isNew = !this.#images.has(media)
    this.#images.add(media)
    const key = this.#identity.whole(crashed, media)
    const known = this.#seen.get(key)
    if (known !== undefined) {
      this.fired += 1
      return { future: known, isNew }
    }
    const future = await futureOf(crashed, scenario, stage, { record: recording })
    this.fired += 1
    this.#seen.set(key, { ...future, points: [] })
    this.#keep(future.violation, path)
    return { future, isNew }
  }

  async killAt({ number }: CrashPoint): Promise<void> {
    if (this.enough()) return
    const { scenario, stage } = this.#plan
    this.#keep(await killedFuture(scenario, stage, number), `${scenario.name}/${number}.killed`)
    this.kills += 1
  }

  #keep(violation: Future['violation'], replay: string): void {
    if (violation !== null && this.violations.length < violationsKept) {
      this.violations.push({ ...violation, replay })
    }
  }
}

interface MutableCell {
  add(future: Future, isNew: boolean, path: string): void
  done(): Cell
}

function newCell(way: Way, firstPath: string): MutableCell {
  const counts = { states: 0, distinct: 0 }
  const endings = { old: 0, new: 0, otherwise: 0, violation: 0 }
  let replay = firstPath
  return {
    add({ ending }, isNew, path) {
      counts.states += 1
      if (isNew) counts.distinct += 1
      if (ending === 'violation' && endings.violation === 0) replay = path
      endings[ending] += 1
    },
    done: () => ({ way, ...counts, endings, replay }),
  }
}
