/** Room: what updates need stays free, clips give way, and what is fetched ahead pushes out nothing. */
import { describe, expect, it } from 'vitest'
import type { ClipService, ClipSettings } from '../../../device/clips/clip-service.ts'
import {
  announce,
  atHub,
  bytesOf,
  type ClipWorld,
  clipWorld,
  codeOf,
  contentFiles,
  limitsOf,
  minute,
  openService,
  played,
  settled,
  wavOf,
} from './fixtures.ts'

const own = (id: string, pinned = false) =>
  ({ id, skill: 'notes', language: null, private: false, pinned, ttlMs: 0, claims: {} }) as const
const idsOf = (service: ClipService) => Array.from(service.list(), ({ id }) => id).sort()
const reserveBytes = 100_000

async function scene(change: Partial<ClipSettings> = {}, partBytes = 16_384) {
  const world = clipWorld(1, partBytes)
  const service = await openService(world, { memoryBytes: 0, ...change })
  const clips = (count: number, length = 10_000, mark = 'clip') =>
    Array.from({ length: count }, (_, at) => atHub(world, `${mark}-${at}`, bytesOf(`${mark}-${at}`, length)))
  const follow = async (seq: number, list: Parameters<typeof announce>[3], skill = 'red') => {
    await settled(world, service.announced(skill, announce(world, skill, seq, list)))
    await world.time.pass(minute)
  }
  return { world, service, clips, follow }
}

/** The medium has so many bytes besides what lies there now. */
async function leave({ files }: ClipWorld, bytes: number): Promise<void> {
  await files.syncDir()
  const names = await files.list()
  files.capacityBytes = names.reduce((sum, name) => sum + (files.content(name)?.length ?? 0), 0) + bytes
}

describe('on a medium that runs short', () => {
  it('clips give way before a new one is stored, and what updates need stays free', async () => {
    const { world, service } = await scene({ reserveBytes })
    for (const id of ['a', 'b', 'c', 'd']) await service.put(own(id), wavOf(id, 20_000))
    await leave(world, reserveBytes + 5_000)
    await service.put(own('e'), wavOf('e', 30_000))
    expect(idsOf(service)).toEqual(['c', 'd', 'e'])
    await world.files.syncDir()
    expect(await world.files.freeBytes()).toBeGreaterThanOrEqual(reserveBytes - 5_000)
  })

  it('a clip is not stored when pins leave no room besides what updates need', async () => {
    const { world, service } = await scene({ reserveBytes })
    await service.put(own('a', true), wavOf('a', 20_000))
    await leave(world, reserveBytes)
    expect(await codeOf(service.put(own('b'), wavOf('b', 5_000)))).toBe('EB-CLIP-FULL')
    expect(idsOf(service)).toEqual(['a'])
    expect(await world.files.freeBytes()).toBe(reserveBytes)
    expect(await contentFiles(world)).toHaveLength(1)
  })

  it('several that are stored at once do not take it together', async () => {
    const { world, service } = await scene({ reserveBytes })
    await leave(world, reserveBytes + 50_000)
    const all = ['a', 'b', 'c', 'd'].map((id) => codeOf(service.put(own(id, true), wavOf(id, 20_000))))
    const outcomes = await Promise.all(all)
    expect(outcomes.filter((it) => it === 'EB-CLIP-FULL').length).toBeGreaterThanOrEqual(2)
    expect(await world.files.freeBytes()).toBeGreaterThanOrEqual(reserveBytes)
  })

  it('several that are fetched at once do not take it together either', async () => {
    const { world, service, clips, follow } = await scene({ reserveBytes })
    await follow(1, clips(4, 60_000))
    await service.clear()
    await leave(world, reserveBytes + 150_000)
    const gets = Array.from({ length: 4 }, (_, at) => codeOf(played(world, service, `clip-${at}`)))
    let least = Number.MAX_SAFE_INTEGER
    world.files.onWrite = () => void world.files.freeBytes().then((free) => (least = Math.min(least, free)))
    await settled(world, Promise.all(gets))
    await world.time.pass(minute)
    // The index takes a little of it; clips do not.
    expect(least).toBeGreaterThan(reserveBytes - 10_000)
  })

  it('a clip that is asked for makes others give way, one that is fetched ahead does not', async () => {
    const { world, service, clips, follow } = await scene({ reserveBytes })
    await service.put(own('mine'), wavOf('mine', 30_000))
    await leave(world, reserveBytes + 8_000)
    await follow(1, clips(3))
    expect(idsOf(service)).toEqual(['mine'])
    expect(await played(world, service, 'clip-1')).toEqual(bytesOf('clip-1', 10_000))
    expect(idsOf(service)).toEqual(['clip-1'])
  })

  it('an update that needs room gets it, and pins stay', async () => {
    const { world, service } = await scene()
    await service.put(own('a', true), wavOf('a', 20_000))
    await service.put(own('b'), wavOf('b', 20_000))
    const asked: number[] = []
    service.onFull = (bytes) => void asked.push(bytes)
    const size = service.peek('b')?.content.bytes ?? 0
    expect(await service.giveWay(50_000)).toBe(size)
    expect([idsOf(service), asked]).toEqual([['a'], [50_000 - size]])
    await world.files.syncDir()
    expect(await contentFiles(world)).toHaveLength(1)
  })
})

describe('what is fetched ahead', () => {
  it('fills the cache and stops there: nothing that came is pushed out by what follows', async () => {
    for (const limits of [limitsOf({ bytes: 65_000 }), limitsOf({ items: 6 })]) {
      const { world, service, clips, follow } = await scene({ limits })
      await follow(1, clips(40))
      expect(idsOf(service)).toEqual(['clip-0', 'clip-1', 'clip-2', 'clip-3', 'clip-4', 'clip-5'])
      expect(service.stats().evictions).toBe(0)
      expect(world.server.requests).toHaveLength(7)
      // Also not by another name for what is there.
      await follow(1, [atHub(world, 'again', bytesOf('clip-0', 10_000))], 'blue')
      expect(service.stats().evictions).toBe(0)
      // It comes when it is asked for.
      expect(await played(world, service, 'clip-30')).toEqual(bytesOf('clip-30', 10_000))
      expect(idsOf(service)).toContain('clip-30')
    }
  })

  it('stays within the quota of its skill', async () => {
    const { service, clips, follow } = await scene({
      limits: limitsOf({ quotas: new Map([['red', 35_000]]) }),
    })
    await follow(1, clips(10))
    await follow(1, clips(5, 10_000, 'blue'), 'blue')
    expect(idsOf(service)).toEqual([
      'blue-0',
      'blue-1',
      'blue-2',
      'blue-3',
      'blue-4',
      'clip-0',
      'clip-1',
      'clip-2',
    ])
    expect(service.stats().evictions).toBe(0)
  })

  it('of a long list comes whole, whatever its length', async () => {
    const { world, service, clips, follow } = await scene({
      limits: limitsOf({ items: 3_000, bytes: 10_000_000 }),
    })
    await follow(1, clips(1_500, 20))
    await world.time.pass(10 * minute)
    expect(idsOf(service)).toHaveLength(1_500)
    expect(world.events.filter(({ event }) => event === 'clip not fetched ahead')).toEqual([])
  })

  it('goes on after a start, and after the hub was away', async () => {
    const { world, service, clips, follow } = await scene()
    const list = clips(8)
    world.server.bend = ({ url }, answer) => {
      if (list.slice(3).some(({ sha256 }) => url.endsWith(sha256))) answer.status = 503
    }
    await follow(1, list)
    expect(idsOf(service)).toHaveLength(3)
    await settled(world, service.close())
    world.server.bend = () => {}
    const again = await openService(world, { memoryBytes: 0 })
    await world.time.pass(minute)
    expect(idsOf(again)).toHaveLength(8)
    await again.clear()
    world.server.up = false
    expect(again.prefetch('red')).toBe(8)
    await world.time.pass(10_000)
    world.server.up = true
    again.linkUp()
    await world.time.pass(minute)
    expect(idsOf(again)).toHaveLength(8)
    expect(await codeOf(Promise.resolve().then(() => again.prefetch('none')))).toBe('EB-CLIP-MISSING')
  })

  it('does not hold up what is asked for', async () => {
    const { world, service, clips, follow } = await scene()
    const list = clips(30)
    world.server.bend = (_, answer) => {
      answer.partMs = 2_000
    }
    await settled(world, service.announced('red', announce(world, 'red', 1, list)))
    await world.time.pass(100)
    const began = world.time.nowMs()
    expect(await played(world, service, 'clip-29')).toEqual(bytesOf('clip-29', 10_000))
    expect(world.time.nowMs() - began).toBeLessThanOrEqual(4_000)
    await follow(2, null)
  })
})

describe('limits', () => {
  it('let a clip be heard that is larger than the cache, its quota or what pins leave', async () => {
    for (const limits of [limitsOf({ bytes: 5_000 }), limitsOf({ quotaDefault: 5_000 })]) {
      const { world, service, clips, follow } = await scene({ limits })
      await follow(1, clips(1))
      for (let time = 0; time < 2; time += 1) {
        expect(await played(world, service, 'clip-0')).toEqual(bytesOf('clip-0', 10_000))
        await world.time.pass(minute)
        expect(idsOf(service)).toEqual([])
        expect(await contentFiles(world)).toEqual([])
      }
    }
  })

  it('let a content be heard by a name for which there is no room', async () => {
    const { world, service, clips, follow } = await scene({
      limits: limitsOf({ quotas: new Map([['blue', 100]]) }),
    })
    await follow(1, clips(1))
    await follow(1, [atHub(world, 'other', bytesOf('clip-0', 10_000))], 'blue')
    const asked = world.server.requests.length
    expect(await played(world, service, 'other')).toEqual(bytesOf('clip-0', 10_000))
    expect(world.server.requests).toHaveLength(asked)
    expect(idsOf(service)).toEqual(['clip-0'])
  })
})
