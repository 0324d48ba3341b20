/** Lifetimes, renewal, memory under pressure, and the end of the service. */
import { describe, expect, it } from 'vitest'
import { indexLimits, servingLimits } from '../../../core/clip-limits.ts'
import { raise } from '../../../core/errors.ts'
import type { ClipFiles } from '../../../core/ports.ts'
import { openClipService } from '../../../device/clips/clip-service.ts'
import {
  announce,
  atHub,
  bytesOf,
  clipWorld,
  codeOf,
  contentFiles,
  earliestWallMs,
  hour,
  limitsOf,
  minute,
  openService,
  played,
  settingsOf,
  settled,
  wavOf,
} from './fixtures.ts'

const own = { id: 'mine', skill: 'notes', language: null, private: false, pinned: false, claims: {} } as const
const sound = bytesOf('a', 5_000)

async function scene(change: Parameters<typeof openService>[1] = {}, more: Parameters<typeof atHub>[3] = {}) {
  const world = clipWorld()
  const service = await openService(world, { limits: limitsOf({ ttlMs: hour }), ...change })
  const clip = atHub(world, 'a', sound, more)
  await settled(world, service.announced('red', announce(world, 'red', 1, [clip])))
  await world.time.pass(1_000)
  const asked = () => world.server.requests.filter(({ url }) => url.endsWith(clip.sha256)).length
  return { world, service, clip, asked }
}

const fromOf = async (service: Awaited<ReturnType<typeof openService>>): Promise<string> => {
  const playable = await service.get('a')
  playable.done()
  return playable.from
}

describe('a lifetime', () => {
  it('ends a clip to the moment: it is a miss, and comes again', async () => {
    const { world, service, asked } = await scene()
    const left = service.peek('a')?.expiresInMs ?? 0
    await world.time.pass(left - 1)
    expect(await fromOf(service)).not.toBe('network')
    await world.time.pass(1)
    expect(await settled(world, fromOf(service))).toBe('network')
    await world.time.pass(1_000)
    expect(asked()).toBe(2)
    expect(service.peek('a')?.expiresInMs).toBeGreaterThan(hour - minute)
    expect(service.stats()).toMatchObject({ hits: 1, misses: 1, expirations: 1 })
  })

  it('ends a clip that nobody asks for within minutes, with its file', async () => {
    const { world, service } = await scene()
    await world.time.pass(hour + indexLimits.touchMs)
    expect([...service.list()]).toEqual([])
    expect(await contentFiles(world)).toEqual([])
  })

  it('is what the list says of each clip, and pins have none', async () => {
    for (const [more, ms] of [
      [{ ttlSeconds: 60 }, minute],
      [{ ttlSeconds: 0 }, null],
      [{ ttlSeconds: 86_400 }, 24 * hour],
    ] as const) {
      const { service } = await scene({}, more)
      const left = service.peek('a')?.expiresInMs ?? null
      expect(left === null ? null : Math.ceil(left / minute) * minute).toBe(ms)
    }
    const { world, service } = await scene({}, { ttlSeconds: 60, pinned: true })
    await world.time.pass(hour)
    expect(await fromOf(service)).toBe('disk')
  })

  it('is neither ended nor made endless by a clock that shows 1970 or jumps', async () => {
    const world = clipWorld()
    let wallMs: () => number = () => world.time.clock.wallMs()
    const ports = { ...world.ports, clock: { ...world.time.clock, wallMs: () => wallMs() } }
    const open = () => openClipService(ports, settingsOf({ limits: limitsOf({ ttlMs: hour }) }))
    const service = await open()
    await service.put({ ...own, ttlMs: null }, wavOf('mine'))
    for (const shows of [0, earliestWallMs - 1, Date.parse('2099-01-01T00:00:00Z'), earliestWallMs]) {
      wallMs = () => shows
      await world.time.pass(5 * minute)
      expect(service.peek('mine')).not.toBeNull()
      await service.pin('mine', true)
      await service.pin('mine', false)
    }
    // Started in 1970: what it has run counts, and nothing else.
    wallMs = () => 0
    const again = await open()
    expect(again.peek('mine')?.expiresInMs).toBe(40 * minute)
    await world.time.pass(40 * minute)
    expect(await codeOf(again.get('mine'))).toBe('EB-CLIP-MISSING')
  })
})

describe('an expired clip', () => {
  it('is not served when nothing says that it may be', async () => {
    const { world, service } = await scene({ staleMs: 0 })
    await world.time.pass(hour)
    world.server.up = false
    const playing = played(world, service, 'a')
    expect(await codeOf(playing)).toBe('EB-HUB-UNREACHABLE')
  })

  it('is served while the hub is asked whether it still has it, once for all, and lives on', async () => {
    const { world, service, asked } = await scene({ staleMs: 10 * minute }, { ttlSeconds: 1_800 })
    await world.time.pass(30 * minute)
    expect(service.peek('a')?.expiresInMs).toBeLessThanOrEqual(0)
    const gets = await Promise.all(Array.from({ length: 10 }, () => fromOf(service)))
    expect(gets).not.toContain('network')
    await world.time.pass(100)
    expect(asked()).toBe(2)
    // As its list says, not as the cache is configured; and after a start, too.
    expect(service.peek('a')?.expiresInMs).toBe(30 * minute - 100)
    expect(service.stats()).toMatchObject({ hits: 10, misses: 0, fetchedBytes: 5_000 })
    await settled(world, service.close())
    const again = await openService(world, { limits: limitsOf({ ttlMs: hour }) })
    expect(again.peek('a')?.expiresInMs).toBe(30 * minute - 100)
  })

  it('leaves when the hub does not have it any more, and stays as it is when the hub is away', async () => {
    const { world, service, clip, asked } = await scene({ staleMs: 10 * minute })
    await world.time.pass(hour)
    world.server.up = false
    for (let time = 0; time < 20; time += 1) {
      expect(await fromOf(service)).not.toBe('network')
      await world.time.pass(100)
    }
    expect(asked()).toBeLessThanOrEqual(1 + servingLimits.breakerFailures)
    world.server.up = true
    service.linkUp()
    world.server.files.delete(`/clips/${clip.sha256}`)
    expect(await fromOf(service)).not.toBe('network')
    await world.time.pass(100)
    expect(service.peek('a')).toBeNull()
  })

  it('is not served any longer than that, and not at all when no list names it', async () => {
    const { world, service } = await scene({ staleMs: 10 * minute })
    await service.put({ ...own, ttlMs: hour }, wavOf('mine'))
    const asked = world.server.requests.length
    await world.time.pass(hour)
    expect(await codeOf(service.get('mine'))).toBe('EB-CLIP-MISSING')
    expect(world.server.requests).toHaveLength(asked)
    await world.time.pass(10 * minute + 1_000)
    expect(await settled(world, fromOf(service))).toBe('network')
  })
})

describe('the memory tier', () => {
  it('shrinks while memory is short, and clips come from the disk meanwhile', async () => {
    const world = clipWorld()
    let short = false
    const service = await openClipService(
      { ...world.ports, memoryShort: async () => short },
      settingsOf({ memoryBytes: 40_000 }),
    )
    for (const id of ['a', 'b', 'c', 'd']) await service.put({ ...own, id, ttlMs: 0 }, wavOf(id, 9_000))
    const all = async () => {
      const from: string[] = []
      for (const id of ['a', 'b', 'c', 'd']) {
        const playable = await service.get(id)
        from.push(playable.from)
        playable.done()
      }
      return new Set(from)
    }
    await all()
    expect(await all()).toEqual(new Set(['memory']))
    const { memoryBytes } = service.stats()
    short = true
    await world.time.pass(servingLimits.pressureMs)
    expect(service.stats().memoryBytes).toBeLessThanOrEqual(memoryBytes / 2)
    await world.time.pass(10 * servingLimits.pressureMs)
    expect(service.stats().memoryBytes).toBe(0)
    expect(await all()).toEqual(new Set(['disk']))
    short = false
    await world.time.pass(10 * servingLimits.pressureMs)
    await all()
    expect(await all()).toEqual(new Set(['memory']))
    await settled(world, service.close())
  })

  it('is left as it is when nobody can say whether memory is short', async () => {
    const world = clipWorld()
    const memoryShort = async () => raise('EB-FILE', 'no such file')
    const service = await openClipService({ ...world.ports, memoryShort }, settingsOf())
    await service.put({ ...own, ttlMs: 0 }, wavOf('mine'))
    await played(world, service, 'mine')
    await world.time.pass(minute)
    expect(service.stats().memoryBytes).toBeGreaterThan(0)
    expect(world.events.some(({ code }) => code === 'EB-FILE')).toBe(true)
  })
})

describe('a service that is closed', () => {
  it('ends what is under way, remembers what was used, and does nothing any more', async () => {
    const { world, service } = await scene()
    const more = ['b', 'c', 'd', 'e', 'f'].map((id) => atHub(world, id, bytesOf(id, 200_000)))
    world.server.bend = ({ url }, answer) => {
      if (more.some(({ sha256 }) => url.endsWith(sha256))) answer.stallAfter = 100_000
    }
    await settled(world, service.announced('red', announce(world, 'red', 2, more)))
    await world.time.pass(10)
    const playing = codeOf(played(world, service, 'b'))
    const list = announce(world, 'blue', 1, [atHub(world, 'x', sound)])
    world.server.bend = (_, answer) => {
      answer.stallAfter = 10
    }
    const announced = service.announced('blue', list)
    await world.time.pass(10)
    const closed = service.close()
    await settled(world, Promise.all([closed, announced]))
    expect(await playing).toBe('EB-CANCELLED')
    const image = world.files.image()
    const requests = world.server.requests.length
    await settled(world, service.announced('green', list))
    service.linkUp()
    expect(await codeOf(settled(world, service.get('b')))).toBe('EB-CANCELLED')
    await world.time.pass(24 * hour)
    expect(world.files.image()).toBe(image)
    expect([world.server.requests.length, world.time.timers()]).toEqual([requests, 0])
    world.server.bend = () => {}
    const again = await openService(world, { limits: limitsOf({ ttlMs: 0 }) })
    await world.time.pass(minute)
    expect((await contentFiles(world)).length).toBe(
      new Set(Array.from(again.list(), ({ content }) => content.key)).size,
    )
  })

  it('is closed when what it began to write is written, and not before', async () => {
    const world = clipWorld()
    let letGo = (): void => {}
    const files: ClipFiles = {
      ...world.files,
      async write(name, bytes) {
        if (name.startsWith('s')) await new Promise<void>((resolve) => (letGo = resolve))
        await world.files.write(name, bytes)
      },
    }
    const service = await openClipService({ ...world.ports, files }, settingsOf())
    const list = announce(world, 'red', 1, [atHub(world, 'a', sound)])
    const announced = service.announced('red', list)
    await world.time.pass(1_000)
    let closed = false
    const closing = service.close().then(() => {
      closed = true
    })
    await world.time.pass(1_000)
    expect(closed).toBe(false)
    letGo()
    await settled(world, closing)
    const image = world.files.image()
    await settled(world, announced)
    await world.time.pass(minute)
    expect(world.files.image()).toBe(image)
  })

  it('closes also when the medium takes nothing any more', async () => {
    const { world, service } = await scene()
    await played(world, service, 'a')
    world.files.fault = (operation) => {
      if (operation !== 'read') raise('EB-DATA-FULL', 'planted')
    }
    await settled(world, service.close())
    expect(world.time.timers()).toBe(0)
  })
})
