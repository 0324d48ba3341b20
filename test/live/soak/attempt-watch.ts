/**
 * What the console shows of the boots in one attempt.
 * Promise: pure; boots are counted from the last time that the new system was about to be armed, since the
 * record may name it before the agent has said so.
 */
import type { SlotId } from '../../../core/units.ts'
import type { AttemptFacts } from './facts.ts'
import type { Sighting } from './phases.ts'

export class AttemptWatch {
  readonly #target: SlotId
  #trialBoots = 0
  #bootsSinceArmed = 0
  #watchdogBites = 0

  constructor(target: SlotId) {
    this.#target = target
  }

  saw(it: Sighting): void {
    if (it.kind === 'handover' && it.slot === this.#target) this.#trialBoots += 1
    if (it.kind === 'power-on') this.#bootsSinceArmed += 1
    if (it.kind === 'phase' && it.phase === 'APPLYING') this.#bootsSinceArmed = 0
    if (it.kind === 'reset' && it.why === 'watchdog') this.#watchdogBites += 1
  }

  facts(): Pick<AttemptFacts, 'trialBoots' | 'bootsSinceArmed' | 'watchdogBites'> {
    return {
      trialBoots: this.#trialBoots,
      bootsSinceArmed: this.#bootsSinceArmed,
      watchdogBites: this.#watchdogBites,
    }
  }
}
