/**
 * Wishes of the hub in every order, number and time: one attempt for each that is new, none for any other.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import { assignedTo } from '../../proof/publisher.ts'
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
  type Scene,
  say,
  scene,
  theReport,
  wish,
} from './fixtures.ts'

let factory: Factory
beforeAll(async () => {
  factory = await makeFactory()
})

const isBlob = (url: string): boolean => url.endsWith('.blob')
const attemptsBegun = ({ board }: Scene): number =>
  board.log.filter((it) => it.event === 'update' && it.on === 'assigned').length

/** Makes the blob come slowly enough that something can happen meanwhile. */
function slowly({ world }: Scene): void {
  world.net.files.bend = (request, answer) => {
    if (isBlob(request.url)) Object.assign(answer, { partMs: 1000, partBytes: 4096 })
  }
}

async function downloading(at: Scene): Promise<void> {
  await at.world.time.until(() => at.world.net.files.requests.some((it) => isBlob(it.url)), hour)
  await at.world.time.pass(3000)
}

describe('a newer wish', () => {
  it('during a download withdraws it, and is installed', async () => {
    const at = await scene(factory)
    const [v2, v3] = [await at.release('2', 'healthy'), await at.release('3', 'healthy')]
    slowly(at)
    const first = await at.assign(v2)
    await downloading(at)
    const second = await at.assign(v3)
    expect(await reported(at, second)).toMatchObject({ result: 'ok', release: v3.manifest.id })
    expect(theReport(at.world, first)).toMatchObject({ result: 'failed', code: 'EB-CANCELLED' })
    expect(at.board.boots).toEqual(['a', 'b'])
    expect(holds(at.board, 'b', v3)).toBe(true)
  })

  it('withdraws at once what waits for a server, even when that asked for five minutes', async () => {
    const at = await scene(factory)
    const [v2, v3] = [await at.release('2', 'healthy'), await at.release('3', 'healthy')]
    at.world.net.files.bend = (request, answer) => {
      if (!request.url.includes(v2.manifest.id) || !isBlob(request.url)) return
      Object.assign(answer, { status: 503, contentRange: null, retryAfterMs: 300_000 })
    }
    const first = await at.assign(v2)
    await downloading(at)
    const second = await at.assign(v3)
    const from = at.world.time.nowMs()
    await at.world.time.until(() => at.board.boots.length === 2, hour)
    expect(at.world.time.nowMs() - from).toBeLessThan(10_000)
    expect(await reported(at, second)).toMatchObject({ result: 'ok' })
    expect(theReport(at.world, first)).toMatchObject({ code: 'EB-CANCELLED' })
  })

  it('during a trial waits for its verdict', async () => {
    const at = await scene(factory)
    const [v2, v3] = [await at.release('2', 'healthy'), await at.release('3', 'healthy')]
    let late = 0
    at.board.system.probe = () => (at.board.boots.at(-1) === 'b' && ++late < 60 ? 503 : 200)
    const first = await at.assign(v2)
    await at.world.time.until(() => at.board.boots.length === 2, hour)
    await at.world.time.pass(5000)
    const second = await at.assign(v3)
    expect(await reported(at, second)).toMatchObject({ result: 'ok' })
    expect(theReport(at.world, first)).toMatchObject({ result: 'ok' })
    expect(at.board.boots).toEqual(['a', 'b', 'a'])
  })

  it('of two that come together counts, whichever comes last', async () => {
    for (const order of [
      [0, 1],
      [1, 0],
    ]) {
      const at = await scene(factory)
      const releases = [await at.release('2', 'healthy'), await at.release('3', 'healthy')]
      slowly(at)
      const now = at.world.time.clock.wallMs()
      for (const index of order) {
        const release = releases[index]
        if (release !== undefined) await wish(at, assignedTo(release, at.board.wrappingKey), now + index)
      }
      expect(await reported(at, now + 1)).toMatchObject({ result: 'ok' })
      expect(lastStatus(at.world).slots[lastStatus(at.world).slot].version).toBe('3')
      const older = at.world.reports(name).filter((it) => it.seq === now)
      expect(older.every((it) => it.code === 'EB-CANCELLED')).toBe(true)
      expect(older.length).toBeLessThanOrEqual(1)
    }
  })

  it('out of a flood of a thousand is the only one that is installed', async () => {
    const at = await scene(factory)
    const v2 = await at.release('2', 'healthy')
    const now = at.world.time.clock.wallMs()
    const release = assignedTo(v2, at.board.wrappingKey)
    for (let index = 0; index < 1000; index += 1) await wish(at, release, now + index)
    expect(await reported(at, now + 999)).toMatchObject({ result: 'ok' })
    expect(at.board.boots).toEqual(['a', 'b'])
    expect(attemptsBegun(at)).toBeLessThan(5)
  })
})

describe('a wish that is not new', () => {
  it('but comes again and again, before, during and after, is one attempt', async () => {
    const at = await scene(factory)
    const v2 = await at.release('2', 'healthy')
    slowly(at)
    const seq = await at.assign(v2)
    const again = () => wish(at, assignedTo(v2, at.board.wrappingKey), seq)
    await again()
    await downloading(at)
    await again()
    await again()
    expect(await reported(at, seq)).toMatchObject({ result: 'ok' })
    await again()
    at.board.cutLink()
    await at.world.time.pass(hour)
    theReport(at.world, seq)
    expect(at.board.boots).toEqual(['a', 'b'])
    expect(attemptsBegun(at)).toBe(1)
  })

  it('because it failed and is still retained, is not tried again after a reconnect, a restart, a reboot', async () => {
    const at = await scene(factory)
    const seq = await at.assign(await at.release('2', 'sick'))
    expect(await reported(at, seq)).toMatchObject({ code: 'EB-HEALTH' })
    const { board, world } = at
    board.cutLink()
    await world.time.pass(minute)
    board.killAgent()
    await world.time.pass(minute)
    board.powerOff()
    await board.powerOn()
    await world.time.pass(hour)
    theReport(world, seq)
    expect(board.boots).toEqual(['a', 'b', 'a', 'a'])
    expect(
      board.log.filter((it) => it.event === 'assigned' && it['judged'] === 'known').length,
    ).toBeGreaterThan(2)
  })

  it('but older than the last finished one changes nothing', async () => {
    const at = await scene(factory)
    const [v2, v3] = [await at.release('2', 'healthy'), await at.release('3', 'healthy')]
    const seq = await at.assign(v3)
    expect(await reported(at, seq)).toMatchObject({ result: 'ok' })
    await wish(at, assignedTo(v2, at.board.wrappingKey), seq - 1)
    await at.world.time.pass(hour)
    expect(at.world.reports(name)).toHaveLength(1)
    expect(at.board.boots).toEqual(['a', 'b'])
  })

  it('but empty or malformed changes nothing', async () => {
    const at = await scene(factory)
    const before = at.world.statuses(name).length
    for (const payload of [new Uint8Array(0), 'text', {}, { v: 2 }, { v: 1, seq: 'x' }, null, [1]]) {
      await say(at, 'desired', payload)
    }
    await say(at, 'desired', Buffer.alloc(300_000, 'x'))
    await at.world.time.pass(minute)
    expect(at.world.statuses(name)).toHaveLength(before)
    expect(at.board.ends).toEqual([])
    expect(at.board.log.filter((it) => it.event === 'message refused')).toHaveLength(7)
  })
})

describe('a wish from the far future', () => {
  it('is refused with one notice, however often it comes, and the next right one is installed', async () => {
    const at = await scene(factory)
    const v2 = await at.release('2', 'healthy')
    const release = assignedTo(v2, at.board.wrappingKey)
    for (const seq of [Number.MAX_SAFE_INTEGER, at.world.time.clock.wallMs() + 25 * hour]) {
      for (let times = 0; times < 3; times += 1) {
        await wish(at, release, seq)
        await at.world.time.pass(minute)
      }
      at.board.cutLink()
      await at.world.time.pass(minute)
    }
    expect(notices(at.world)).toEqual(['EB-SEQUENCE', 'EB-SEQUENCE'])
    expect(at.world.reports(name)).toEqual([])
    expect(await reported(at, await wish(at, release))).toMatchObject({ result: 'ok' })
  })

  it('is told from a device that has no clock: in 1970 today counts, 2^53-1 does not', async () => {
    const at = await scene(factory)
    at.board.system.wallMs = (trueMs) => trueMs - Date.parse('2026-06-01T00:00:00Z')
    const release = assignedTo(await at.release('2', 'healthy'), at.board.wrappingKey)
    await wish(at, release, Number.MAX_SAFE_INTEGER)
    await at.world.time.pass(minute)
    expect(notices(at.world)).toEqual(['EB-SEQUENCE'])
    expect(await reported(at, await wish(at, release))).toMatchObject({ result: 'ok' })
  })
})

describe('a wish for what is there already', () => {
  it('and runs, committed, is done without a download or a boot', async () => {
    const at = await scene(factory)
    await at.world.publish(at.v1)
    const seq = await wish(at, assignedTo(at.v1, at.board.wrappingKey))
    expect(await reported(at, seq)).toMatchObject({ result: 'ok', release: at.v1.manifest.id })
    expect(at.world.net.files.requests).toEqual([])
    expect(at.board.boots).toEqual(['a'])
  })

  it('in the other slot goes there without a download', async () => {
    const at = await scene(factory)
    await at.world.publish(at.v1)
    expect(await reported(at, await at.assign(await at.release('2', 'healthy')))).toMatchObject({
      result: 'ok',
    })
    const requests = at.world.net.files.requests.length
    const seq = await at.assign(at.v1)
    expect(await reported(at, seq)).toMatchObject({ result: 'ok', release: at.v1.manifest.id })
    expect(at.world.net.files.requests).toHaveLength(requests)
    expect(at.board.boots).toEqual(['a', 'b', 'a'])
  })

  it('after a fall back from it brings it back without a download', async () => {
    const at = await scene(factory)
    const { board, world } = at
    const v2 = await at.release('2', 'healthy')
    expect(await reported(at, await at.assign(v2))).toMatchObject({ result: 'ok' })
    // What hangs for a while: a disk that is not there yet, say.
    for (let tries = 0; tries < 8; tries += 1) {
      board.powerOff()
      await board.powerOn()
    }
    board.powerOff()
    await board.powerOn()
    await world.time.pass(minute)
    expect(board.boots.at(-1)).toBe('a')
    expect(notices(world)).toEqual(['EB-FELL-BACK'])
    const requests = world.net.files.requests.length
    const seq = await at.assign(v2)
    expect(await reported(at, seq)).toMatchObject({ result: 'ok', release: v2.manifest.id })
    expect(board.boots.at(-1)).toBe('b')
    expect(world.net.files.requests).toHaveLength(requests)
  })

  it('after it proved sick is tried once more without a download, and fails again', async () => {
    const at = await scene(factory)
    const v2 = await at.release('2', 'sick')
    expect(await reported(at, await at.assign(v2))).toMatchObject({ code: 'EB-HEALTH' })
    const requests = at.world.net.files.requests.length
    expect(await reported(at, await at.assign(v2))).toMatchObject({ code: 'EB-HEALTH' })
    expect(at.world.net.files.requests).toHaveLength(requests)
    expect(at.board.boots).toEqual(['a', 'b', 'a', 'b', 'a'])
  })
})

describe('a command of the hub', () => {
  const command = (at: Scene, it: string, expiresInMs = minute) => ({
    v: 1,
    id: 'c1',
    command: it,
    expiresAtMs: at.world.time.clock.wallMs() + expiresInMs,
  })

  it('to reboot is followed when idle, once for a burst', async () => {
    const at = await scene(factory)
    for (let times = 0; times < 5; times += 1) await say(at, 'cmd', command(at, 'reboot'))
    await at.world.time.pass(minute)
    expect(at.board.boots).toEqual(['a', 'a'])
  })

  it('to reboot is dropped during an update, when it has expired, or is not on the list', async () => {
    const at = await scene(factory)
    await say(at, 'cmd', command(at, 'reboot', -1))
    await say(at, 'cmd', command(at, 'install'))
    await say(at, 'cmd', command(at, 'exec'))
    await at.world.time.pass(minute)
    expect(at.board.boots).toEqual(['a'])
    slowly(at)
    const seq = await at.assign(await at.release('2', 'healthy'))
    await downloading(at)
    await say(at, 'cmd', command(at, 'reboot'))
    expect(await reported(at, seq)).toMatchObject({ result: 'ok' })
    expect(at.board.boots).toEqual(['a', 'b'])
  })

  it('to refresh shows the present state', async () => {
    const at = await scene(factory)
    const before = at.world.statuses(name).length
    await say(at, 'cmd', command(at, 'refresh'))
    await at.world.time.pass(1000)
    expect(at.world.statuses(name).length).toBe(before + 1)
  })
})
