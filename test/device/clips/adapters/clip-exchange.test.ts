/**
 * Requests that go other than well: hubs that fail, clients that dawdle, vanish, lie or come in crowds.
 */
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { clipLimits, servingLimits } from '../../../../core/clip-limits.ts'
import { EverbootError, fault } from '../../../../core/errors.ts'
import type { LogEvent } from '../../../../core/ports.ts'
import { MiB } from '../../../../core/units.ts'
import { type ClipServer, serveClips } from '../../../../device/clips/adapters/clip-server.ts'
import type { ClipService, Playable } from '../../../../device/clips/clip-service.ts'
import { type Workshop, workshop } from '../../adapters/real.ts'
import { ask, errorOf, openCache, playableDouble, raw, serviceDouble, wav } from '../serving.ts'

let shop: Workshop
let server: ClipServer | null = null
let socket: string
let events: LogEvent[]
const undo: (() => Promise<void>)[] = []
beforeEach(() => {
  shop = workshop()
  socket = shop.path('clips.sock')
  events = []
})
afterEach(async () => {
  await server?.close()
  server = null
  for (const it of undo.splice(0)) await it()
  shop.close()
})

async function serve(
  service: ClipService,
  limits: Partial<typeof servingLimits> | object = {},
): Promise<void> {
  const usual = { ...servingLimits, lingerMs: 500, ...limits }
  server = await serveClips(service, { socket }, { emit: (event) => void events.push(event) }, usual)
}

const playing = (playable: Playable): ClipService => serviceDouble({ get: async () => playable })

async function until(what: () => boolean, withinMs = 5_000): Promise<void> {
  for (let waited = 0; !what(); waited += 10) {
    expect(waited).toBeLessThan(withinMs)
    await sleep(10)
  }
}

const unreachable = () => new EverbootError(fault('EB-HUB-UNREACHABLE', 'the connection is down'))

/** A connection that has asked for a clip and reads nothing. */
async function dawdler(): Promise<Socket> {
  const client = connect(socket)
  undo.push(async () => void client.destroy())
  client.on('error', () => {})
  client.pause()
  client.write('GET /clips/a HTTP/1.1\r\nHost: x\r\n\r\n')
  await once(client, 'connect')
  return client
}

/** Parts of 64 KiB, as many as are wanted; tells how many were taken and whether reading was ended. */
function endless() {
  const seen = { parts: 0, ended: false }
  const read = async function* (start: number, endExclusive: number) {
    try {
      for (let at = start; at < endExclusive; at += clipLimits.pieceBytes) {
        seen.parts += 1
        yield Buffer.alloc(Math.min(clipLimits.pieceBytes, endExclusive - at), 1)
      }
    } finally {
      seen.ended = true
    }
  }
  return { seen, read }
}

describe('with a hub', () => {
  async function withCache(partBytes?: number) {
    const cache = await openCache(shop.path('clips'), {}, partBytes)
    undo.push(() => cache.close())
    await serve(cache.service)
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
    const all = await Promise.all(Array.from({ length: 50 }, () => ask(socket, '/clips/wanted')))
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
      request({ socketPath: socket, path: '/clips/long' }, (incoming) => {
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
    const part = await ask(socket, '/clips/long', { headers: { range: 'bytes=300000-300009' } })
    expect(part.body.equals(bytes.subarray(300_000, 300_010))).toBe(true)
  })

  it('that cannot be reached is told as such, with a time to ask again', async () => {
    const cache = await withCache()
    const bytes = wav('wanted')
    cache.hub.bend = ({ url }) => {
      if (!url.endsWith('list') && cache.hub.requests.length > 1) throw unreachable()
    }
    await cache.publish('weather', { wanted: bytes })
    const got = await ask(socket, '/clips/wanted')
    expect([got.status, errorOf(got)]).toEqual([503, 'EB-HUB-UNREACHABLE'])
    expect(Number(got.headers['retry-after'])).toBeGreaterThan(0)
  })

  it('a clip that nobody lists is missing, and one that the hub has lost too', async () => {
    const cache = await withCache()
    expect((await ask(socket, '/clips/none')).status).toBe(404)
    const bytes = wav('lost')
    cache.hub.bend = (_, answer) => {
      if (answer.body.length === bytes.length) answer.status = 404
    }
    await cache.publish('weather', { lost: bytes })
    const got = await ask(socket, '/clips/lost')
    expect([got.status, errorOf(got)]).toEqual([404, 'EB-CLIP-MISSING'])
  })

  it('what a skill lists is fetched ahead when that is asked for', async () => {
    const cache = await withCache()
    await cache.publish('weather', { one: wav('one'), two: wav('two') })
    const ahead = await ask(socket, '/skills/weather/prefetch', { method: 'POST' })
    expect(ahead.status).toBe(202)
    await until(() => [...cache.service.list()].length === 2)
    const again = await ask(socket, '/skills/weather/prefetch', { method: 'POST' })
    expect(again.json).toEqual({ wanted: 0 })
    expect(errorOf(await ask(socket, '/skills/none/prefetch', { method: 'POST' }))).toBe('EB-CLIP-MISSING')
  })
})

describe('sound that is not what it says', () => {
  it('and fails before its first byte is an answer', async () => {
    const broken = { next: () => Promise.reject(unreachable()) }
    const playable = playableDouble(100_000, () => ({ [Symbol.asyncIterator]: () => broken }))
    await serve(playing(playable))
    const got = await ask(socket, '/clips/a')
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
      await serve(playing(playable))
      // After sound it is a connection that would be kept.
      const last = lengths.length === 0 ? 'Connection: close\r\n' : ''
      const text = await raw(socket, `GET /clips/a HTTP/1.1\r\nHost: x\r\n${last}\r\n`, 2_000)
      const [head = '', ...body] = text.split('\r\n\r\n')
      if (lengths.length === 0) expect(head).toMatch(/^HTTP\/1.1 500 /)
      else {
        expect(head).toMatch(/^HTTP\/1.1 200 OK\r\n(.*\r\n)*content-length: 100000\r\n/)
        expect(body.join('\r\n\r\n').length).toBe(60_000)
      }
      await until(() => playable.doneTimes() === 1)
      expect(events.map((it) => it.event)).toEqual([
        lengths.length === 0 ? 'clip request failed' : 'clip broken off',
      ])
    },
  )

  it('a bug of the service is an answer of its own, and ends nothing else', async () => {
    await serve(serviceDouble({}))
    const got = await ask(socket, '/clips/a')
    expect([got.status, errorOf(got)]).toEqual([500, 'EB-INTERNAL'])
    expect((await ask(socket, '/clips')).status).toBe(200)
    expect(events).toMatchObject([{ event: 'clip request failed', code: 'EB-INTERNAL' }])
  })
})

describe('a client', () => {
  it('that reads nothing holds little memory, and is let go after a while', async () => {
    const { seen, read } = endless()
    const playable = playableDouble(64 * MiB, read)
    await serve(playing(playable), { idleMs: 300 })
    const client = await dawdler()
    await until(() => seen.parts > 0)
    await sleep(150)
    // What the kernel takes for a socket, and little besides.
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
    await serve(playing(playable), { idleMs: 250 })
    const client = await dawdler()
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
    await serve(playing(playable))
    const client = await dawdler()
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
    await serve(playing(playable))
    const client = await dawdler()
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
    await serve(serviceDouble({ get }))
    const client = await dawdler()
    await until(() => asked)
    client.destroy()
    await sleep(50)
    found(playable)
    await until(() => playable.doneTimes() === 1)
  })

  it('may ask again on the same connection, also after an error', async () => {
    const playable = () => playableDouble(100_000, endless().read)
    await serve(serviceDouble({ get: async () => playable() }))
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const ports = new Set<unknown>()
    for (const path of ['/clips/a', '/clips/..', '/none', '/clips/a', '/clips/a']) {
      const bytes = await new Promise<number>((resolve) => {
        request({ socketPath: socket, path, agent }, (incoming) => {
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
    await serve(serviceDouble({}), { clientsMax: 3 })
    const held: Socket[] = []
    for (let n = 0; n < 3; n += 1) {
      const client = connect(socket)
      await once(client, 'connect')
      held.push(client)
    }
    await sleep(20)
    const got = await ask(socket, '/clips')
    expect([got.status, errorOf(got)]).toEqual([503, 'EB-LIMIT'])
    expect(got.headers.connection).toBe('close')
    for (const client of held) client.destroy()
    await sleep(50)
    expect((await ask(socket, '/clips')).status).toBe(200)
  })
})

describe('a body', () => {
  const twoGiB = 2 * 1024 * MiB
  const line = 'PUT /clips/a?skill=s HTTP/1.1\r\nHost: x\r\n'

  it('of 2 GiB is refused at once, before a byte of it', async () => {
    await serve(serviceDouble({}))
    const began = performance.now()
    const text = await raw(socket, `${line}Content-Length: ${twoGiB}\r\n\r\n`)
    expect(text).toMatch(/^HTTP\/1.1 413 /)
    expect(text).toMatch(/connection: close/i)
    expect(text).toContain('"code":"EB-CLIP-SIZE"')
    expect(performance.now() - began).toBeLessThan(5_000)
  })

  it('of 2 GiB for which the client waits to be asked is never asked for', async () => {
    await serve(serviceDouble({}))
    const text = await raw(socket, `${line}Expect: 100-continue\r\nContent-Length: ${twoGiB}\r\n\r\n`)
    expect(text).toMatch(/^HTTP\/1.1 413 /)
  })

  it('that the client sends without waiting is thrown away, and the answer arrives', async () => {
    await serve(serviceDouble({}))
    for (let round = 0; round < 5; round += 1) {
      const client = connect(socket)
      client.write(`${line}Content-Length: ${twoGiB}\r\n\r\n`)
      const sending = setInterval(() => client.write(Buffer.alloc(MiB)), 1)
      let text = ''
      client.on('data', (part) => {
        text += part.toString()
      })
      const how = await new Promise<string>((resolve) => {
        client.on('end', () => resolve('end'))
        client.on('error', (caught) => resolve(caught.message))
      })
      clearInterval(sending)
      client.destroy()
      expect(how).toBe('end')
      expect(text).toMatch(/^HTTP\/1.1 413 /)
    }
  })

  it('that does not say how long it is ends at the limit', async () => {
    let asked = 0
    await serve(
      serviceDouble({
        put: async (_, bytes) => {
          asked = bytes.length
          throw unreachable()
        },
      }),
    )
    const chunk = Buffer.alloc(MiB)
    const client = connect(socket)
    client.write(`${line}Transfer-Encoding: chunked\r\n\r\n`)
    let text = ''
    client.on('data', (part) => {
      text += part.toString()
    })
    let sent = 0
    client.on('error', () => {})
    while (text === '' && !client.destroyed) {
      client.write(`${MiB.toString(16)}\r\n`)
      client.write(chunk)
      client.write('\r\n')
      while (client.writableLength > MiB && text === '' && !client.destroyed) await sleep(1)
      sent += MiB
      expect(sent).toBeLessThan(100 * MiB)
    }
    expect(text).toMatch(/^HTTP\/1.1 413 /)
    expect(sent).toBeGreaterThanOrEqual(clipLimits.clipBytesMax)
    client.destroy()
    const small = `${line}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n`
    const closing = small.replace('Host: x', 'Host: x\r\nConnection: close')
    expect(await raw(socket, closing)).toMatch(/^HTTP\/1.1 503 /)
    expect(asked).toBe(5)
  })

  it('that does not come is not waited for', async () => {
    await serve(serviceDouble({}), { idleMs: 200 })
    const text = await raw(socket, `${line}Content-Length: 100\r\n\r\nhalf`)
    expect(text).toMatch(/^HTTP\/1.1 408 /)
    expect(text).toContain('EB-TIMEOUT')
  })

  it('that breaks off stores nothing', async () => {
    await serve(serviceDouble({}))
    const client = connect(socket)
    client.write(`${line}Content-Length: 100\r\n\r\nhalf`)
    await sleep(50)
    client.destroy()
    await sleep(50)
    expect((await ask(socket, '/clips')).status).toBe(200)
    expect(events).toEqual([])
  })

  it('for what takes none, or little, is refused', async () => {
    await serve(serviceDouble({ stats: serviceDouble({}).stats }))
    const got = await ask(socket, '/clips', {
      method: 'GET',
      headers: { 'content-length': '5' },
      body: 'hello',
    })
    expect([got.status, errorOf(got)]).toEqual([413, 'EB-ENDLESS'])
    const large = Buffer.alloc(servingLimits.requestBytesMax + 1, 32)
    const pin = await ask(socket, '/clips/a/pin', { method: 'POST', body: large })
    expect([pin.status, errorOf(pin)]).toEqual([413, 'EB-ENDLESS'])
    const name = await ask(socket, '/clips/..?skill=s', { method: 'PUT', body: large })
    expect([name.status, errorOf(name)]).toEqual([400, 'EB-CLIP-NAME'])
  })

  it('is in memory with a few others only; the rest wait for their turn', async () => {
    let inside = 0
    let most = 0
    const put: ClipService['put'] = async () => {
      inside += 1
      most = Math.max(most, inside)
      await sleep(20)
      inside -= 1
      throw unreachable()
    }
    await serve(serviceDouble({ put }))
    const all = await Promise.all(
      Array.from({ length: 12 }, (_, n) => ask(socket, `/clips/a${n}?skill=s`, { method: 'PUT', body: 'x' })),
    )
    expect(all.every((it) => it.status === 503)).toBe(true)
    expect(most).toBe(servingLimits.uploadsMax)
    expect(inside).toBe(0)
  })
})

describe('closing', () => {
  it('ends what is played, waits for changes, and takes nothing more', async () => {
    const { seen, read } = endless()
    const playable = playableDouble(64 * MiB, read)
    let changed = false
    const remove = async (): Promise<boolean> => {
      await sleep(100)
      changed = true
      return true
    }
    await serve(serviceDouble({ get: async () => playable, remove }))
    await dawdler()
    await until(() => seen.parts > 0)
    const removing = ask(socket, '/clips/a', { method: 'DELETE' }).catch(() => null)
    await sleep(30)
    await server?.close()
    expect(changed).toBe(true)
    await removing
    await until(() => seen.ended && playable.doneTimes() === 1)
    await expect(ask(socket, '/clips')).rejects.toThrow()
    server = null
  })

  it('does not wait for a clip that never comes', async () => {
    await serve(serviceDouble({ get: () => new Promise(() => {}) }))
    await dawdler()
    await sleep(30)
    await server?.close()
    server = null
  })
})
