/**
 * What surrounds the agent on a simulated board: hardware ids, programs, hooks, the clock, the doors to its
 * disks. Each can be made to fail as the adapter would.
 * Leaves to others: the board itself (board.ts).
 */
import { never } from '../bootloader-sim/devices/mortal.ts'
import { raise } from '../core/errors.ts'
import type { FirmwareFacts, HookName, ProgramResult } from '../core/ports.ts'
import type { SlotId } from '../core/units.ts'
import type { ReleaseFile } from '../device/board.ts'
import type { Inhibitor } from '../device/update/inhibit.ts'
import type { Behaviour } from './publisher.ts'

export interface Surroundings {
  probe: (behaviour: Behaviour) => number | null | Promise<number | null>
  run: (argv: readonly string[]) => ProgramResult
  hook: (name: HookName, environment: Readonly<Record<string, string>>) => ProgramResult | null
  hardware: readonly string[]
  /** What the kernel kept of a crash. */
  crash: string | null
  /** Who says "not now". */
  inhibitors: Inhibitor[]
  /** May throw what the adapter would throw. */
  openSlot: (slot: SlotId, image: string, mode: 'read' | 'exclusive') => void
  openBoot: () => void
  reboot: () => void
  wallMs: (trueMs: number) => number
  /** What the device tree says of a boot by tryboot. */
  firmware: (truly: FirmwareFacts | null) => FirmwareFacts | null
  openReleaseFile: (path: string) => Promise<ReleaseFile>
}

export function allWell(): Surroundings {
  return {
    probe: (behaviour) => {
      if (behaviour === 'no verdict') return never()
      return behaviour === 'sick' ? 503 : 200
    },
    run: () => ({ status: 0, timedOut: false, output: '' }),
    hook: () => null,
    hardware: ['sim'],
    crash: null,
    inhibitors: [],
    openSlot: () => {},
    openBoot: () => {},
    reboot: () => {},
    wallMs: (trueMs) => trueMs,
    firmware: (truly) => truly,
    openReleaseFile: async (path) => raise('EB-FILE', `${path} does not exist`),
  }
}
