/**
 * The trial of a new system and what follows from it: verdicts, hooks, the watchdog, rescue.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import { never } from '../../bootloader-sim/devices/mortal.ts'
import { bootPartition } from '../../core/boot-record.ts'
import { raise } from '../../core/errors.ts'
import type { HookName, ProgramResult } from '../../core/ports.ts'
import {
  ask,
  type Factory,
  holds,
  hour,
  lastStatus,
  makeFactory,
  minute,
  name,
  notices,
  plantRecord,
  releaseFile,
  reported,
  scene,
  settled,
  stillUpdates,
  storageOf,
} from './fixtures.ts'

let factory: Factory
beforeAll(async () => {
  factory = await makeFactory()
})

describe('a new system', () => {
  it('whose service comes up late, but in time, is committed', async () => {
    const at = await scene(factory)
    const { board, world } = at
    board.system.probe = () => (board.boots.at(-1) === 'b' && world.time.nowMs() < ready ? 503 : 200)
    const ready = world.time.nowMs() + 29_000
    const seq = await at.assign(await at.release('2', 'healthy'))
    expect(await reported(at, seq)).toMatchObject({ result: 'ok' })
    expect(world.time.nowMs()).toBeGreaterThan(ready)
  })

  it('that cannot reach the hub, which could be reached before, is rolled back after its longer deadline', async () => {
    const at = await scene(factory)
    const { board, world } = at
    const from = world.time.nowMs()
    const seq = await at.assign(await at.release('2', 'no hub'))
    const report = await reported(at, seq)
    expect(report).toMatchObject({ code: 'EB-HEALTH-NETWORK', evidence: { check: 'hub' } })
    expect(board.boots).toEqual(['a', 'b', 'a'])
    expect(world.time.nowMs() - from).toBeGreaterThan(15 * minute)
    expect(world.time.nowMs() - from).toBeLessThan(20 * minute)
  })

  it('waits for a hub that is away for ten minutes', async () => {
    const at = await scene(factory)
    const { board, world } = at
    board.onLog = ({ event }) => {
      if (event === 'reboot') world.stopHub()
    }
    const seq = await at.assign(await at.release('2', 'healthy'))
    await world.time.pass(10 * minute)
    expect((await board.record()).b).toMatchObject({ ok: false, tries: 2 })
    board.onLog = () => {}
    await world.startHub()
    expect(await reported(at, seq)).toMatchObject({ result: 'ok' })
    expect(board.boots).toEqual(['a', 'b'])
  })

  it('is not held responsible for a hub that could not be reached before either', async () => {
    const at = await scene(factory)
    const { board, world } = at
    const v2 = await at.release('2', 'healthy')
    // The agent starts without a hub, and installs from a file.
    world.net.broker.setUp(false)
    board.log.length = 0
    board.powerOff()
    await board.powerOn()
    await world.time.until(() => settled(board), minute)
    board.system.openReleaseFile = async () => releaseFile(at, v2)
    expect(await ask(at, { op: 'install', file: '/usb/2.ebr' })).toMatchObject({ ok: true })
    await world.time.pass(2 * minute)
    expect(board.boots).toEqual(['a', 'a', 'b'])
    expect(await board.record()).toMatchObject({ priority: 'b', b: { ok: true, tries: 8 } })
    await world.startHub()
    await world.time.pass(5 * minute)
    expect(world.reports(name)).toMatchObject([{ seq: 0, result: 'ok', release: v2.manifest.id }])
  })

  it('whose agent comes to no verdict is not kept alive by it: the watchdog bites, three times', async () => {
    const at = await scene(factory)
    const { board } = at
    board.system.probe = () => (board.boots.at(-1) === 'b' ? never() : 200)
    const seq = await at.assign(await at.release('2', 'healthy'))
    expect(await reported(at, seq)).toMatchObject({ code: 'EB-NO-VERDICT' })
    expect(board.boots).toEqual(['a', 'b', 'b', 'b', 'a'])
  })

  it('that is sick and has nobody to go back to stays up and says so', async () => {
    const at = await scene(factory)
    const { board, world } = at
    // Both copies lost: what verifies is put on trial, and the other slot is empty.
    board.powerOff()
    for (const offset of bootPartition.copyOffsets) board.bootDisk.rot(offset + 9)
    board.system.probe = () => 503
    await board.powerOn()
    await world.time.pass(hour)
    expect(board.boots).toEqual(['a', 'a'])
    expect(notices(world)).toEqual(['EB-HEALTH'])
    board.system.probe = () => 200
    await stillUpdates(at)
  })

  it('that is sick is left even when its agent is killed before the reboot and nothing can be written down', async () => {
    const at = await scene(factory)
    const { board, world } = at
    board.onLog = ({ event, verdict }) => {
      if (event !== 'health' || verdict !== 'unhealthy') return
      board.onLog = () => {}
      board.files.fault = (operation) => {
        if (operation === 'write') raise('EB-DATA-FULL', 'journal.new: ENOSPC')
      }
      // The record is rolled back by then; the reboot comes five seconds later.
      world.time.clock.timer(2000, () => board.killAgent())
    }
    const seq = await at.assign(await at.release('2', 'sick'))
    await world.time.pass(10 * minute)
    expect(board.boots).toEqual(['a', 'b', 'a'])
    board.files.fault = () => {}
    expect(await reported(at, seq)).toMatchObject({ result: 'failed' })
    expect(board.boots).toEqual(['a', 'b', 'a'])
  })

  it('that is sick is rolled back from a trial without an attempt too', async () => {
    const at = await scene(factory)
    const { board, world } = at
    board.onLog = ({ event }) => {
      if (event === 'reboot') board.files.put('journal', new Uint8Array(0))
    }
    await at.assign(await at.release('2', 'sick'))
    await world.time.until(() => board.boots.length === 2, hour)
    board.onLog = () => {}
    await world.time.pass(minute)
    expect(board.boots.slice(0, 3)).toEqual(['a', 'b', 'a'])
  })
})

describe('a committed system', () => {
  it('that turns sick stays up, says so even with much to say, and takes the next release', async () => {
    const checks = [{ name: 'app', program: ['/bin/check'] }]
    const at = await scene(factory, {
      settings: { health: { checks, deadlineMs: 30_000, networkDeadlineMs: 900_000 } },
    })
    const { board, world } = at
    board.system.run = () => ({ status: 1, timedOut: false, output: `${'x'.repeat(16_000)} the end` })
    board.powerOff()
    await board.powerOn()
    await world.time.pass(2 * minute)
    expect(board.boots).toEqual(['a', 'a'])
    expect(notices(world)).toEqual(['EB-HEALTH'])
    const told = world.statuses(name).findLast((it) => it.notice !== undefined)
    expect(told?.notice?.what).toMatch(/the end$/)
    board.killAgent()
    board.system.run = () => ({ status: 0, timedOut: false, output: '' })
    await world.time.pass(2 * minute)
    expect(notices(world)).not.toContain('EB-JOURNAL')
    await stillUpdates(at)
  })

  it('gets its eight tries back from any number of boots', async () => {
    const at = await scene(factory)
    const { board, world } = at
    for (let boots = 0; boots < 5; boots += 1) {
      board.powerOff()
      await board.powerOn()
    }
    await world.time.pass(minute)
    expect((await board.record()).a).toMatchObject({ ok: true, tries: 8 })
  })
})

describe('a hook', () => {
  const failing: ProgramResult = { status: 3, timedOut: false, output: 'no thanks' }
  const late: ProgramResult = { status: null, timedOut: true, output: '' }

  it('before the installation can refuse it: nothing is erased', async () => {
    const at = await scene(factory)
    const before = await storageOf(at.board)
    at.board.system.hook = (hook) => (hook === 'pre-install' ? failing : null)
    const seq = await at.assign(await at.release('2', 'healthy'))
    expect(await reported(at, seq)).toMatchObject({
      code: 'EB-HOOK',
      what: 'hook pre-install ended with 3: no thanks',
    })
    expect(await storageOf(at.board)).toEqual(before)
    at.board.system.hook = () => null
    await stillUpdates(at)
  })

  it('after the installation can refuse it: nothing is sealed or armed', async () => {
    const at = await scene(factory)
    at.board.system.hook = (hook) => (hook === 'post-install' ? late : null)
    const seq = await at.assign(await at.release('2', 'healthy'))
    const report = await reported(at, seq)
    expect(report).toMatchObject({ code: 'EB-HOOK' })
    expect(report.what).toContain('took too long')
    expect(await at.board.record()).toMatchObject({ priority: 'a', b: { ok: false, sv: 0, tries: 0 } })
    expect(lastStatus(at.world).slots.b.release).toBeNull()
  })

  it('before the commit can refuse it: the board goes back, with what the hook said', async () => {
    const at = await scene(factory)
    at.board.system.hook = (hook) => (hook === 'pre-commit' ? failing : null)
    const seq = await at.assign(await at.release('2', 'healthy'))
    expect(await reported(at, seq)).toMatchObject({
      code: 'EB-HOOK',
      evidence: { check: 'pre-commit hook', output: 'no thanks' },
    })
    expect(at.board.boots).toEqual(['a', 'b', 'a'])
  })

  it('runs at each of the four points, told which release and slot', async () => {
    const at = await scene(factory)
    const calls: [HookName, Readonly<Record<string, string>>][] = []
    at.board.system.hook = (hook, environment) => {
      calls.push([hook, environment])
      return { status: 0, timedOut: false, output: '' }
    }
    const v2 = await at.release('2', 'healthy')
    expect(await reported(at, await at.assign(v2))).toMatchObject({ result: 'ok' })
    const v3 = await at.release('3', 'sick')
    expect(await reported(at, await at.assign(v3))).toMatchObject({ result: 'failed' })
    expect(calls.map(([hook]) => hook)).toEqual([
      'pre-install',
      'post-install',
      'pre-commit',
      'pre-install',
      'post-install',
      'post-rollback',
    ])
    expect(calls[0]?.[1]).toEqual({
      EVERBOOT_RELEASE: v2.manifest.id,
      EVERBOOT_SLOT: 'a',
      EVERBOOT_SPARE: 'b',
    })
    expect(calls.at(-1)?.[1]).toEqual({ EVERBOOT_RELEASE: v3.manifest.id, EVERBOOT_SLOT: 'b' })
  })

  it('after a rollback that fails changes nothing', async () => {
    const at = await scene(factory)
    at.board.system.hook = (hook) => (hook === 'post-rollback' ? failing : null)
    expect(await reported(at, await at.assign(await at.release('2', 'sick')))).toMatchObject({
      code: 'EB-HEALTH',
    })
    at.board.system.hook = () => null
    await stillUpdates(at)
  })
})

describe('a slot in rescue', () => {
  /** A is not committed and not first; B is committed, first, and hangs. */
  async function rescue() {
    const at = await scene(factory, { quick: true })
    expect(await reported(at, await at.assign(await at.release('2', 'healthy')))).toMatchObject({
      result: 'ok',
    })
    const { board, world } = at
    board.powerOff()
    // From now on what B holds hangs: its behaviour is read from its first block.
    board.behaves = (slot, behaviour) => (slot === 'b' ? 'hang' : behaviour)
    await plantRecord(board, {
      a: { ok: false, sv: 1, tries: 3 },
      b: { ok: true, sv: 1, tries: 2 },
      priority: 'b',
    })
    board.boots.length = 0
    await board.powerOn()
    await world.time.pass(8 * minute)
    return at
  }

  it('hands back once, then stays up without a commit', async () => {
    const { board, world } = await rescue()
    expect(board.boots).toEqual(['b', 'b', 'a', 'b', 'b', 'b', 'a'])
    await world.time.pass(3 * hour)
    expect(board.boots).toHaveLength(7)
    expect(await board.record()).toMatchObject({ priority: 'b', a: { ok: false }, b: { ok: true, tries: 0 } })
  })

  it('takes an assignment into the other slot', async () => {
    const at = await rescue()
    const v3 = await at.release('3', 'healthy')
    at.board.behaves = (_, behaviour) => behaviour
    expect(await reported(at, await at.assign(v3))).toMatchObject({ result: 'ok' })
    expect(holds(at.board, 'b', v3)).toBe(true)
  })

  it('commits by an assignment of its own release, in its place, after a boot', async () => {
    const at = await rescue()
    await at.world.publish(at.v1)
    const seq = await at.assign(at.v1)
    expect(await reported(at, seq)).toMatchObject({ result: 'ok', release: at.v1.manifest.id })
    expect(at.board.boots.slice(7)).toEqual(['a'])
    expect(await at.board.record()).toMatchObject({ priority: 'a', a: { ok: true, tries: 8 } })
  })

  it('does so after kill -9 at any moment of that too', async () => {
    for (let n = 1; ; n += 1) {
      const at = await rescue()
      await at.world.publish(at.v1)
      let seen = 0
      at.board.onLog = () => {
        seen += 1
        if (seen === n) at.board.killAgent()
      }
      const seq = await at.assign(at.v1)
      expect(await reported(at, seq), `killed at event ${n}`).toMatchObject({ result: 'ok' })
      expect(at.board.boots.at(-1)).toBe('a')
      if (seen < n) break
    }
  })

  it('and after a power cut at any operation', async () => {
    for (let n = 0; ; n += 1) {
      const at = await rescue()
      await at.world.publish(at.v1)
      let cut = false
      at.board.onCut = () => {
        cut = true
        return undefined
      }
      at.board.cutAt(n, 'before', 'lost')
      const seq = await at.assign(at.v1)
      const report = await reported(at, seq)
      // A cut between journal and record may end the attempt; it must not be called a success then.
      const committed = (await at.board.record()).a.ok
      expect(report.result === 'ok', `cut ${n}`).toBe(committed)
      if (!cut) break
    }
  })

  it('stays up when the journal cannot say that it handed back: it would go round for ever', async () => {
    const at = await scene(factory)
    expect(await reported(at, await at.assign(await at.release('2', 'healthy')))).toMatchObject({
      result: 'ok',
    })
    const { board, world } = at
    board.powerOff()
    board.behaves = (slot, behaviour) => (slot === 'b' ? 'hang' : behaviour)
    await plantRecord(board, {
      a: { ok: false, sv: 1, tries: 3 },
      b: { ok: true, sv: 1, tries: 2 },
      priority: 'b',
    })
    board.files.fault = (operation) => {
      if (operation === 'write') raise('EB-DATA-FULL', 'journal.new: ENOSPC')
    }
    board.boots.length = 0
    await board.powerOn()
    await world.time.pass(5 * hour)
    expect(board.boots).toEqual(['b', 'b', 'a'])
    expect(board.ends).toEqual([])
  })
})
