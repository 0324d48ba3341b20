/**
 * The power of a simulated board: every operation that changes something outside the program passes here, is
 * named and counted, and at a planned one the power goes: before it, or after its effect but before its answer.
 * Promise: from the cut on no operation answers; whoever planned a cut is told that it came.
 * Leaves to others: what is left of writes that were not flushed (block-device.ts, file-store.ts).
 */

export type CutTime = 'before' | 'after'

export interface Power {
  /** Names of all operations so far: `slot b write 4096+4096`, `files rename journal`. */
  readonly operations: readonly string[]
  /** Plans a cut at the first operation from now on that matches; `n` counts from 0. */
  cutWhen(match: (name: string, n: number) => boolean, time: CutTime): void
  /** Forgets a planned cut. */
  unplan(): void
  /** Carries out one operation. */
  step<T>(name: string, effect: () => T | Promise<T>): Promise<T>
  /** Called when the power goes. */
  onCut: () => void
  /** Told of each operation before its effect. */
  onBegin: (name: string) => void
  /** Told of each operation after its effect, when it has not failed. */
  onDone: (name: string) => void
}

export function createPower(): Power {
  const operations: string[] = []
  let planned: { readonly match: (name: string) => boolean; readonly time: CutTime } | null = null
  const power: Power = {
    operations,
    cutWhen(match, time) {
      let n = -1
      planned = {
        time,
        match(name) {
          n += 1
          return match(name, n)
        },
      }
    },
    unplan() {
      planned = null
    },
    async step(name, effect) {
      operations.push(name)
      power.onBegin(name)
      if (planned?.match(name) !== true) {
        const result = await effect()
        power.onDone(name)
        return result
      }
      const { time } = planned
      planned = null
      if (time === 'after') {
        await effect()
        power.onDone(name)
      }
      power.onCut()
      return new Promise(() => {})
    },
    onCut: () => {},
    onBegin: () => {},
    onDone: () => {},
  }
  return power
}
