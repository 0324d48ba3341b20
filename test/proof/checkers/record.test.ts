/**
 * I3, I5, I6 and I7: what boot record and stamp say, and lies about it.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import { writeRecord, writeStamp } from '../../../core/boot-partition.ts'
import { bootPartition } from '../../../core/boot-record.ts'
import { slotLimits } from '../../../core/limits.ts'
import { type Cast, makeCast } from './story.ts'
import {
  bootOf,
  openAttempt,
  plantFloor,
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

function lose(at: Witness, what: 'stamp' | 'record' | 0 | 1): void {
  const blank = (offset: number, bytes: number): void =>
    at.board.bootDisk.plant(offset, new Uint8Array(bytes))
  if (what === 'stamp') blank(bootPartition.stampOffset, slotLimits.stampBytes)
  else if (what === 'record') {
    for (const offset of bootPartition.copyOffsets) blank(offset, slotLimits.recordCopyBytes)
  } else blank(bootPartition.copyOffsets[what], slotLimits.recordCopyBytes)
  at.observer.planted(typeof what === 'number' ? 'record-copy' : what)
}

const flushed = { kind: 'flush', slot: null } as const

describe('I3', () => {
  it('fires when something boots below the floor that the board once had', async () => {
    const at = await witness(cast, {
      first: (board) => plantFloor(board, { ...factoryRecord }, 1),
    })
    await updated(at, 'good-4')
    expect(at.observer.truth.floor()).toBe(4)
    plantFloor(at.board, { ...(await at.board.record()) }, 1)
    tell(at, bootOf(at, 'a', cast.v1))
    expect(at.fired()).toEqual(['I3', 'I5'])
    expect(at.said('I3')).toContain('security version 1, floor 4')
  })

  it('asks only for what is left when stamp and record were lost', async () => {
    const at = await witness(cast)
    await updated(at, 'good-4')
    lose(at, 'stamp')
    lose(at, 'record')
    tell(at, bootOf(at, 'a', cast.v1))
    expect(at.fired()).toEqual([])
  })

  it('holds the board to the stamp when both copies were lost', async () => {
    const at = await witness(cast)
    await updated(at, 'good-4')
    lose(at, 'record')
    tell(at, bootOf(at, 'a', cast.v1))
    expect(at.fired()).toEqual(['I3'])
  })
})

const factoryRecord = {
  a: { ok: true, sv: 1, tries: 8 },
  b: { ok: false, sv: 0, tries: 0 },
  floor: 0,
  priority: 'a',
  sequence: 1,
  others: new Map<string, string>(),
} as const

describe('I5', () => {
  it('fires when the floor falls', async () => {
    const at = await witness(cast)
    await updated(at, 'good-2')
    plantFloor(at.board, await at.board.record(), 0)
    tell(at, flushed)
    expect(at.fired()).toEqual(['I5'])
    expect(at.said('I5')).toBe('the floor was 1 and is 0')
  })

  it('fires when the copy of the record that counts is overwritten', async () => {
    const at = await witness(cast)
    const [first, second] = at.observer.truth.copies()
    const older = at.observer.truth.newestCopy() === 0 ? 1 : 0
    await writeRecord(at.board.bootDisk, { copies: [first, second], current: older }, await at.board.record())
    expect(at.fired()).toEqual(['I5'])
  })

  it('fires when a copy of the record has a floor before the stamp', async () => {
    const at = await witness(cast)
    await writeChanged(at, (it) => ({ ...it, floor: 1 }), 1)
    expect(at.fired()).toEqual(['I5'])
  })

  it('fires when the floor rises above what is committed, or while nothing is', async () => {
    for (const ok of [true, false]) {
      const at = await witness(cast)
      if (!ok) await writeChanged(at, slotAs('a', false, 1, 3))
      await writeStamp(at.board.bootDisk, { floor: ok ? 2 : 1, priority: 'a' })
      expect(at.fired(), `${ok}`).toEqual(['I5'])
    }
  })

  it('fires when the floor bars a good fallback that the release does not ask to bar', async () => {
    const at = await witness(cast)
    await updated(at, 'good-2')
    await writeStamp(at.board.bootDisk, { floor: 2, priority: 'b' })
    expect(at.fired()).toEqual(['I5'])
    expect(at.said('I5')).toContain('bars demo-1-')
  })

  it('does not fire when the release asks for it', async () => {
    const at = await witness(cast)
    await updated(at, 'good-4')
    expect(at.observer.truth.floor()).toBe(4)
    expect(at.fired()).toEqual([])
  })

  it('fires when an update has ended well and one copy has the old floor', async () => {
    const at = await witness(cast)
    await updated(at, 'good-2')
    await writeChanged(at, (it) => ({ ...it, floor: 0 }), 1)
    expect(at.fired()).toEqual([])
    const releaseId = releaseNamed(at, 'good-2').manifest.id
    saveJournal(at, { finished: { seq: 9, releaseId, result: 'ok', code: null } })
    expect(at.fired()).toEqual(['I5'])
  })

  it('fires when the stamp is lost and the copies do not have the floor', async () => {
    const at = await witness(cast)
    await updated(at, 'good-2')
    expect(at.observer.truth.floor()).toBe(1)
    await writeChanged(at, (it) => ({ ...it, floor: 0 }))
    expect(at.fired()).toEqual([])
    const blank = new Uint8Array(slotLimits.stampBytes)
    at.board.bootDisk.plant(bootPartition.stampOffset, blank)
    tell(at, flushed)
    expect(at.fired()).toEqual(['I5'])
  })
})

describe('I6', () => {
  async function trial(): Promise<Witness> {
    const at = await witness(cast)
    await updated(at)
    await writeChanged(at, slotAs('b', false, 1, 3))
    return at
  }

  it('fires at the fourth start of a trial, at the fifth when a copy was lost', async () => {
    for (const [starts, lost] of [
      [4, false],
      [5, true],
    ] as const) {
      const at = await trial()
      if (lost) at.observer.planted('record-copy')
      const boot = bootOf(at, 'b', releaseNamed(at, 'good-1'))
      for (let start = 1; start < starts; start += 1) tell(at, boot)
      expect(at.fired()).toEqual([])
      tell(at, boot)
      expect(at.fired()).toEqual(['I6'])
    }
  })

  it('does not count while the other slot is not good', async () => {
    const at = await trial()
    at.board.slots.a.rot(5000)
    at.observer.planted('rot', 'a')
    for (let start = 0; start < 6; start += 1) tell(at, bootOf(at, 'b', releaseNamed(at, 'good-1')))
    expect(at.fired()).toEqual([])
  })

  it('fires when a trial is started again after the other slot was', async () => {
    const at = await trial()
    const boot = bootOf(at, 'b', releaseNamed(at, 'good-1'))
    tell(at, boot, bootOf(at, 'a', cast.v1))
    expect(at.fired()).toEqual([])
    tell(at, boot)
    expect(at.fired()).toEqual(['I6'])
  })

  it('fires when the priority goes to and fro', async () => {
    const at = await witness(cast)
    await updated(at)
    await writeChanged(at, (it) => ({ ...it, priority: 'a' }), 1)
    expect(at.fired()).toEqual([])
    await writeChanged(at, (it) => ({ ...it, priority: 'b' }), 1)
    expect(at.fired()).toEqual(['I6'])
  })

  it('fires when the agent reboots the board again and again', async () => {
    const at = await witness(cast)
    for (let reboot = 0; reboot < 3; reboot += 1)
      tell(at, { kind: 'logged', event: { event: 'reboot' } }, { kind: 'cut' })
    expect(at.fired()).toEqual(['I6'])
  })
})

describe('I7', () => {
  it('fires at more than 24 changes of state, eight more for each cut', async () => {
    for (const cuts of [0, 1]) {
      const at = await witness(cast)
      saveJournal(at, { attempt: openAttempt(9, cast.v1) })
      for (let cut = 0; cut < cuts; cut += 1) tell(at, { kind: 'cut' })
      await writeChanged(at, (it) => it, 23 + cuts * 8)
      expect(at.fired()).toEqual([])
      await writeChanged(at, (it) => it, 1)
      expect(at.fired()).toEqual(['I7'])
    }
  })

  it('counts neither progress nor statuses as changes of state, but progress by itself', async () => {
    const at = await witness(cast)
    await updated(at)
    const release = releaseNamed(at, 'good-1')
    for (let save = 0; save < 40; save += 1) {
      saveJournal(at, { attempt: openAttempt(9, release), statusCeiling: save })
    }
    expect(at.fired()).toEqual([])
    for (let mark = 1; mark <= 4; mark += 1)
      saveJournal(at, { attempt: openAttempt(9, release, { marks: { rootfs: mark } }) })
    expect(at.fired()).toEqual([])
    saveJournal(at, { attempt: openAttempt(9, release, { marks: { rootfs: 5 } }) })
    expect(at.fired()).toEqual(['I7'])
  })

  it('counts what the journal says of an attempt', async () => {
    const at = await witness(cast)
    for (let save = 0; save < 26; save += 1) {
      saveJournal(at, { attempt: openAttempt(9, cast.v1, { armedInBoot: `boot-${save}` }) })
    }
    expect(at.fired()).toEqual(['I7'])
  })
})
