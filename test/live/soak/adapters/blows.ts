/**
 * Carries out the blows of one round when the console shows that their phase has come.
 * Promise: one strike at a time; what it counts was carried out; the spare is damaged only while nothing can
 * have been committed yet, so that never both slots are damaged.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { damageSlot } from '../../../../bootloader-sim/adapters/damage.ts'
import { EverbootError } from '../../../../core/errors.ts'
import type { SlotId } from '../../../../core/units.ts'
import type { Phase, Sighting } from '../phases.ts'
import type { Blow, Round, Strike } from '../plan.ts'
import type { Tally } from '../tally.ts'
import type { World } from './world.ts'

const beforeTheTrial: readonly Phase[] = ['VERIFYING', 'APPLYING', 'armed']

export class Blows {
  readonly #world: World
  readonly #tally: Tally
  readonly #target: SlotId
  readonly #onFault: (caught: unknown) => void
  #waiting: readonly Blow[]
  #striking: Promise<void> = Promise.resolve()
  readonly #story: string[] = []
  #damaged = false

  /**
   * @param target the slot that is not committed
   * @param onFault told what a strike could not bear
   */
  constructor(world: World, tally: Tally, round: Round, target: SlotId, onFault: (caught: unknown) => void) {
    this.#onFault = onFault
    this.#world = world
    this.#tally = tally
    this.#target = target
    this.#waiting = round.blows
  }

  get strikes(): number {
    return this.#story.length
  }

  /** What was done, and in which phase. */
  get story(): readonly string[] {
    return this.#story
  }

  get damaged(): boolean {
    return this.#damaged
  }

  saw(it: Sighting): void {
    if (it.kind === 'phase') this.phase(it.phase)
  }

  /** A phase has come: the first blow that waits for it falls. */
  phase(phase: Phase): void {
    const next = this.#waiting.find((it) => it.phase === phase)
    if (next === undefined) return
    this.#waiting = this.#waiting.filter((it) => it !== next)
    this.#striking = this.#striking.then(() => this.#fall(next)).catch(this.#onFault)
  }

  /** No blow begins after this. Resolves when those under way are over. */
  async end(): Promise<void> {
    this.#tally.count('missed', this.#waiting.length)
    this.#waiting = []
    await this.#striking
  }

  async #fall({ strikes }: Blow): Promise<void> {
    let carriedOut = 0
    for (const strike of strikes) {
      await sleep(strike.delayMs)
      if (await this.#struck(strike)) carriedOut += 1
    }
    if (carriedOut > 1) this.#tally.count('twice')
  }

  /** @returns whether there was something to strike */
  async #struck(strike: Strike): Promise<boolean> {
    const { phase } = this.#world.board.watcher
    try {
      if (!(await this.#carryOut(strike))) {
        this.#tally.count('missed')
        return false
      }
    } catch (caught) {
      if (!isMiss(caught)) throw caught
      this.#tally.count('missed')
      return false
    }
    this.#story.push(`${strike.what} in ${phase}`)
    this.#tally.struck(strike.what)
    return true
  }

  async #carryOut({ what, lastsMs, damage }: Strike): Promise<boolean> {
    const { board, hub } = this.#world
    switch (what) {
      case 'kill agent':
        await board.order({ do: 'kill', program: 'agent' })
        return true
      case 'reset':
      case 'power cut':
        await board.order({ do: what === 'reset' ? 'reset' : 'power-cut' })
        return true
      case 'unplug':
        await this.#unplug()
        return true
      case 'kill hub':
        await hub.end('SIGKILL')
        await sleep(lastsMs)
        await hub.start()
        return true
      case 'cut link':
        this.#world.cutLink()
        await sleep(lastsMs)
        this.#world.restoreLink()
        return true
      case 'damage spare':
        if (!beforeTheTrial.includes(board.watcher.phase) || board.watcher.slot === this.#target) return false
        // Counted first: a damage that fails half-way may have been done.
        this.#damaged = true
        await damageSlot(board.directory, await board.file(), this.#target, damage)
        return true
    }
  }

  /** As when somebody pulls the plug and puts it in again: the new board finds nothing of the old one. */
  async #unplug(): Promise<void> {
    const { board } = this.#world
    await board.off('plug')
    const left = await board.left()
    if (left.length > 0) throw new Error(`an unplugged board leaves ${left.join(', ')}`)
    board.on()
  }
}

/** The board was between two boots, or the slot holds nothing that could be damaged. */
function isMiss(caught: unknown): boolean {
  const codes = ['EB-NOT-FOUND', 'EB-UNSUPPORTED', 'EB-IMAGE']
  return caught instanceof EverbootError && codes.includes(caught.fault.code)
}
