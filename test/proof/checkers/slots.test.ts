/**
 * I1, I2, I4 and I9: what lies in the slots, and lies about it.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import { sealOffset } from '../../../images/release/slot-layout.ts'
import { type Cast, makeCast } from './story.ts'
import {
  bootOf,
  noBoot,
  openAttempt,
  releaseNamed,
  saveJournal,
  slotAs,
  tell,
  updated,
  type Witness,
  witness,
  writeChanged,
} from './witness.ts'

let cast: Cast
beforeAll(async () => {
  cast = await makeCast()
})

const garbage = new Uint8Array(4096).fill(7)

function writeSealArea(at: Witness, slot: 'a' | 'b', bytes = garbage): Promise<unknown> {
  const disk = at.board.slots[slot]
  return disk.write(sealOffset(disk.sizeBytes), bytes)
}

describe('I1', () => {
  it('fires when no slot starts although one is whole', async () => {
    const at = await witness(cast)
    tell(at, noBoot())
    expect(at.fired()).toEqual(['I1'])
    expect(at.said('I1')).toContain('slot a holds demo-1-')
  })

  it('fires when a slot starts as something that it does not hold', async () => {
    const at = await witness(cast)
    tell(at, bootOf(at, 'a', releaseNamed(at, 'good-1')))
    expect(at.fired()).toEqual(['I1'])
  })

  it('fires when the only slot was lost without anything planted, and lets rot excuse it', async () => {
    for (const excused of [false, true]) {
      const at = await witness(cast)
      at.board.powerOff()
      at.board.slots.a.rot(5000)
      if (excused) at.observer.planted('rot', 'a')
      tell(at, noBoot())
      expect(at.fired().includes('I1')).toBe(!excused)
    }
  })

  it('lets a rotten slot start that a loader can verify, and no other', async () => {
    const at = await witness(cast)
    at.board.slots.a.rot(at.board.slots.a.sizeBytes - 1)
    at.observer.planted('rot', 'a')
    tell(at, bootOf(at, 'a', cast.v1))
    expect(at.fired()).toEqual([])
    at.board.slots.a.rot(5000)
    tell(at, bootOf(at, 'a', cast.v1))
    expect(at.fired()).toEqual(['I1', 'I2'])
  })

  it('asks for nothing while a fault of storage lasts, and again once it is healed', async () => {
    const at = await witness(cast)
    at.observer.planted('storage-fault', 'a')
    tell(at, noBoot())
    expect(at.fired()).toEqual([])
    tell(at, { kind: 'healed' }, noBoot())
    expect(at.fired()).toEqual(['I1'])
  })
})

describe('I2', () => {
  it('fires when the record lets an empty slot be chosen', async () => {
    const at = await witness(cast)
    await writeChanged(at, slotAs('b', false, 1, 3), 1)
    expect(at.fired()).toEqual(['I2'])
    expect(at.said('I2')).toBe('slot b is not whole and can be chosen: not ok sv=1 tries=3')
  })

  it('fires when a slot is written that one copy of the record still promises', async () => {
    const at = await witness(cast)
    await updated(at)
    await writeChanged(at, slotAs('a', false, 0, 0), 1)
    await at.board.slots.a.write(4096, garbage)
    expect(at.fired()).toEqual(['I2'])
    expect(at.said('I2')).toContain('slot a is written while a copy')
  })

  it('fires when a seal stands over other bytes than its own', async () => {
    const at = await witness(cast)
    await updated(at)
    await writeChanged(at, slotAs('a', false, 0, 0))
    await at.board.slots.a.write(4096, garbage)
    expect(at.fired()).toEqual([])
    await at.board.slots.a.flush()
    expect(at.fired()).toEqual(['I2'])
  })

  it('fires when a slot is armed that was rotten before the attempt, not when it rots meanwhile', async () => {
    for (const when of ['before', 'meanwhile']) {
      const at = await witness(cast)
      await updated(at)
      await writeChanged(at, slotAs('a', false, 0, 0))
      const rot = (): void => {
        at.board.slots.a.rot(5000)
        at.observer.planted('rot', 'a')
      }
      if (when === 'before') rot()
      saveJournal(at, { attempt: openAttempt(9, cast.v1, { target: 'a' }) })
      if (when === 'meanwhile') rot()
      saveJournal(at, { attempt: openAttempt(9, cast.v1, { target: 'a', phase: 'arming' }) })
      await writeChanged(at, (it) => ({ ...slotAs('a', false, 1, 3)(it), priority: 'a' }), 1)
      expect(at.fired(), when).toEqual(when === 'before' ? ['I2'] : [])
    }
  })

  it('fires when a slot that was never proved can be chosen at rest', async () => {
    const at = await witness(cast)
    await updated(at)
    await writeChanged(at, slotAs('a', false, 1, 3))
    expect(at.fired()).toEqual([])
    tell(at, { kind: 'end', converged: true })
    expect(at.fired()).toEqual(['I2', 'I13'])
  })
})

describe('I4', () => {
  it('fires when the running slot is written', async () => {
    const at = await witness(cast)
    await writeChanged(at, slotAs('a', true, 1, 0))
    await at.board.slots.a.write(4096, garbage)
    expect(at.fired()).toEqual(['I4'])
  })

  it('fires when the only good slot is written, also its seal alone, and when the other rotted before', async () => {
    const at = await witness(cast)
    await updated(at)
    at.board.slots.b.rot(5000)
    at.observer.planted('rot', 'b')
    saveJournal(at, { attempt: openAttempt(9, releaseNamed(at, 'good-2'), { target: 'a' }) })
    await writeChanged(at, slotAs('a', false, 0, 0))
    expect(at.fired()).toEqual([])
    await writeSealArea(at, 'a')
    expect(at.fired()).toEqual(['I4'])
    expect(at.said('I4')).toContain('the only good one (demo-1-')
  })

  it('does not fire while the other slot is good, nor when it rots behind the last look', async () => {
    const at = await witness(cast)
    await updated(at)
    saveJournal(at, { attempt: openAttempt(9, releaseNamed(at, 'good-2'), { target: 'a' }) })
    await writeChanged(at, slotAs('a', false, 0, 0))
    await writeSealArea(at, 'a')
    at.board.slots.b.rot(5000)
    at.observer.planted('rot', 'b')
    await writeSealArea(at, 'a')
    expect(at.fired()).toEqual([])
  })
})

describe('I9', () => {
  it('fires when an empty slot is committed', async () => {
    const at = await witness(cast)
    await writeChanged(at, slotAs('b', true, 1, 0))
    expect(at.fired()).toEqual(['I9'])
  })

  it('fires when a slot is committed whose tree is not the one of its release', async () => {
    const at = await witness(cast)
    await updated(at)
    await writeChanged(at, slotAs('b', false, 1, 0))
    at.board.slots.b.rot(cast.v1.image.length)
    await writeChanged(at, slotAs('b', true, 1, 0))
    expect(at.fired()).toContain('I9')
    expect(at.said('I9')).toBe('slot b is committed and holds no release whole')
  })

  it('fires when a slot is committed with another security version', async () => {
    const at = await witness(cast)
    await updated(at)
    await writeChanged(at, slotAs('a', false, 1, 0))
    await writeChanged(at, slotAs('a', true, 7, 8))
    expect(at.fired()).toEqual(['I9'])
  })
})
