/**
 * A board outside this process on which the stories of the simulated one are played: loop devices, QEMU.
 * Leaves to others: being one (adapters/), the order of things (real-player.ts).
 */
import type { LogEvent } from '../../core/ports.ts'
import type { SlotId } from '../../core/units.ts'
import type { Left, StepOf } from '../steps.ts'
import type { BootSeen } from './outcome.ts'

export interface RealBoard {
  readonly kind: 'loop' | 'qemu'
  /** All boots so far. */
  readonly boots: readonly BootSeen[]
  /** Losses of power, planned and at once. */
  readonly cuts: number
  /** Told of each line that the agent logs. */
  onLog: (event: LogEvent) => void
  powerOn(): Promise<void>
  /** The power goes now, and stays away. */
  powerOff(left: Left): Promise<void>
  /** It is back at once. */
  powerCycle(left: Left): Promise<void>
  /** The n-th operation from now on that matches loses its power. */
  cutAt(cut: StepOf<'cut-at'>): void
  rot(slot: SlotId, where: StepOf<'rot'>['where']): Promise<void>
  lose(what: StepOf<'lose'>['what']): Promise<void>
  /** What lies in `recordRanges` on the medium. */
  recordParts(): Promise<readonly Uint8Array[]>
  /** Why the board has broken down outside the story, or null. */
  broken(): Error | null
  close(): Promise<void>
}
