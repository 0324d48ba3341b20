/**
 * What the initramfs of a Raspberry Pi decides: an ordered table, as that of the loader. It lies in the boot
 * partition of each slot, runs before the system, and is the first that looks at a seal.
 * Promise: pure. A system is started only under an authentic seal of its own slot, at or above the floor; one that
 * is refused gives way to the other slot if that one would not be refused, so the two never hand over for ever; one
 * that was booted eight times by [all] without being found healthy gives way too, as a loader that counts would do.
 * docs/BOOT.md prints this table; the shell of images/boards/raspberry-pi plays it.
 * Leaves to others: looking (loader.ts; on a board shell and OpenSSL), dm-verity, the count's sector
 * (core/boot-count.ts), the record, which it never writes.
 */
import { present } from '../../core/assert.ts'
import { slotLimits } from '../../core/limits.ts'
import { otherSlot, type SlotId } from '../../core/units.ts'

/** What looking at the seal of a slot found: authentic, and at or above the floor; or not. */
export type SealVerdict = 'good' | 'refused'

export interface InitramfsKnowledge {
  /** By the partition that the firmware started; null: that belongs to no slot. */
  readonly own: SlotId | null
  /** null: not looked at in this boot. */
  readonly seals: Readonly<Record<SlotId, SealVerdict | null>>
  /** Boots of the own slot since it was last found healthy. */
  readonly boots: number
  /** The one-shot flag was set: a trial, whose boots the record counts. */
  readonly tryboot: boolean
}

export type InitramfsStep =
  | { readonly do: 'look'; readonly slot: SlotId }
  /** `boots`: what to count before; null: nothing. */
  | { readonly do: 'start'; readonly slot: SlotId; readonly boots: number | null }
  | { readonly do: 'reboot'; readonly slot: SlotId }
  | { readonly do: 'stop' }

export interface InitramfsRow {
  readonly id: string
  readonly when: string
  readonly action: string
  applies(known: InitramfsKnowledge): boolean
  step(known: InitramfsKnowledge): InitramfsStep
}

const ownOf = (known: InitramfsKnowledge): SlotId => present(known.own, 'own slot')

/** Rule 1 for a slot that [all] names: its boots are used up. */
const isSpent = ({ tryboot, boots }: InitramfsKnowledge): boolean =>
  !tryboot && boots >= slotLimits.committedTries

const mayStart = (known: InitramfsKnowledge): boolean => known.seals[ownOf(known)] === 'good'

/** A row may count on all rows above it not to apply. */
export const initramfsTable: readonly InitramfsRow[] = [
  {
    id: 'astray',
    when: 'the partition that was started belongs to no slot',
    action: 'report EB-NO-SLOT, pause, `reboot`',
    applies: ({ own }) => own === null,
    step: () => ({ do: 'stop' }),
  },
  {
    id: 'look',
    when: 'the seal of the own slot was not looked at yet',
    action: 'check its signature, and its security version against the floor of record and stamp',
    applies: (known) => known.seals[ownOf(known)] === null,
    step: (known) => ({ do: 'look', slot: ownOf(known) }),
  },
  {
    id: 'start-trial',
    when: 'it is good, and the one-shot flag was set',
    action: 'start it, as in `start`, without counting: the record has counted this boot',
    applies: (known) => mayStart(known) && known.tryboot,
    step: (known) => ({ do: 'start', slot: ownOf(known), boots: null }),
  },
  {
    id: 'start',
    when: 'it is good, and has had fewer than 8 boots since it was last healthy',
    action:
      'count this boot, then: dm-verity with the root hash of the seal (`restart_on_corruption`), watchdog, hand-over, start it',
    applies: (known) => mayStart(known) && !isSpent(known),
    step: (known) => ({ do: 'start', slot: ownOf(known), boots: known.boots + 1 }),
  },
  {
    id: 'look-across',
    when: 'it is refused or has had its boots, and the seal of the other slot was not looked at yet',
    action: 'check it in the same way',
    applies: (known) => known.seals[otherSlot(ownOf(known))] === null,
    step: (known) => ({ do: 'look', slot: otherSlot(ownOf(known)) }),
  },
  {
    id: 'give-way',
    when: 'the seal of the other slot is good',
    action: 'set the count back, `reboot N`, N the boot partition of the other slot',
    applies: (known) => known.seals[otherSlot(ownOf(known))] === 'good',
    step: (known) => ({ do: 'reboot', slot: otherSlot(ownOf(known)) }),
  },
  {
    id: 'start-alone',
    when: 'the own seal is good: there is nobody to give way to',
    action: 'start it, as in `start`',
    applies: mayStart,
    step: (known) => ({ do: 'start', slot: ownOf(known), boots: known.boots }),
  },
  {
    id: 'stop',
    when: 'both seals are refused',
    action: 'report EB-NO-SLOT, pause, `reboot`',
    applies: () => true,
    step: () => ({ do: 'stop' }),
  },
]

/** @returns the row that fires and its step. */
export function decideInitramfs(known: InitramfsKnowledge): {
  readonly row: InitramfsRow
  readonly step: InitramfsStep
} {
  const row = present(
    initramfsTable.find((it) => it.applies(known)),
    'row of the table of the initramfs',
  )
  return { row, step: row.step(known) }
}
