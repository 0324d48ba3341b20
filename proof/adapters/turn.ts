/**
 * One turn of the event loop, for the clock of the simulation: all microtasks run before it ends.
 */
import type { Turn } from '../../bootloader-sim/devices/clock.ts'

export const turn: Turn = () => new Promise((resolve) => setImmediate(resolve))
