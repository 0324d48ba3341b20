/**
 * One turn for the clock of the simulation: all microtasks run before it ends.
 * Promise: a tick of Node is only begun when no microtask is left, and costs a tenth of a round of the event loop;
 * now and then the loop goes round too, so that a simulation does not shut out signals and messages.
 */
import type { Turn } from '../../bootloader-sim/devices/clock.ts'

const ticksPerRound = 256

export function newTurn(): Turn {
  let ticks = 0
  return () =>
    new Promise((resolve) => {
      ticks += 1
      if (ticks % ticksPerRound === 0) setImmediate(resolve)
      else process.nextTick(resolve)
    })
}
