/**
 * Plays a scenario on a board outside this process, with a real hub: the same words in the same order as the
 * player of the simulated board (../player.ts), by the clock on the wall.
 * Promise: a word that real boards cannot be told is refused before anything happens; whatever is waited for has
 * a deadline, and what was seen last is in the message.
 * Leaves to others: board, hub and releases.
 */
import { EverbootError, fault, raise } from '../../core/errors.ts'
import { sceneLimits } from '../../core/limits.ts'
import type { LogEvent } from '../../core/ports.ts'
import { committedRests } from '../at-rest.ts'
import type { Scenario } from '../scenario.ts'
import type { Deed, Step, StepOf } from '../steps.ts'
import { type Outcome, recordIn, seenRecord } from './outcome.ts'
import type { RealBoard } from './real-board.ts'

/** What the hub knows of the board. */
export interface DeviceSeen {
  /** Of the newest status. */
  readonly state: string | null
  readonly bootId: string | null
  /** All attempts, oldest first. */
  readonly attempts: readonly { readonly state: string; readonly code: string | null }[]
  readonly notices: readonly string[]
}

export interface RealScene {
  readonly board: RealBoard
  /** Publishes a release by its name in the scenario. */
  publish(name: string): Promise<void>
  assign(name: string): Promise<void>
  device(): Promise<DeviceSeen>
  readonly clock: { nowMs(): number; sleep(durationMs: number): Promise<void> }
  /** Told what is done. */
  say(line: string): void
}

/** @returns why the scenario is not for real boards of that kind, or null */
export function notForReal({ prepare, steps }: Scenario, kind: RealBoard['kind']): string | null {
  const deeds = [...prepare, ...steps].flatMap((it): readonly Step[] =>
    it.do === 'when' ? [it, ...it.deeds] : [it],
  )
  for (const it of deeds) {
    if (!words.has(it.do)) return `no real board can be told to "${it.do}"`
    const cuts = it.do === 'cut-at' || ('left' in it && it.left !== 'kept' && it.left !== 'lost')
    if (kind === 'loop' && cuts) return 'loop devices lose nothing at a chosen write'
    if (it.do === 'cut-at' && !/^\^?(boot|slot)\b/.test(it.operation))
      return `no real disk tells of "${it.operation}"`
  }
  return null
}

const words = new Set(['assign', 'wait', 'power-cycle', 'power', 'cut-at', 'rot', 'lose', 'when', 'pass'])

/** @throws EverbootError EB-UNSUPPORTED, EB-TIMEOUT */
export async function playReal(scene: RealScene, scenario: Scenario): Promise<Outcome> {
  const { board } = scene
  const why = notForReal(scenario, board.kind)
  if (why !== null) raise('EB-UNSUPPORTED', `${scenario.name}: ${why}`)
  for (const name of Object.keys(scenario.releases)) await scene.publish(name)
  const player = new RealPlayer(scene)
  await board.powerOn()
  await player.rest()
  await player.play(scenario.prepare)
  await player.rest()
  await player.play(scenario.steps)
  await player.rest()
  const { attempts } = await scene.device()
  return {
    boots: board.boots.slice(),
    rest: seenRecord(await board.recordParts()),
    attempts: attempts.map(({ state, code }) => (state === 'succeeded' ? 'ok' : (code ?? 'none'))),
  }
}

class RealPlayer {
  readonly #scene: RealScene
  #orders: StepOf<'when'>[] = []
  /** `everboot.boot` of the boot that runs, as its agent says. */
  #bootId: string | null = null
  /** Boots and cuts when the agent of this boot had found its place. */
  #since = ''
  /** This boot has its verdict, and the record is what follows from it. */
  #settled = false
  #onTrial = false
  #wishes = 0
  #failed: unknown = null

  constructor(scene: RealScene) {
    this.#scene = scene
    scene.board.onLog = (event) => this.#heard(event)
  }

  async play(steps: readonly Step[]): Promise<void> {
    for (const step of steps) {
      this.#scene.say(wordsOf(step))
      const boots = this.#scene.board.boots.length
      if (step.do === 'when') this.#orders.push(step)
      else if (step.do === 'wait') await this.#waitFor(step.for, boots)
      else if (step.do === 'pass') await this.#scene.clock.sleep(step.ms)
      else if (step.do !== 'cycle-until') await this.#perform(step)
    }
  }

  rest(): Promise<void> {
    return this.#until('the board is at rest', () => this.#atRest())
  }

  async #perform(deed: Deed): Promise<void> {
    const { board } = this.#scene
    switch (deed.do) {
      case 'assign':
        this.#wishes += 1
        return this.#scene.assign(deed.release)
      case 'power-cycle':
        return board.powerCycle(deed.left)
      case 'power':
        return deed.is === 'on' ? board.powerOn() : board.powerOff(deed.left)
      case 'cut-at':
        return board.cutAt(deed)
      case 'rot':
        return board.rot(deed.slot, deed.where)
      case 'lose':
        return board.lose(deed.what)
      default:
        return raise('EB-UNSUPPORTED', `no real board can be told to "${deed.do}"`)
    }
  }

  #waitFor(what: StepOf<'wait'>['for'], boots: number): Promise<void> {
    const { board } = this.#scene
    const { cuts } = board
    const conditions: Record<StepOf<'wait'>['for'], () => Promise<boolean>> = {
      rest: () => this.#atRest(),
      closed: async () => this.#closed(await this.#scene.device()),
      download: async () => (await this.#scene.device()).state === 'DOWNLOADING',
      boot: async () => board.boots.length > boots,
      trial: async () => this.#onTrial,
      off: async () => board.cuts > cuts,
    }
    return this.#until(`wait for ${what}`, conditions[what])
  }

  async #until(what: string, condition: () => Promise<boolean>): Promise<void> {
    const { board, clock, device } = this.#scene
    let story = this.#story()
    let end = clock.nowMs() + sceneLimits.waitMs
    while (!(await condition())) {
      if (story !== this.#story()) {
        // It goes on: a boot, or a cut that was planned.
        story = this.#story()
        end = clock.nowMs() + sceneLimits.waitMs
      }
      const failed = this.#failed ?? board.broken()
      if (failed !== null) throw failed
      if (clock.nowMs() > end) {
        const seen = `boots ${board.boots.map((it) => it.slot).join('')}, hub ${JSON.stringify(await device())}`
        throw new EverbootError(
          fault('EB-TIMEOUT', `not in ${sceneLimits.waitMs / 1000} s: ${what}; ${seen}`),
        )
      }
      await clock.sleep(sceneLimits.pollMs)
    }
  }

  /** As ../at-rest.ts has it, as far as it can be seen from outside. */
  async #atRest(): Promise<boolean> {
    const slot = this.#scene.board.boots.at(-1)?.slot
    if (slot === undefined || this.#bootId === null || this.#since !== this.#story()) return false
    if (!this.#settled) return false
    const device = await this.#scene.device()
    if (device.state !== 'IDLE' || device.bootId !== this.#bootId || !this.#closed(device)) return false
    const record = recordIn(await this.#scene.board.recordParts())
    return record?.[slot].ok === true && committedRests(record, slot)
  }

  /** Changes with every boot and every loss of power. */
  #story(): string {
    const { boots, cuts } = this.#scene.board
    return `${boots.length} ${cuts}`
  }

  #closed({ attempts }: DeviceSeen): boolean {
    const last = attempts.at(-1)
    if (attempts.length < this.#wishes) return false
    return last === undefined || last.state === 'succeeded' || last.state === 'failed'
  }

  #heard(event: LogEvent): void {
    if (event.event === 'standing') {
      this.#bootId = typeof event['boot'] === 'string' ? event['boot'] : null
      this.#since = this.#story()
      this.#settled = false
      this.#onTrial = event['standing'] === 'trial'
    }
    if (event.event === 'settled') this.#settled = true
    for (const order of this.#orders) {
      if (order.slot !== undefined && this.#scene.board.boots.at(-1)?.slot !== order.slot) continue
      if (!Object.entries(order.logged).every(([key, value]) => event[key] === value)) continue
      const left = this.#orders.filter((it) => it !== order)
      this.#orders = order.nth === 0 ? left : [...left, { ...order, nth: order.nth - 1 }]
      if (order.nth === 0) void this.#performAll(order.deeds)
    }
  }

  async #performAll(deeds: readonly Deed[]): Promise<void> {
    try {
      for (const deed of deeds) await this.#perform(deed)
    } catch (caught) {
      this.#failed = caught
    }
  }
}

function wordsOf(step: Step): string {
  const { do: word, ...rest } = step
  const more = Object.values(rest).map((it) => (typeof it === 'object' ? JSON.stringify(it) : `${it}`))
  return [word, ...more].join(' ')
}
