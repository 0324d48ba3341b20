/**
 * Requests that go other than well: hubs that fail, clients that dawdle, vanish, lie or come in crowds.
 */
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { MiB } from '../../../../core/units.ts'
import type { Playable } from '../../../../device/clips/clip-service.ts'
import { ask, errorOf, openCache, playableDouble, raw, serviceDouble, wav } from '../serving.ts'
import { endless, exchangeRig, playing, unreachable, until } from './exchange-rig.ts'

const rig = exchangeRig()

describe('with a hub', () => {
  async function withCache(partBytes?: number) {
    const cache = await openCache(rig.shop.path('clips'), {}, partBytes)
    rig.undo.push(() => cache.close())
    await rig.serve(cache.service)
    return cache
  }
  const path = (cache: { hub: { requests: readonly { url: string }[] } }) =>
    cache.hub.requests.map((it) => it.url)

  it('fifty who ask for one clip that is not here make one request of it, and all hear all of it', async () => {
    const cache = await withCache()
    const bytes = wav('wanted', 300_000)
    cache.hub.up = true
    await cache.publish('weather', {})
    const before = path(cache).length
    cache.hub.bend = (_, answer) => {
      answer.partMs = 2
    }
    await cache.publish('weather', { wanted: bytes })
    const all = await Promise.all(Array.from({ length: 50 }, () => ask(rig.socket, '/clips/wanted')))
    for (const it of all) {
      expect(it.status).toBe(200)
      expect(it.body.equals(bytes)).toBe(true)
    }
    // The list, and the clip.
    expect(path(cache).length - before).toBe(2)
    expect(all.some((it) => it.headers['x-everboot-from'] === 'network')).toBe(true)
  })

  it('a clip is heard while it comes', async () => {
    const cache = await withCache(65_536)
    const bytes = wav('long', 400_000)
    cache.hub.bend = (_, answer) => {
      if (answer.body.length === bytes.length) answer.partMs = 50
    }
    await cache.publish('weather', { long: bytes })
    const times: number[] = []
    const got = await new Promise<Buffer>((resolve) => {
      request({ socketPath: rig.socket, path: '/clips/long' }, (incoming) => {
        const parts: Buffer[] = []
        incoming.on('data', (part: Buffer) => {
          times.push(performance.now())
          parts.push(part)
        })
        incoming.on('end', () => resolve(Buffer.concat(parts)))
      }).end()
    })
    expect(got.equals(bytes)).toBe(true)
    expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeGreaterThan(150)
    const part = await ask(rig.socket, '/clips/long', { headers: { range: 'bytes=300000-300009' } })
    expect(part.body.equals(bytes.subarray(300_000, 300_010))).toBe(true)
  })

  it('that cannot be reached is told as such, with a time to ask again', async () => {
    const cache = await withCache()
    const bytes = wav('wanted')
    cache.hub.bend = ({ url }) => {
      if (!url.endsWith('list') && cache.hub.requests.length > 1) throw unreachable()
    }
    await cache.publish('weather', { wanted: bytes })
    const got = await ask(rig.socket, '/clips/wanted')
    expect([got.status, errorOf(got)]).toEqual([503, 'EB-HUB-UNREACHABLE'])
    expect(Number(got.headers['retry-after'])).toBeGreaterThan(0)
  })

  it('a clip that nobody lists is missing, and one that the hub has lost too', async () => {
    const cache = await withCache()
    expect((await ask(rig.socket, '/clips/none')).status).toBe(404)
    const bytes = wav('lost')
    cache.hub.bend = (_, answer) => {
      if (answer.body.length === bytes.length) answer.status = 404
    }
    await cache.publish('weather', { lost: bytes })
    const got = await ask(rig.socket, '/clips/lost')
    expect([got.status, errorOf(got)]).toEqual([404, 'EB-CLIP-MISSING'])
  })

  it('what a skill lists is fetched ahead when that is asked for', async () => {
    const cache = await withCache()
    await cache.publish('weather', { one: wav('one'), two: wav('two') })
    const ahead = await ask(rig.socket, '/skills/weather/prefetch', { method: 'POST' })
    expect(ahead.status).toBe(202)
    await until(() => [...cache.service.list()].length === 2)
    const again = await ask(rig.socket, '/skills/weather/prefetch', { method: 'POST' })
    expect(again.json).toEqual({ wanted: 0 })
    expect(errorOf(await ask(rig.socket, '/skills/none/prefetch', { method: 'POST' }))).toBe(
      'EB-CLIP-MISSING',
    )
  })
})

describe('sound that is not what it says', () => {
  it('and fails before its first byte is an answer', async () => {
    const broken = { next: () => Promise.reject(unreachable()) }
    const playable = playableDouble(100_000, () => ({ [Symbol.asyncIterator]: () => broken }))
    await rig.serve(playing(playable))
    const got = await ask(rig.socket, '/clips/a')
    expect([got.status, errorOf(got)]).toEqual([503, 'EB-HUB-UNREACHABLE'])
    expect(got.headers['content-type']).toBe('application/json')
    await until(() => playable.doneTimes() === 1)
  })

  it.each([
    ['breaks off', [60_000], true],
    ['ends early', [60_000], false],
    ['is longer', [60_000, 60_000, 60_000], false],
    ['ends at once', [], false],
  ])(
    'and %s is never taken for whole: the connection ends before the body does',
    async (_, lengths, throws) => {
      const playable = playableDouble(100_000, async function* () {
        for (const length of lengths) {
          yield Buffer.alloc(length)
          await sleep(20)
        }
        if (throws) throw unreachable()
      })
      await rig.serve(playing(playable))
      // After sound it is a connection that would be kept.
      const last = lengths.length === 0 ? 'Connection: close\r\n' : ''
      const text = await raw(rig.socket, `GET /clips/a HTTP/1.1\r\nHost: x\r\n${last}\r\n`, 2_000)
      const [head = '', ...body] = text.split('\r\n\r\n')
      if (lengths.length === 0) expect(head).toMatch(/^HTTP\/1.1 500 /)
      else {
        expect(head).toMatch(/^HTTP\/1.1 200 OK\r\n(.*\r\n)*content-length: 100000\r\n/)
        expect(body.join('\r\n\r\n').length).toBe(60_000)
      }
      await until(() => playable.doneTimes() === 1)
      expect(rig.events.map((it) => it.event)).toEqual([
        lengths.length === 0 ? 'clip request failed' : 'clip broken off',
      ])
    },
  )

  it('a bug of the service is an answer of its own, and ends nothing else', async () => {
    await rig.serve(serviceDouble({}))
    const got = await ask(rig.socket, '/clips/a')
    expect([got.status, errorOf(got)]).toEqual([500, 'EB-INTERNAL'])
    expect((await ask(rig.socket, '/clips')).status).toBe(200)
    expect(rig.events).toMatchObject([{ event: 'clip request failed', code: 'EB-INTERNAL' }])
  })
})

describe('a client', () => {
  it('that reads nothing holds little memory, and is let go after a while', async () => {
    const { seen, read } = endless()
    const playable = playableDouble(64 * MiB, read)
    await rig.serve(playing(playable), { idleMs: 300 })
    const client = await rig.dawdler()
    await until(() => seen.parts > 0)
    await sleep(150)
    // What the kernel takes for a rig.socket, and little besides.
    expect(seen.parts).toBeLessThan(20)
    expect(seen.ended).toBe(false)
    await until(() => seen.ended && playable.doneTimes() === 1)
    expect(seen.parts).toBeLessThan(20)
    let text = ''
    client.on('data', (part) => {
      text += part.length
    })
    client.resume()
    await once(client, 'close')
    expect(text).not.toBe('')
  })

  it('that reads slowly but steadily gets all of it', async () => {
    const bytes = 2 * MiB
    const playable = playableDouble(bytes, async function* () {
      yield Buffer.alloc(bytes)
    })
    await rig.serve(playing(playable), { idleMs: 250 })
    const client = await rig.dawdler()
    let got = 0
    const began = performance.now()
    while (got < bytes) {
      const part = client.read(Math.min(100_000, client.readableLength)) as Buffer | null
      got += part?.length ?? 0
      expect(performance.now() - began).toBeLessThan(20_000)
      expect(client.destroyed).toBe(false)
      await sleep(20)
    }
    expect(performance.now() - began).toBeGreaterThan(300)
    await until(() => playable.doneTimes() === 1)
  })

  it('that goes away while it listens ends the reading', async () => {
    const { seen, read } = endless()
    const playable = playableDouble(64 * MiB, read)
    await rig.serve(playing(playable))
    const client = await rig.dawdler()
    await until(() => seen.parts > 0)
    client.destroy()
    await until(() => seen.ended && playable.doneTimes() === 1)
  })

  it('that goes away before the first byte ends the reading too', async () => {
    let comes = (): void => {}
    const first = new Promise<void>((resolve) => {
      comes = resolve
    })
    let ended = false
    const playable = playableDouble(10, async function* () {
      try {
        await first
        yield Buffer.alloc(10)
      } finally {
        ended = true
      }
    })
    await rig.serve(playing(playable))
    const client = await rig.dawdler()
    await sleep(50)
    client.destroy()
    await sleep(50)
    expect(playable.doneTimes()).toBe(0)
    comes()
    await until(() => ended && playable.doneTimes() === 1)
  })

  it('that goes away before the clip is found leaves nothing open', async () => {
    const playable = playableDouble(10, endless().read)
    let found = (_: Playable): void => {}
    let asked = false
    const waiting = new Promise<Playable>((resolve) => {
      found = resolve
    })
    const get = () => {
      asked = true
      return waiting
    }
    await rig.serve(serviceDouble({ get }))
    const client = await rig.dawdler()
    await until(() => asked)
    client.destroy()
    await sleep(50)
    found(playable)
    await until(() => playable.doneTimes() === 1)
  })

  it('may ask again on the same connection, also after an error', async () => {
    const playable = () => playableDouble(100_000, endless().read)
    await rig.serve(serviceDouble({ get: async () => playable() }))
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const ports = new Set<unknown>()
    for (const path of ['/clips/a', '/clips/..', '/none', '/clips/a', '/clips/a']) {
      const bytes = await new Promise<number>((resolve) => {
        request({ socketPath: rig.socket, path, agent }, (incoming) => {
          let length = 0
          ports.add(incoming.socket)
          incoming.on('data', (part: Buffer) => {
            length += part.length
          })
          incoming.on('end', () => resolve(length))
        }).end()
      })
      expect(bytes).toBeGreaterThan(0)
    }
    expect(ports.size).toBe(1)
    agent.destroy()
  })

  it('is one too many: it is told so; when others leave it is served', async () => {
    await rig.serve(serviceDouble({}), { clientsMax: 3 })
    const held: Socket[] = []
    for (let n = 0; n < 3; n += 1) {
      const client = connect(rig.socket)
      await once(client, 'connect')
      held.push(client)
    }
    await sleep(20)
    const got = await ask(rig.socket, '/clips')
    expect([got.status, errorOf(got)]).toEqual([503, 'EB-LIMIT'])
    expect(got.headers.connection).toBe('close')
    for (const client of held) client.destroy()
    await sleep(50)
    expect((await ask(rig.socket, '/clips')).status).toBe(200)
  })
})
