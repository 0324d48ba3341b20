/**
 * "Not now": whether an update may begin, or the new system may be activated.
 * Promise: pure; whoever holds the beginning holds the activation too; nothing here ever holds a rollback.
 * Leaves to others: who holds what (the port), waiting (hold.ts).
 */

/** `start`: an update does not even begin; `activate`: it is downloaded and checked, and then waits. */
export type InhibitStep = 'start' | 'activate'

export interface Inhibitor {
  readonly who: string
  readonly why: string
  readonly step: InhibitStep
  /** End of it, ms of this boot; null: until it is released, or the device reboots. */
  readonly untilMs: number | null
}

/** What holds the update up, as hub and people are told. */
export interface Inhibited {
  readonly step: InhibitStep
  readonly by: string
  readonly why: string
}

/**
 * @param later the operator wants to activate it by a word of its own (`activate: later`), and has not
 * @returns null when the step may be done now
 */
export function inhibited(
  step: InhibitStep,
  inhibitors: readonly Inhibitor[],
  nowMs: number,
  later: boolean,
): Inhibited | null {
  const found = inhibitors
    .filter((it) => it.untilMs === null || it.untilMs > nowMs)
    .filter((it) => it.step === 'start' || step === 'activate')
    .sort((a, b) => (a.who < b.who ? -1 : 1))
  const [first] = found
  if (first !== undefined) {
    const more = found.length > 1 ? `, and ${found.length - 1} more` : ''
    return { step, by: first.who, why: `${first.why}${more}` }
  }
  if (step === 'activate' && later) {
    return { step, by: 'operator', why: 'the new system is to be activated later, by a word on the device' }
  }
  return null
}
