/**
 * The counterexamples to the first wording of the boot protocol, as far as they concern the device, as whole
 * scenarios. Their numbers are those of docs/BOOT.md.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import { readStamp } from '../../core/boot-partition.ts'
import { bootPartition } from '../../core/boot-record.ts'
import {
  cycleUntil,
  type Factory,
  holds,
  hour,
  lastStatus,
  makeFactory,
  minute,
  notices,
  scene,
  theReport,
} from './fixtures.ts'

let factory: Factory
beforeAll(async () => {
  factory = await makeFactory()
})

/** Matches the n-th operation of this kind. */
function nth(n: number, kind: RegExp): (name: string) => boolean {
  let seen = 0
  return (name) => {
    if (kind.test(name)) seen += 1
    return seen === n
  }
}

describe('counterexample', () => {
  it('1: a cut after the journal says "arming" and before the record leads to the trial all the same', async () => {
    const { world, board, release, assign, verdict } = await scene(factory)
    const v2 = await release('2', 'healthy')
    // The spare is empty, so the first write to the boot partition is the arming one.
    board.cutWhen(nth(1, /^boot write/), 'before', 'lost')
    const seq = await assign(v2)
    expect(await verdict()).toBe('succeeded')
    expect(board.boots).toEqual(['a', 'a', 'b'])
    expect(theReport(world, seq)).toMatchObject({ result: 'ok' })
  })

  it('2: a commit that the journal does not know, with all tries used up afterwards, is reported as done', async () => {
    const at = await scene(factory)
    const { world, board, release, assign, verdict } = at
    const v2 = await release('2', 'healthy')
    let cut = false
    board.onCut = () => {
      cut = true
      return 'stay off'
    }
    const seq = await assign(v2)
    // The commit comes next after the verdict on health, its journal entry last.
    board.onLog = ({ event, verdict: found }) => {
      if (!cut && event === 'health' && found === 'healthy')
        board.cutWhen(nth(1, /^files write/), 'before', 'lost')
    }
    await world.time.until(() => cut, hour)
    expect((await board.record()).b).toMatchObject({ ok: true })
    await cycleUntil(at, 'a')
    expect(await verdict()).toBe('succeeded')
    await world.time.pass(minute)
    expect(theReport(world, seq)).toMatchObject({ result: 'ok', release: v2.manifest.id })
    expect(notices(world)).toEqual(['EB-FELL-BACK'])
    expect(lastStatus(world)).toMatchObject({ slot: 'a', state: 'IDLE' })
  })

  it('3: an attempt that was only journalled is not done because the board boots its target slot', async () => {
    const at = await scene(factory)
    const { world, board, release, assign, verdict } = at
    await assign(await release('2', 'healthy'))
    expect(await verdict()).toBe('succeeded')
    await world.time.pass(minute)
    const v3 = await release('3', 'healthy')
    let cut = false
    board.onCut = () => {
      cut = true
      return 'stay off'
    }
    board.cutWhen(nth(1, /^files syncDir/), 'after', 'kept')
    const seq = await assign(v3)
    await world.time.until(() => cut, minute)
    await cycleUntil(at, 'a')
    expect(await verdict()).toBe('succeeded')
    expect(theReport(world, seq)).toMatchObject({ result: 'ok', release: v3.manifest.id })
    expect(board.boots.at(-1)).toBe('b')
    expect(holds(board, 'b', v3)).toBe(true)
    expect(notices(world)).toEqual(['EB-FELL-BACK'])
  })

  it('3, and a cut at any write of the record after it: no trial is taken for open that never began', async () => {
    for (let n = 1; ; n += 1) {
      const at = await scene(factory, { quick: true })
      const { world, board, release, assign, verdict } = at
      await assign(await release('2', 'healthy'))
      expect(await verdict()).toBe('succeeded')
      await world.time.pass(minute)
      let cuts = 0
      board.onCut = () => {
        cuts += 1
        return cuts === 1 ? 'stay off' : undefined
      }
      board.cutWhen(nth(1, /^files syncDir/), 'after', 'kept')
      const seq = await assign(await release('3', 'healthy'))
      await world.time.until(() => cuts === 1, minute)
      await cycleUntil(at, 'a')
      board.cutWhen(nth(n, /^boot write/), 'after', 'kept')
      expect(await verdict(), `cut at write ${n}`).toBe('succeeded')
      expect(theReport(world, seq), `cut at write ${n}`).toMatchObject({ result: 'ok' })
      if (cuts === 1) break
      expect(n).toBeLessThan(40)
    }
  })

  it('5: a sick slot that is all that is left comes to rest and is reported once', async () => {
    const { world, board, release, assign, verdict } = await scene(factory)
    const seq = await assign(await release('2', 'sick'))
    await world.time.until(() => board.boots.at(-1) === 'b', hour)
    board.slots.a.rot(5000)
    expect(await verdict()).toBe('failed')
    expect(theReport(world, seq)).toMatchObject({ code: 'EB-HEALTH' })
    await world.time.pass(hour)
    const boots = board.boots.length
    expect(boots).toBeLessThan(8)
    await world.time.pass(2 * hour)
    expect(board.boots.length).toBe(boots)
    expect(lastStatus(world)).toMatchObject({ slot: 'b', state: 'IDLE' })
    expect(board.ends).toEqual([])
  })

  it('6: an assignment does not wipe the only good slot; the board goes there instead', async () => {
    const { world, board, v1, release, assign, verdict } = await scene(factory)
    await assign(await release('2', 'healthy'))
    expect(await verdict()).toBe('succeeded')
    board.slots.b.rot(5000)
    const seq = await assign(await release('3', 'healthy'))
    expect(await verdict()).toBe('failed')
    expect(theReport(world, seq)).toMatchObject({ code: 'EB-SPARE-NEEDED' })
    await world.time.pass(10 * minute)
    expect(board.boots).toEqual(['a', 'b', 'a'])
    expect(holds(board, 'a', v1)).toBe(true)
    expect(await board.record()).toMatchObject({ priority: 'a', a: { ok: true, tries: 8 } })
  })

  it('7: at no cut of a commit that bars older systems is the stamp behind the record', async () => {
    for (let n = 0; ; n += 1) {
      const { world, board, release, assign, verdict } = await scene(factory, { quick: true })
      const v2 = await release('2', 'healthy', { securityVersion: 3, floorAfterCommit: 3 })
      await assign(v2)
      await world.time.until(() => board.boots.at(-1) === 'b', hour)
      let cut = false
      board.onCut = () => {
        cut = true
        void Promise.all([board.record(), readStamp(board.bootDisk)]).then(([record, stamp]) => {
          if ((stamp?.floor ?? 0) < record.floor) throw new Error(`cut ${n}: stamp behind the record`)
        })
        return undefined
      }
      board.cutAt(n, 'before', 'lost')
      expect(await verdict()).toBe('succeeded')
      await world.time.pass(minute)
      expect(await readStamp(board.bootDisk)).toEqual({ floor: 3, priority: 'b' })
      expect((await board.record()).floor).toBe(3)
      if (!cut) break
    }
  })

  it('8: with both copies lost the running system proves itself again and leaves the empty slot without tries', async () => {
    const { world, board } = await scene(factory)
    board.powerOff()
    for (const offset of bootPartition.copyOffsets) board.bootDisk.rot(offset + 9)
    await board.powerOn()
    await world.time.pass(minute)
    expect(await board.record()).toMatchObject({
      priority: 'a',
      a: { ok: true, tries: 8 },
      b: { ok: false, tries: 0 },
    })
  })
})
