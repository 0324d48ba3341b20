/**
 * What was planted in slots and boot partition, as an excuse: rot, faults of storage that last, and what such
 * a fault leaves behind. A device that failed to flush may go on showing what its medium has lost, until the
 * power goes. What rotted before an attempt was opened, the attempt has to find; what rots while it goes on
 * may lie behind its last look.
 * Leaves to others: what each invariant makes of it.
 */
import { type SlotId, slotIds } from '../../core/units.ts'
import type { LoaderKind } from '../board-facts.ts'
import type { Truth } from '../truth.ts'
import type { Planted } from './checker.ts'

export interface Damage {
  readonly rot: Readonly<Record<SlotId, 'none' | 'fresh' | 'old'>>
  /** A fault of its storage lasts. */
  readonly faulty: Readonly<Record<SlotId, boolean>>
  /** What a reader sees may not be on the medium. */
  readonly lying: Readonly<Record<SlotId, boolean>>
  readonly boot: 'sound' | 'faulty' | 'lying'
}

const none = { a: false, b: false }

export const noDamage: Damage = { rot: { a: 'none', b: 'none' }, faulty: none, lying: none, boot: 'sound' }

/** Nothing is demanded of what the medium of this slot holds. */
export function excused({ rot, faulty, lying }: Damage, slot: SlotId): boolean {
  return rot[slot] !== 'none' || faulty[slot] || lying[slot]
}

/**
 * The same of what starts: a loader that looks at the seal alone (the initramfs of a Raspberry Pi) starts an image
 * that has rotted, and dm-verity stops it.
 */
export function startsRotten(damage: Damage, slot: SlotId, loader: LoaderKind): boolean {
  return loader === 'tryboot' && damage.rot[slot] !== 'none'
}

export function damagePlanted(
  damage: Damage,
  { what, slot }: { readonly what: Planted; readonly slot: SlotId | null },
): Damage {
  if (what === 'rot') {
    return { ...damage, rot: slot === null ? { a: 'fresh', b: 'fresh' } : { ...damage.rot, [slot]: 'fresh' } }
  }
  if (what !== 'storage-fault') return damage
  if (slot === null) return { ...damage, boot: 'faulty' }
  const { faulty, lying } = damage
  return { ...damage, faulty: { ...faulty, [slot]: true }, lying: { ...lying, [slot]: true } }
}

/** Faults that lasted are off; what they did is still there. */
export function damageHealed(damage: Damage): Damage {
  if (damage.boot !== 'faulty' && !damage.faulty.a && !damage.faulty.b) return damage
  return { ...damage, faulty: none, boot: damage.boot === 'faulty' ? 'lying' : damage.boot }
}

/** From now on readers see the medium. */
export function damageAfterCut(damage: Damage): Damage {
  let next = damage.boot === 'lying' ? { ...damage, boot: 'sound' as const } : damage
  for (const slot of slotIds) {
    if (!next.lying[slot] || next.faulty[slot]) continue
    next = { ...next, lying: { ...next.lying, [slot]: false }, rot: { ...next.rot, [slot]: 'fresh' } }
  }
  return next
}

/** A new attempt begins: it looks at everything anew. */
export function attemptOpened(damage: Damage): Damage {
  const { rot } = damage
  if (rot.a !== 'fresh' && rot.b !== 'fresh') return damage
  const older = (slot: SlotId) => (rot[slot] === 'fresh' ? 'old' : rot[slot])
  return { ...damage, rot: { a: older('a'), b: older('b') } }
}

/** A slot that holds a release whole again is sound again. */
export function mended(damage: Damage, truth: Truth): Damage {
  let next = damage
  for (const slot of slotIds) {
    if (damage.faulty[slot] || !excused(damage, slot) || truth.slot(slot) === null) continue
    next = { ...next, rot: { ...next.rot, [slot]: 'none' }, lying: { ...next.lying, [slot]: false } }
  }
  return next
}
