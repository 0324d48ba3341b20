/**
 * What the agent knows of its board at any time: hand-over, boot record, journal, seals of both slots.
 * Promise: read anew at every start of the agent; the hand-over says which slot runs, never the record.
 * Leaves to others: acting on it.
 */

import { EverbootError, type Fault } from '../core/errors.ts'
import type {
  Clock,
  Disks,
  Entropy,
  Events,
  Fetch,
  FileStore,
  HandOver,
  Link,
  Machine,
  PieceCodec,
  Random,
} from '../core/ports.ts'
import { otherSlot, type SlotId } from '../core/units.ts'
import type { AssignedRelease } from '../core/wire/messages.ts'
import type { Seal } from '../images/release/seal.ts'
import { type BootControl, openBootControl } from './boot/boot-control.ts'
import { type Loader, recordLoader } from './boot/loader.ts'
import { trybootLoader } from './boot/tryboot.ts'
import type { ClipsBeside } from './clips/beside.ts'
import { type AgentSettings, sealPartition, slotKeys } from './settings.ts'
import { readSeal } from './slots/slot.ts'
import { earliestWallMs } from './update/assignment.ts'
import type { Inhibitors } from './update/hold.ts'
import { type JournalFile, openJournal } from './update/journal.ts'

/** A release file on the device (USB, upload), served like a hub. */
export interface ReleaseFile {
  readonly assigned: AssignedRelease
  readonly fetch: Fetch
  close(): Promise<void>
}

export interface AgentPorts {
  readonly clock: Clock
  readonly random: Random
  readonly entropy: Entropy
  readonly disks: Disks
  readonly files: FileStore
  readonly link: Link
  readonly fetch: Fetch
  readonly machine: Machine
  readonly codec: PieceCodec
  readonly events: Events
  /** Absent: nobody on this device can say "not now". */
  readonly inhibitors?: Inhibitors
  /** Absent: this device has no clip cache. */
  readonly clips?: ClipsBeside
  /** Opens an `.ebr` on the device. @throws EverbootError EB-FILE, EB-CONTAINER, … */
  openReleaseFile(path: string): Promise<ReleaseFile>
}

export interface Board {
  readonly ports: AgentPorts
  readonly settings: AgentSettings
  readonly handOver: HandOver
  readonly own: SlotId
  readonly spare: SlotId
  readonly boot: BootControl
  readonly loader: Loader
  readonly journal: JournalFile
  /** Why the journal was started anew, or null. */
  readonly journalLost: Fault | null
  /** The seal of a slot as last read; null when it holds none that is valid. */
  seal(slot: SlotId): Seal | null
  /** Reads the seal of a slot again, after it was written or wiped. */
  refreshSeal(slot: SlotId): Promise<Seal | null>
  /**
   * A flush of the spare has failed in this boot. A system may go on showing what it has lost, so nothing there
   * counts until it is written again.
   */
  readonly spareDoubted: boolean
  doubtSpare(): Promise<void>
}

/** @throws EverbootError when boot partition or journal cannot be used at all */
export async function openBoard(ports: AgentPorts, settings: AgentSettings): Promise<Board> {
  const handOver = ports.machine.handOver()
  const own = handOver.slot
  const { tryboot } = settings
  const loader = tryboot == null ? recordLoader : trybootLoader(ports, settings, tryboot.partitions, own)
  const boot = await openBootControl(ports.disks, loader)
  const { journal, lost } = await openJournal(ports.files, numbersAfterLoss(ports.clock))
  if (lost !== null) ports.events.emit({ event: 'journal lost', code: lost.code })
  const seals = new Map<SlotId, Seal | null>()
  const refreshSeal = async (slot: SlotId): Promise<Seal | null> => {
    const seal = await sealOrNull(ports, settings, slot)
    seals.set(slot, seal)
    return seal
  }
  let doubted = journal.current.spareDoubted === handOver.bootId
  await refreshSeal('a')
  await refreshSeal('b')
  return {
    ports,
    settings,
    handOver,
    own,
    spare: otherSlot(own),
    boot,
    loader,
    journal,
    journalLost: lost,
    seal: (slot) => seals.get(slot) ?? null,
    refreshSeal,
    get spareDoubted() {
      return doubted
    },
    async doubtSpare() {
      doubted = true
      try {
        await journal.save((it) => ({ ...it, spareDoubted: handOver.bootId }))
      } catch (caught) {
        // This run of the agent knows it all the same.
        if (!(caught instanceof EverbootError)) throw caught
      }
    },
  }
}

/** Statuses are counted, so their numbers lie far below any time in ms; a lost count goes on from the time. */
function numbersAfterLoss(clock: Clock): number {
  return Math.max(clock.wallMs(), earliestWallMs) + clock.monotonicMs()
}

/** A slot that cannot be read holds nothing; an installation into it will say why. */
async function sealOrNull(ports: AgentPorts, settings: AgentSettings, slot: SlotId): Promise<Seal | null> {
  try {
    return await readSeal(ports.disks, slot, sealPartition(settings), slotKeys(settings))
  } catch (caught) {
    ports.events.emit({ event: 'slot unreadable', slot, what: (caught as Error).message })
    return null
  }
}
