/**
 * A data partition that is full or broken, a spare slot that fails, a boot partition that fails: the agent
 * lives on, tells the truth once, and goes on when it can.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import type { FileOperation } from '../../bootloader-sim/devices/file-store.ts'
import { bootPartition } from '../../core/boot-record.ts'
import { type ErrorCode, raise } from '../../core/errors.ts'
import type { Behaviour } from '../../proof/publisher.ts'
import {
  type Factory,
  holds,
  hour,
  lastStatus,
  makeFactory,
  minute,
  name,
  notices,
  reported,
  scene,
  stillUpdates,
} from './fixtures.ts'

let factory: Factory
beforeAll(async () => {
  factory = await makeFactory({ pieces: 6 })
})

interface Trouble {
  readonly operation: FileOperation
  readonly code: ErrorCode
  readonly behaviour: Behaviour
  /** How long it lasts, from the n-th operation on. */
  readonly lastsMs: number
}

/** @returns whether the n-th operation came */
async function troubled(n: number, { operation, code, behaviour, lastsMs }: Trouble): Promise<boolean> {
  const at = await scene(factory, { quick: true })
  const { world, board } = at
  const v2 = await at.release('2', behaviour, { pieces: 6 })
  let seen = 0
  let endMs = Number.POSITIVE_INFINITY
  board.files.fault = (it, file) => {
    if (it !== operation) return
    seen += 1
    if (seen === n) endMs = world.time.nowMs() + lastsMs
    if (seen >= n && world.time.nowMs() < endMs) raise(code, `${file}: planted`)
  }
  const where = `${code} at ${operation} ${n}`
  const seq = await at.assign(v2)
  const report = await reported(at, seq)
  const came = seen >= n
  if (report.result === 'failed' && behaviour === 'healthy') expect(report.code, where).toBe(code)
  if (!came && behaviour === 'healthy') expect(report.result, where).toBe('ok')
  if (behaviour === 'sick') expect(report.result, where).toBe('failed')
  expect(board.ends, where).toEqual([])
  expect(lastStatus(world), where).toMatchObject({ state: 'IDLE', attempt: null })
  const running = report.result === 'ok' ? 'b' : 'a'
  expect(lastStatus(world).slot, where).toBe(running)
  board.files.fault = () => {}
  await stillUpdates(at)
  return came
}

describe('a data partition that fails for ten minutes', () => {
  const operations: readonly FileOperation[] = ['write', 'syncFile', 'rename', 'syncDir', 'remove']
  for (const operation of operations) {
    it(`at any ${operation} of an update costs the attempt at most, never the agent or the truth`, async () => {
      const trouble: Trouble = {
        operation,
        code: operation === 'write' ? 'EB-DATA-FULL' : 'EB-DATA-IO',
        behaviour: 'healthy',
        lastsMs: 10 * minute,
      }
      let n = 1
      while (await troubled(n, trouble)) n += 1
      expect(n).toBeGreaterThan(1)
    }, 60_000)
  }

  it('at any write of an update that is rolled back does not hide the rollback', async () => {
    const trouble: Trouble = {
      operation: 'write',
      code: 'EB-DATA-FULL',
      behaviour: 'sick',
      lastsMs: 10 * minute,
    }
    let n = 1
    while (await troubled(n, trouble)) n += 1
    expect(n).toBeGreaterThan(8)
  }, 60_000)

  it('only once, at any write, is got over', async () => {
    for (const behaviour of ['healthy', 'sick'] as const) {
      let n = 1
      while (await troubled(n, { operation: 'write', code: 'EB-DATA-FULL', behaviour, lastsMs: 1 })) n += 1
    }
  }, 60_000)
})

describe('a data partition that is full', () => {
  it('from the start lets the agent run, tell what it can, and begin when there is room', async () => {
    const at = await scene(factory)
    const { world, board } = at
    const v2 = await at.release('2', 'healthy')
    board.files.fault = (operation) => {
      if (operation === 'write') raise('EB-DATA-FULL', 'journal.new: ENOSPC')
    }
    const seq = await at.assign(v2)
    await world.time.pass(3 * hour)
    expect(board.ends).toEqual([])
    expect(world.attemptState(name)).toBe('pending')
    // Not kept, but told: the numbers for it were set aside.
    await world.net.broker.publish({
      topic: `eb/1/d/${name}/cmd`,
      payload: Buffer.from(
        JSON.stringify({
          v: 1,
          id: 'c1',
          command: 'refresh',
          expiresAtMs: world.time.clock.wallMs() + minute,
        }),
      ),
      qos: 1,
      retain: false,
    })
    await world.time.pass(minute)
    expect(lastStatus(world).notice).toMatchObject({ code: 'EB-DATA-FULL' })
    board.files.fault = () => {}
    expect(await reported(at, seq)).toMatchObject({ result: 'ok' })
  })

  it('does not fill further with a manifest that could not be kept', async () => {
    const at = await scene(factory)
    const { board } = at
    board.files.fault = (operation, file) => {
      if (operation === 'syncFile' && file === 'manifest.new') raise('EB-DATA-FULL', 'manifest.new: ENOSPC')
    }
    const seq = await at.assign(await at.release('2', 'healthy'))
    expect(await reported(at, seq)).toMatchObject({ result: 'ok' })
    expect(board.files.content('manifest.new')).toBeNull()
  })

  it('that does not give back the kept manifest costs one more request, not the update', async () => {
    const at = await scene(factory)
    const { world, board } = at
    world.net.files.bend = (_, answer) => void Object.assign(answer, { partMs: 50, partBytes: 2048 })
    const seq = await at.assign(await at.release('2', 'healthy'))
    await world.time.until(() => board.files.content('manifest') !== null, minute)
    let asked = 0
    board.files.fault = (operation, file) => {
      if (operation !== 'read' || file !== 'manifest') return
      asked += 1
      raise('EB-DATA-IO', 'manifest: EIO')
    }
    board.killAgent()
    expect(await reported(at, seq)).toMatchObject({ result: 'ok' })
    expect(asked).toBeGreaterThan(0)
  })

  it('at a restart of the agent in the middle of an update hides nothing', async () => {
    const at = await scene(factory)
    const { world, board } = at
    const seq = await at.assign(await at.release('2', 'healthy'))
    await world.time.until(() => board.log.some((it) => it.event === 'update'), minute)
    board.files.fault = (operation) => {
      if (operation === 'write') raise('EB-DATA-FULL', 'journal.new: ENOSPC')
    }
    board.killAgent()
    await world.time.pass(20 * minute)
    expect(board.ends).toEqual([])
    board.files.fault = () => {}
    const report = await reported(at, seq)
    expect(['ok', 'failed']).toContain(report.result)
    await stillUpdates(at)
  })

  it('for a whole trial is what the rollback is put down to', async () => {
    const at = await scene(factory)
    const { board } = at
    board.onLog = ({ event }) => {
      if (event !== 'reboot') return
      board.files.fault = (operation) => {
        if (operation === 'write' && board.boots.at(-1) === 'b') raise('EB-DATA-FULL', 'journal.new: ENOSPC')
      }
    }
    const seq = await at.assign(await at.release('2', 'healthy'))
    const report = await reported(at, seq)
    expect(report).toMatchObject({ result: 'failed' })
    expect(board.boots).toEqual(['a', 'b', 'a'])
    // The trial could not write its reason either: what it printed is all there is.
    expect(report.code).toBe('EB-NO-VERDICT')
    const verdict = board.log.findLast((it) => it.event === 'health' && it['verdict'] === 'unhealthy')
    expect(verdict?.['what']).toContain('ENOSPC')
  })

  it('while the board falls back does not swallow EB-FELL-BACK', async () => {
    const at = await scene(factory)
    const { world, board } = at
    expect(await reported(at, await at.assign(await at.release('2', 'healthy')))).toMatchObject({
      result: 'ok',
    })
    board.slots.b.rot(5000)
    board.files.fault = (operation) => {
      if (operation === 'write') raise('EB-DATA-FULL', 'journal.new: ENOSPC')
    }
    board.powerOff()
    await board.powerOn()
    await world.time.pass(20 * minute)
    expect(board.boots).toEqual(['a', 'b', 'a'])
    expect(await board.record()).toMatchObject({ priority: 'a', a: { ok: true, tries: 8 } })
    board.files.fault = () => {}
    await world.time.pass(2 * minute)
    expect(notices(world)).toEqual(['EB-FELL-BACK'])
    expect(board.ends).toEqual([])
  })
})

describe('a journal', () => {
  it('that is damaged is started anew, and the hub hears of it', async () => {
    const at = await scene(factory)
    const { world, board } = at
    board.files.put('journal', Buffer.from('EBJ1 nonsense'))
    board.killAgent()
    await world.time.pass(minute)
    expect(notices(world)).toEqual(['EB-JOURNAL'])
    await stillUpdates(at)
  })

  it('that is lost on a trial costs neither the commit nor the report', async () => {
    const at = await scene(factory)
    const { world, board } = at
    const v2 = await at.release('2', 'healthy')
    board.onLog = ({ event }) => {
      if (event !== 'reboot') return
      board.files.put('journal', new Uint8Array(0))
      board.onLog = () => {}
    }
    const seq = await at.assign(v2)
    expect(await reported(at, seq)).toMatchObject({ result: 'ok', release: v2.manifest.id })
    expect(board.boots).toEqual(['a', 'b'])
    expect(await board.record()).toMatchObject({ priority: 'b', b: { ok: true } })
    expect(lastStatus(world)).toMatchObject({ slot: 'b' })
  })

  it('that can only be read lets the agent run', async () => {
    const at = await scene(factory)
    const { world, board } = at
    board.files.fault = (operation) => {
      if (operation !== 'read') raise('EB-DATA-IO', 'journal: EROFS')
    }
    board.killAgent()
    await world.time.pass(10 * minute)
    expect(board.ends).toEqual([])
    board.files.fault = () => {}
    await world.time.pass(minute)
    await stillUpdates(at)
  })
})

describe('a spare slot that fails', () => {
  for (const operation of ['write', 'read', 'flush'] as const) {
    it(`at any ${operation} ends the attempt with EB-SLOT-IO; the record promises nothing`, async () => {
      for (let n = 1; ; n += 1) {
        const at = await scene(factory, { quick: true })
        const { board } = at
        // First something to wipe: the spare is to hold a former release.
        expect(
          await reported(at, await at.assign(await at.release('2', 'healthy', { pieces: 6 }))),
        ).toMatchObject({
          result: 'ok',
        })
        const v3 = await at.release('3', 'healthy', { pieces: 6 })
        let seen = 0
        let armed = false
        let planted = false
        board.onLog = ({ event, on }) => {
          if (event === 'update' && on === 'armed') armed = true
        }
        board.slots.a.faults[operation] = () => {
          seen += 1
          if (seen !== n || armed) return
          planted = true
          raise('EB-SLOT-IO', 'planted')
        }
        const seq = await at.assign(v3)
        const report = await reported(at, seq)
        board.slots.a.faults[operation] = () => {}
        board.onLog = () => {}
        if (report.result === 'ok') {
          expect(holds(board, 'a', v3)).toBe(true)
          if (!planted) {
            expect(n).toBeGreaterThan(2)
            break
          }
          // What the spare held before cannot be read: that is no reason not to write it.
          expect(operation).toBe('read')
          continue
        }
        expect(report.code, `${operation} ${n}`).toBe('EB-SLOT-IO')
        expect(board.boots).toEqual(['a', 'b'])
        const { a } = await board.record()
        const untouched = a.ok && a.sv === 1
        expect(untouched || (!a.ok && a.sv === 0 && a.tries === 0), `${operation} ${n}`).toBe(true)
        await stillUpdates(at)
      }
    }, 60_000)
  }

  it('by keeping other bytes than were written is repaired once, then given up', async () => {
    for (const [times, result] of [
      [1, 'ok'],
      [9, 'failed'],
    ] as const) {
      const at = await scene(factory)
      const { board } = at
      let left: number = times
      board.onLog = ({ event, to }) => {
        if (event !== 'update' || to !== 'VERIFYING' || left < 1) return
        left -= 1
        board.slots.b.rot(4096 + 17)
      }
      const seq = await at.assign(await at.release('2', 'healthy'))
      const report = await reported(at, seq)
      expect(report.result).toBe(result)
      if (result === 'failed') expect(report.code).toBe('EB-READBACK')
      expect(await board.record()).toMatchObject({ priority: result === 'ok' ? 'b' : 'a' })
    }
  })
})

describe('a boot partition that fails', () => {
  const inRecord = (offset: number): boolean => offset < bootPartition.stampOffset

  it('to take the first write of an installation ends the attempt before anything is wiped', async () => {
    const at = await scene(factory)
    const { board } = at
    const v2 = await at.release('2', 'healthy')
    expect(await reported(at, await at.assign(v2))).toMatchObject({ result: 'ok' })
    const written = board.slots.a.written()
    board.bootDisk.faults.write = () => raise('EB-SLOT-IO', 'boot: EIO')
    const seq = await at.assign(await at.release('3', 'healthy'))
    expect(await reported(at, seq)).toMatchObject({ result: 'failed', code: 'EB-SLOT-IO' })
    expect(board.slots.a.written()).toBe(written)
    board.bootDisk.faults.write = () => {}
    await stillUpdates(at)
  })

  it('at the commit is told to the hub, and the commit is made when it works again', async () => {
    const at = await scene(factory)
    const { world, board } = at
    const v2 = await at.release('2', 'healthy')
    board.onLog = ({ event, verdict }) => {
      if (event !== 'health' || verdict !== 'healthy' || board.boots.at(-1) !== 'b') return
      board.bootDisk.faults.write = (offset) => {
        if (inRecord(offset)) raise('EB-SLOT-IO', 'boot: EIO')
      }
    }
    const seq = await at.assign(v2)
    await world.time.until(() => board.ends.length > 2, hour)
    expect(notices(world)).toContain('EB-SLOT-IO')
    board.onLog = () => {}
    board.bootDisk.faults.write = () => {}
    expect(await reported(at, seq)).toMatchObject({ result: 'ok' })
    expect(board.boots).toEqual(['a', 'b'])
  })

  it('for good does not become a storm of starts and notices', async () => {
    const at = await scene(factory)
    const { world, board } = at
    board.bootDisk.faults.write = () => raise('EB-SLOT-IO', 'boot: EIO')
    board.bootDisk.faults.flush = () => {}
    board.killAgent()
    // Tries are not restored, which needs a write.
    await board.bootDisk.flush()
    await world.time.pass(10 * minute)
    expect(notices(world).length).toBeLessThan(10 * 60)
    expect(board.boots).toEqual(['a'])
  })
})
