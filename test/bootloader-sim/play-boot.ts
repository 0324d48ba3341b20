/**
 * Plays one boot by the boot table over slots that are told, not read.
 * Leaves to others: which cases to play and what to expect.
 */
import { after, atPowerOn, decide, type Knowledge, type Verdict } from '../../bootloader-sim/decide.ts'
import type { BootRecord } from '../../core/boot-record.ts'
import type { CommitStamp } from '../../core/commit-stamp.ts'
import { boardLimits } from '../../core/limits.ts'
import type { SlotId } from '../../core/units.ts'

/** securityVersion of the intact, authentic release in each slot; null: nothing that verifies. */
export type Contents = Readonly<Record<SlotId, number | null>>

export interface Run {
  readonly started: SlotId | null
  readonly writes: readonly BootRecord[]
  readonly rows: readonly string[]
  readonly known: Knowledge
}

/** Plays one boot by the table. @param failsAt number of the write from which on the medium keeps nothing */
export function play(
  record: BootRecord | null,
  stamp: CommitStamp | null,
  contents: Contents,
  failsAt = Infinity,
): Run {
  const floor = Math.max(record?.floor ?? 0, stamp?.floor ?? 0)
  const writes: BootRecord[] = []
  const rows: string[] = []
  let known = atPowerOn(record, stamp, true)
  let attempts = 0
  for (let steps = 0; steps < boardLimits.bootStepsMax; steps += 1) {
    const { row, step } = decide(known)
    rows.push(row.id)
    if (step.do === 'start') return { started: step.slot, writes, rows, known }
    if (step.do === 'stop') return { started: null, writes, rows, known }
    if (step.do === 'look') known = after(known, step, look(contents[step.slot], floor))
    else {
      const kept = attempts < failsAt
      attempts += 1
      if (kept) writes.push(step.record)
      known = after(known, step, kept)
    }
  }
  throw new Error(`no end: ${rows.join(' ')}`)
}

function look(sv: number | null, floor: number): Verdict {
  if (sv === null) return { verified: false, why: 'damaged' }
  if (sv < floor) return { verified: false, why: 'below the floor' }
  return { verified: true, securityVersion: sv, releaseId: `release-${sv}` }
}
