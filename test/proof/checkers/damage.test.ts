/**
 * What planted damage excuses, and when it does not any more.
 */
import { describe, expect, it } from 'vitest'
import {
  attemptOpened,
  damageAfterCut,
  damageHealed,
  damagePlanted,
  excused,
  mended,
  noDamage,
} from '../../../proof/checkers/damage.ts'
import type { Truth } from '../../../proof/truth.ts'

const rotInA = damagePlanted(noDamage, { what: 'rot', slot: 'a' })
const faultInB = damagePlanted(noDamage, { what: 'storage-fault', slot: 'b' })
const faultOfBoot = damagePlanted(noDamage, { what: 'storage-fault', slot: null })
const whole = { slot: () => ({}) } as unknown as Truth
const empty = { slot: () => null } as unknown as Truth

describe('damage', () => {
  it('excuses the slot that it is in, and no other', () => {
    expect([excused(noDamage, 'a'), excused(rotInA, 'a'), excused(rotInA, 'b')]).toEqual([false, true, false])
    expect([excused(faultInB, 'a'), excused(faultInB, 'b')]).toEqual([false, true])
    const anywhere = damagePlanted(noDamage, { what: 'rot', slot: null })
    expect([excused(anywhere, 'a'), excused(anywhere, 'b')]).toEqual([true, true])
    expect(damagePlanted(noDamage, { what: 'network-fault', slot: null })).toBe(noDamage)
  })

  it('of rot is old to an attempt that was opened after it', () => {
    expect(rotInA.rot.a).toBe('fresh')
    expect(attemptOpened(rotInA).rot.a).toBe('old')
    expect(attemptOpened(noDamage)).toBe(noDamage)
  })

  it('ends when the slot holds a release whole, unless a fault of it lasts', () => {
    expect(mended(rotInA, whole)).toEqual(noDamage)
    expect(mended(rotInA, empty)).toBe(rotInA)
    expect(excused(mended(faultInB, whole), 'b')).toBe(true)
    expect(excused(mended(damageHealed(faultInB), whole), 'b')).toBe(false)
  })

  it('of a fault that is healed lies on until the power goes, and is then as rot', () => {
    const healed = damageHealed(faultInB)
    expect([healed.faulty.b, healed.lying.b, healed.rot.b]).toEqual([false, true, 'none'])
    const cut = damageAfterCut(healed)
    expect([cut.lying.b, cut.rot.b]).toEqual([false, 'fresh'])
    expect(damageAfterCut(faultInB)).toBe(faultInB)
    expect(damageHealed(rotInA)).toBe(rotInA)
  })

  it('of the boot partition lies on until the power goes', () => {
    expect(faultOfBoot.boot).toBe('faulty')
    expect(damageAfterCut(faultOfBoot).boot).toBe('faulty')
    expect(damageHealed(faultOfBoot).boot).toBe('lying')
    expect(damageAfterCut(damageHealed(faultOfBoot))).toEqual(noDamage)
  })
})
