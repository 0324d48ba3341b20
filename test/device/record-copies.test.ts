/**
 * Rule 5: what withdraws a promise stands in both copies of the boot record before anything goes on, so that
 * losing either copy brings nothing back.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import { currentRecord, readRecord, writeRecord } from '../../core/boot-partition.ts'
import { type BootRecord, bootPartition, chooseCopy, decodeRecord } from '../../core/boot-record.ts'
import { slotLimits } from '../../core/limits.ts'
import { spareCleared } from '../../device/update/boot-rules.ts'
import type { SimBoard } from '../../proof/board-facts.ts'
import { type Factory, hour, makeFactory, minute, reported, scene } from './fixtures.ts'

let factory: Factory
beforeAll(async () => {
  factory = await makeFactory({ pieces: 6 })
})

/** Both copies as they are on the medium now. */
function copies(board: SimBoard): readonly BootRecord[] {
  return bootPartition.copyOffsets.map((offset) => {
    const copy = decodeRecord(board.bootDisk.medium(offset, slotLimits.recordCopyBytes))
    expect(copy).not.toBeNull()
    return copy as BootRecord
  })
}

describe('both copies of the record', () => {
  it('have given up the spare before its first byte is written', async () => {
    const at = await scene(factory)
    expect(
      await reported(at, await at.assign(await at.release('2', 'healthy', { pieces: 6 }))),
    ).toMatchObject({
      result: 'ok',
    })
    // B runs, A is the committed fallback that is given up now.
    expect(copies(at.board).every((it) => it.a.ok)).toBe(true)
    let seen: readonly BootRecord[] = []
    at.board.slots.a.faults.write = () => {
      if (seen.length === 0) seen = copies(at.board)
    }
    const seq = await at.assign(await at.release('3', 'healthy', { pieces: 6 }))
    await reported(at, seq)
    expect(seen.map((it) => it.a)).toEqual([
      { ok: false, sv: 0, tries: 0 },
      { ok: false, sv: 0, tries: 0 },
    ])
  })

  it('have the new floor after a commit, and the stamp had it before either', async () => {
    const at = await scene(factory)
    const options = { pieces: 6, securityVersion: 4, floorAfterCommit: 4 }
    let stampedFirst = true
    at.board.bootDisk.faults.write = (offset) => {
      if (offset === bootPartition.stampOffset && copies(at.board).some((it) => it.floor === 4))
        stampedFirst = false
    }
    expect(await reported(at, await at.assign(await at.release('2', 'healthy', options)))).toMatchObject({
      result: 'ok',
    })
    expect(copies(at.board).map((it) => it.floor)).toEqual([4, 4])
    expect(stampedFirst).toBe(true)
  })

  it('have taken the tries of a system that rolls itself back, before the reboot', async () => {
    const at = await scene(factory)
    let seen: readonly BootRecord[] = []
    at.board.onLog = ({ event }) => {
      if (event === 'reboot' && at.board.boots.at(-1) === 'b') seen = copies(at.board)
    }
    await reported(at, await at.assign(await at.release('2', 'sick', { pieces: 6 })))
    expect(seen.map((it) => it.b.tries)).toEqual([0, 0])
    expect(seen.map((it) => it.priority)).toEqual(['a', 'a'])
  })

  it('have closed an attempt that came to nothing, and a slot that was fallen back from', async () => {
    const hung = await scene(factory)
    await reported(hung, await hung.assign(await hung.release('2', 'hang', { pieces: 6 })))
    expect(copies(hung.board).map((it) => [it.b.tries, it.priority])).toEqual([
      [0, 'a'],
      [0, 'a'],
    ])
    const rotten = await scene(factory)
    await reported(rotten, await rotten.assign(await rotten.release('2', 'healthy', { pieces: 6 })))
    rotten.board.slots.b.rot(5000)
    rotten.board.powerOff()
    await rotten.board.powerOn()
    await rotten.world.time.pass(minute)
    expect(copies(rotten.board).map((it) => [it.b.tries, it.priority])).toEqual([
      [0, 'a'],
      [0, 'a'],
    ])
  })

  it('have lost a promise that a killed agent had withdrawn in one of them', async () => {
    const at = await scene(factory)
    await reported(at, await at.assign(await at.release('2', 'healthy', { pieces: 6 })))
    const { board, world } = at
    // The newer copy no longer promises slot a, the older one does, as between the two writes.
    const both = await readRecord(board.bootDisk)
    const now = currentRecord(both)
    if (now === null) throw new Error('no record')
    await writeRecord(board.bootDisk, both, spareCleared(now, 'a'))
    expect(
      copies(board)
        .map((it) => it.a.ok)
        .sort(),
    ).toEqual([false, true])
    board.killAgent()
    await world.time.pass(minute)
    expect(copies(board).map((it) => it.a)).toEqual([
      { ok: false, sv: 0, tries: 0 },
      { ok: false, sv: 0, tries: 0 },
    ])
  })

  it('agree in what counts after every update: losing the newer one changes nothing', async () => {
    const at = await scene(factory)
    expect(
      await reported(at, await at.assign(await at.release('2', 'healthy', { pieces: 6 }))),
    ).toMatchObject({
      result: 'ok',
    })
    await at.world.time.pass(hour)
    const [first, second] = copies(at.board)
    const { current } = await readRecord(at.board.bootDisk)
    const left = current === 0 ? chooseCopy(null, second ?? null) : chooseCopy(first ?? null, null)
    const record = left.copies[left.current ?? 0]
    expect(record).toMatchObject({ priority: 'b', b: { ok: true, tries: 8 }, a: { ok: true }, floor: 1 })
  })
})
