/**
 * What both kinds of emulated hardware tell about themselves besides running the board.
 */
import type { Disks } from '../../core/ports.ts'
import type { Hardware } from '../board.ts'

export type Mode = 'loop' | 'plain'

export interface EmulatedHardware extends Hardware {
  readonly mode: Mode
  /** The process above everything of this boot, and where its slot is mounted or unpacked. */
  running(): { readonly pid: number; readonly slotRoot: string } | null
  /** The disks while they are attached. */
  disks(): Disks | null
}
