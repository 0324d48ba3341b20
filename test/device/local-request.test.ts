/**
 * What a person may ask for on the device: status, a file, the other slot; and what is refused.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import { raise } from '../../core/errors.ts'
import type { FetchResponse } from '../../core/ports.ts'
import {
  ask,
  type Factory,
  holds,
  lastStatus,
  makeFactory,
  minute,
  name,
  releaseFile,
  reported,
  type Scene,
  scene,
  stillUpdates,
} from './fixtures.ts'

let factory: Factory
beforeAll(async () => {
  factory = await makeFactory()
})

/** The final report of an attempt that was asked for on the device. */
async function localReport(at: Scene) {
  await at.world.time.until(() => at.world.reports(name).some((it) => it.seq === 0), 60 * minute)
  const reports = at.world.reports(name).filter((it) => it.seq === 0)
  expect(reports).toHaveLength(1)
  return reports[0]
}

describe('asked on the device', () => {
  it('for its status, the agent tells what it tells the hub', async () => {
    const at = await scene(factory)
    const answer = await ask(at, { op: 'status' })
    expect(answer).toMatchObject({ ok: true, value: { hubConnected: true, settled: true } })
    if (!answer.ok) return
    const { seq: _, ...told } = answer.value.status
    expect(lastStatus(at.world)).toMatchObject(told)
  })

  it('to install a file, it does so like an assignment, also without a hub', async () => {
    const at = await scene(factory)
    const v2 = await at.release('2', 'healthy')
    let open = 0
    at.board.system.openReleaseFile = async () => {
      open += 1
      return { ...releaseFile(at, v2), close: async () => void open-- }
    }
    at.world.net.broker.setUp(false)
    expect(await ask(at, { op: 'install', file: '/usb/v2.ebr' })).toMatchObject({
      ok: true,
      value: { status: { attempt: { seq: 0, release: v2.manifest.id } } },
    })
    await at.world.time.pass(5 * minute)
    expect(at.board.boots).toEqual(['a', 'b'])
    expect(holds(at.board, 'b', v2)).toBe(true)
    expect(open, 'files left open').toBe(0)
    await at.world.startHub()
    await at.world.time.pass(5 * minute)
    expect(await localReport(at)).toMatchObject({ result: 'ok', release: v2.manifest.id })
    // It was no assignment of the hub, and stands in the way of none.
    expect(lastStatus(at.world).finished).toBeNull()
    await stillUpdates(at)
  })

  it('to go back, it boots the other slot without a download', async () => {
    const at = await scene(factory)
    expect(await reported(at, await at.assign(await at.release('2', 'healthy')))).toMatchObject({
      result: 'ok',
    })
    const requests = at.world.net.files.requests.length
    expect(await ask(at, { op: 'rollback' })).toMatchObject({ ok: true })
    expect(await localReport(at)).toMatchObject({ result: 'ok', release: at.v1.manifest.id })
    expect(at.board.boots).toEqual(['a', 'b', 'a'])
    expect(at.world.net.files.requests).toHaveLength(requests)
    // The retained assignment is finished: it does not bring the board forward again.
    await at.world.time.pass(60 * minute)
    expect(at.board.boots).toEqual(['a', 'b', 'a'])
  })
})

describe('refused on the device is', () => {
  it('going back to an empty slot', async () => {
    const at = await scene(factory)
    expect(await ask(at, { op: 'rollback' })).toMatchObject({ ok: false, error: { code: 'EB-WRONG-SLOT' } })
    expect(at.world.reports(name)).toEqual([])
  })

  it('going back to a slot that is damaged: the attempt fails, the board stays', async () => {
    const at = await scene(factory)
    expect(await reported(at, await at.assign(await at.release('2', 'healthy')))).toMatchObject({
      result: 'ok',
    })
    at.board.slots.a.rot(5000)
    expect(await ask(at, { op: 'rollback' })).toMatchObject({ ok: true })
    expect(await localReport(at)).toMatchObject({ result: 'failed', code: 'EB-WRONG-SLOT' })
    expect(at.board.boots).toEqual(['a', 'b'])
  })

  it('anything while an attempt is open: EB-BUSY', async () => {
    const at = await scene(factory)
    const v2 = await at.release('2', 'healthy')
    at.world.net.files.bend = (_, answer) => {
      answer.stallAfter = 10
    }
    await at.assign(v2)
    await at.world.time.pass(1000)
    for (const request of [{ op: 'rollback' }, { op: 'install', file: '/x.ebr' }] as const) {
      expect(await ask(at, request)).toMatchObject({ ok: false, error: { code: 'EB-BUSY' } })
    }
    expect(await ask(at, { op: 'status' })).toMatchObject({
      ok: true,
      value: { status: { state: 'DOWNLOADING' } },
    })
  })

  it('anything before the boot has proved itself: EB-TRIAL-OPEN', async () => {
    const at = await scene(factory)
    at.board.system.probe = () => 503
    at.board.powerOff()
    await at.board.powerOn()
    await at.world.time.pass(1000)
    expect(await ask(at, { op: 'rollback' })).toMatchObject({ ok: false, error: { code: 'EB-TRIAL-OPEN' } })
    expect(await ask(at, { op: 'status' })).toMatchObject({ ok: true, value: { settled: false } })
  })

  it('a file that is not there or not for this device, with the code of the reason', async () => {
    const at = await scene(factory)
    expect(await ask(at, { op: 'install', file: '/x.ebr' })).toMatchObject({
      ok: false,
      error: { code: 'EB-FILE' },
    })
    at.board.system.openReleaseFile = async () => raise('EB-WRONG-DEVICE', 'no key')
    expect(await ask(at, { op: 'install', file: '/x.ebr' })).toMatchObject({
      ok: false,
      error: { code: 'EB-WRONG-DEVICE' },
    })
    expect(at.world.reports(name)).toEqual([])
    await stillUpdates(at)
  })

  it('with room for nothing: EB-DATA-FULL, and nothing has begun', async () => {
    const at = await scene(factory)
    const v2 = await at.release('2', 'healthy')
    at.board.system.openReleaseFile = async () => releaseFile(at, v2)
    at.board.files.fault = (operation) => {
      if (operation === 'write') raise('EB-DATA-FULL', 'journal.new: ENOSPC')
    }
    expect(await ask(at, { op: 'install', file: '/x.ebr' })).toMatchObject({
      ok: false,
      error: { code: 'EB-DATA-FULL' },
    })
    at.board.files.fault = () => {}
    await stillUpdates(at)
  })
})

describe('a release file', () => {
  it('that goes away in the middle ends the attempt: it will not come back by waiting', async () => {
    const at = await scene(factory)
    const v2 = await at.release('2', 'healthy')
    let open = 0
    at.board.system.openReleaseFile = async () => {
      open += 1
      const file = releaseFile(at, v2)
      return {
        ...file,
        fetch: {
          async get(request) {
            const answer: FetchResponse = await file.fetch.get(request)
            let reads = 0
            const read = async () => {
              reads += 1
              if (reads > 3 && request.url.endsWith('.blob')) raise('EB-FILE', '/usb/v2.ebr: EIO')
              return answer.read()
            }
            return { ...answer, read }
          },
        },
        close: async () => void open--,
      }
    }
    expect(await ask(at, { op: 'install', file: '/usb/v2.ebr' })).toMatchObject({ ok: true })
    expect(await localReport(at)).toMatchObject({ result: 'failed', code: 'EB-FILE' })
    expect(open, 'files left open').toBe(0)
    await stillUpdates(at)
  })

  it('is not withdrawn by an assignment of the hub, which follows it', async () => {
    const at = await scene(factory)
    const [v2, v3] = [await at.release('2', 'healthy'), await at.release('3', 'healthy')]
    at.world.net.files.bend = (_, answer) => Object.assign(answer, { partMs: 500, partBytes: 4096 })
    at.board.system.openReleaseFile = async () => releaseFile(at, v2)
    expect(await ask(at, { op: 'install', file: '/usb/v2.ebr' })).toMatchObject({ ok: true })
    await at.world.time.pass(2000)
    const seq = await at.assign(v3)
    expect(await reported(at, seq)).toMatchObject({ result: 'ok' })
    expect(await localReport(at)).toMatchObject({ result: 'ok', release: v2.manifest.id })
    expect(at.board.boots).toEqual(['a', 'b', 'a'])
  })
})

describe('an agent that is stopped', () => {
  it('ends its run, says that it goes, and leaves nothing behind that could go on', async () => {
    const at = await scene(factory)
    const { world, board } = at
    world.net.files.bend = (_, answer) => {
      answer.stallAfter = 10
    }
    await at.assign(await at.release('2', 'healthy'))
    await world.time.pass(1000)
    const presence = () => world.hub().state().devices.get(name)?.presence?.online
    expect(presence()).toBe(true)
    const requests = world.net.files.requests.length
    board.agent()?.stop()
    await world.time.pass(10_000)
    expect(presence()).toBe(false)
    // The watchdog of the board is all that still waits.
    expect(world.time.timers()).toBe(1)
    expect(world.net.files.requests).toHaveLength(requests)
    expect(board.ends).toEqual([])
  })

  it('with a hub that does not answer any more ends all the same', async () => {
    const at = await scene(factory)
    const { world, board } = at
    world.net.broker.stalled = true
    let ended = false
    board.onEnd = () => {
      ended = true
    }
    board.agent()?.stop()
    await world.time.pass(3000)
    expect(ended).toBe(true)
  })
})
