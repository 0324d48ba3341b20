/**
 * The commit stamp: floor and priority once more, far from the record, so that losing both record copies
 * neither lowers the floor nor forgets which system was committed.
 * Promise: rewritten at commit only, before the new floor enters the record (BOOT rule 8).
 * Leaves to others: reading and writing the medium.
 */
import { decodeEnvironment, encodeEnvironment } from './environment-block.ts'
import { slotLimits } from './limits.ts'
import type { SlotId } from './units.ts'

export interface CommitStamp {
  readonly floor: number
  readonly priority: SlotId
}

/** @param block `slotLimits.stampBytes` long. @returns null when it must not be believed. */
export function decodeStamp(block: Uint8Array): CommitStamp | null {
  if (block.length !== slotLimits.stampBytes) return null
  const variables = decodeEnvironment(block)
  const floor = variables?.get('floor')
  const priority = variables?.get('st_pri')
  if (floor === undefined || !/^(0|[1-9a-f][0-9a-f]{0,7})$/.test(floor)) return null
  if (priority !== 'a' && priority !== 'b') return null
  return { floor: Number.parseInt(floor, 16), priority }
}

/** @returns the block, or null when the floor is out of range. */
export function encodeStamp(stamp: CommitStamp): Uint8Array | null {
  const { floor, priority } = stamp
  if (!Number.isInteger(floor) || floor < 0 || floor > slotLimits.numberMax) return null
  const variables = new Map([
    ['floor', floor.toString(16)],
    ['st_pri', priority],
  ])
  return encodeEnvironment(variables, slotLimits.stampBytes)
}
