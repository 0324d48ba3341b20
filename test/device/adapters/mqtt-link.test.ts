/**
 * The MQTT connection over a real broker.
 */

import type { AddressInfo } from 'node:net'
import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { Aedes, type AedesPublishPacket } from 'aedes'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Fault } from '../../../core/errors.ts'
import type { Link, LinkMessage, Random } from '../../../core/ports.ts'
import { mqttLink } from '../../../device/adapters/mqtt-link.ts'
import { codeOf, testTls } from './real.ts'

/** Reconnects at once. */
const impatient: Random = { uint32: () => 0, below: () => 0 }
const bytes = (text: string): Uint8Array => Buffer.from(text)

let aedes: Aedes
let server: Server
let port = 0
const sockets = new Set<Socket>()
const links: Link[] = []
beforeEach(async () => {
  sockets.clear()
  aedes = await Aedes.createBroker()
  server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    aedes.handle(socket)
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  port = (server.address() as AddressInfo).port
})
afterEach(async () => {
  for (const link of links.splice(0)) await link.close()
  for (const socket of sockets) socket.destroy()
  server.close()
  await new Promise<void>((resolve) => aedes.close(resolve))
})

interface Heard {
  readonly link: Link
  readonly events: string[]
  readonly faults: Fault[]
  until(count: number, event: string): Promise<void>
}

function opened(change: { url?: string; token?: string; ca?: string } = {}): Heard {
  const link = mqttLink(
    { url: `mqtt://127.0.0.1:${port}`, deviceId: 'board-1', token: 'secret', ca: '', ...change },
    impatient,
  )
  links.push(link)
  const events: string[] = []
  const faults: Fault[] = []
  let connection = 0
  link.open(
    {
      up: () => void events.push('up'),
      down: (reason) => {
        events.push('down')
        faults.push(reason)
      },
      message: (topic, payload) => void events.push(`${topic} ${Buffer.from(payload).toString()}`),
    },
    () => {
      connection += 1
      return { topic: 'presence', payload: bytes(`gone ${connection}`), qos: 1, retain: true }
    },
  )
  return {
    link,
    events,
    faults,
    async until(count, event) {
      const end = Date.now() + 10_000
      while (events.filter((it) => it === event).length < count) {
        if (Date.now() > end) throw new Error(`${event} did not come ${count} times: ${events.join(', ')}`)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    },
  }
}

const message = (text: string): LinkMessage => ({
  topic: 'status',
  payload: bytes(text),
  qos: 1,
  retain: false,
})

/** All that the broker is told, but not by itself. */
function told(): { topic: string; text: string; retain: boolean }[] {
  const all: { topic: string; text: string; retain: boolean }[] = []
  aedes.on('publish', ({ topic, payload, retain }: AedesPublishPacket) => {
    if (!topic.startsWith('$SYS')) all.push({ topic, text: payload.toString(), retain })
  })
  return all
}

describe('a connection', () => {
  it('carries messages both ways', async () => {
    const all = told()
    const { link, until, events } = opened()
    await until(1, 'up')
    await link.subscribe(['desired', 'ack'])
    await link.publish(message('hello'))
    expect(all).toEqual([{ topic: 'status', text: 'hello', retain: false }])
    aedes.publish(
      { cmd: 'publish', topic: 'desired', payload: 'wish', qos: 1, dup: false, retain: false },
      () => {},
    )
    await until(1, 'desired wish')
    expect(events).toEqual(['up', 'desired wish'])
  })

  it('that is refused is tried again: one bad answer does not lose the device', async () => {
    let refusals = 0
    aedes.authenticate = (_, __, ___, done) => {
      refusals += 1
      const refused = Object.assign(new Error('refused'), { returnCode: refusals < 4 ? 5 : 3 })
      if (refusals < 6) done(refused as never, false)
      else done(null, true)
    }
    const { until, faults } = opened()
    await until(1, 'up')
    expect(refusals).toBe(6)
    expect(faults.map((it) => it.code)).toEqual([
      'EB-AUTH',
      'EB-AUTH',
      'EB-AUTH',
      'EB-HUB-UNREACHABLE',
      'EB-HUB-UNREACHABLE',
    ])
    expect(faults.every((it) => !it.what.includes('secret'))).toBe(true)
  })

  it('that breaks is made again, with a will of its own each time', async () => {
    const all = told()
    const { until } = opened()
    for (let times = 1; times <= 3; times += 1) {
      await until(times, 'up')
      for (const socket of sockets) socket.destroy()
      await until(times, 'down')
    }
    await until(4, 'up')
    expect(all.filter((it) => it.topic === 'presence').map((it) => it.text)).toEqual([
      'gone 1',
      'gone 2',
      'gone 3',
    ])
  })

  it('identifies itself by device id and token, cleanly', async () => {
    let seen: unknown[] = []
    aedes.authenticate = (client, username, password, done) => {
      seen = [client.id, username, password?.toString()]
      done(null, true)
    }
    const { until } = opened()
    await until(1, 'up')
    expect(seen).toEqual(['board-1', 'board-1', 'secret'])
  })

  it('to a broker that is not there comes up when it is', async () => {
    server.close()
    const { until, faults } = opened()
    await until(3, 'down')
    expect(faults[0]?.code).toBe('EB-HUB-UNREACHABLE')
    server = createServer((socket) => {
      sockets.add(socket)
      aedes.handle(socket)
    })
    await new Promise<void>((resolve) => void server.listen(port, '127.0.0.1', resolve))
    await until(1, 'up')
  })

  it('to a server that speaks something else goes on trying, and nothing breaks', async () => {
    const chatter = createServer((socket) => {
      socket.on('error', () => {})
      socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')
    })
    await new Promise<void>((resolve) => void chatter.listen(0, '127.0.0.1', resolve))
    const { until, events } = opened({ url: `mqtt://127.0.0.1:${(chatter.address() as AddressInfo).port}` })
    await until(3, 'down')
    expect(events).not.toContain('up')
    chatter.close()
  })
})

describe('a message', () => {
  it('on a connection that is down is rejected at once', async () => {
    const { link, until } = opened()
    expect(await codeOf(() => link.publish(message('early')))).toBe('EB-HUB-UNREACHABLE')
    expect(await codeOf(() => link.subscribe(['desired']))).toBe('EB-HUB-UNREACHABLE')
    await until(1, 'up')
    await link.publish(message('now'))
  })

  it('that is under way when the connection breaks is rejected, and not sent again behind our back', async () => {
    const all = told()
    let hold = true
    aedes.authorizePublish = (_, __, done) => {
      if (!hold) done(null)
    }
    const { link, until } = opened()
    await until(1, 'up')
    const outcome = codeOf(() => link.publish(message('lost')))
    await new Promise((resolve) => setTimeout(resolve, 50))
    hold = false
    for (const socket of sockets) socket.destroy()
    expect(await outcome).toBe('EB-HUB-UNREACHABLE')
    await until(2, 'up')
    await link.publish(message('after'))
    expect(all.filter((it) => it.topic === 'status').map((it) => it.text)).toEqual(['after'])
  })

  it('after a thousand others leaves no listeners behind', async () => {
    const warnings: string[] = []
    const warn = (warning: Error): void => void warnings.push(warning.message)
    process.on('warning', warn)
    const { link, until } = opened()
    await until(1, 'up')
    for (let count = 0; count < 1000; count += 1) await link.publish(message(`${count}`))
    await Promise.all(Array.from({ length: 50 }, (_, index) => link.publish(message(`together ${index}`))))
    await new Promise((resolve) => setImmediate(resolve))
    process.off('warning', warn)
    expect(warnings).toEqual([])
  })
})

describe('a subscription', () => {
  it('that the broker refuses is rejected, and the connection stays', async () => {
    aedes.authorizeSubscribe = (_, subscription, done) =>
      done(null, subscription.topic === 'desired' ? null : subscription)
    const { link, until, events } = opened()
    await until(1, 'up')
    expect(await codeOf(() => link.subscribe(['desired']))).toBe('EB-HUB-UNREACHABLE')
    await link.subscribe(['ack'])
    expect(events).toEqual(['up'])
  })
})

describe('closing', () => {
  it('ends the connection without a will and without another', async () => {
    const all = told()
    const { link, until, events } = opened()
    await until(1, 'up')
    await link.close()
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(events).toEqual(['up'])
    expect(all).toEqual([])
    expect(sockets.size).toBe(0)
  })

  it('does not wait for a broker that does not answer any more', async () => {
    aedes.authorizePublish = () => {}
    const { link, until } = opened()
    await until(1, 'up')
    void link.publish(message('never acknowledged')).catch(() => {})
    await new Promise((resolve) => setTimeout(resolve, 20))
    const from = Date.now()
    await link.close()
    expect(Date.now() - from).toBeLessThan(4000)
  })

  it('while it waits for the next try, ends the trying', async () => {
    server.close()
    const { link, until, events } = opened()
    await until(1, 'down')
    await link.close()
    const tries = events.length
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(events.length).toBe(tries)
  })
})

describe('over TLS', () => {
  it('the certificate must come from the pinned CA', async () => {
    const tls = testTls()
    const secure = createTlsServer({ cert: tls.server.cert, key: tls.server.key }, (socket) => {
      socket.on('error', () => {})
      aedes.handle(socket)
    })
    secure.on('tlsClientError', () => {})
    await new Promise<void>((resolve) => void secure.listen(0, '127.0.0.1', resolve))
    const url = `mqtts://localhost:${(secure.address() as AddressInfo).port}`
    const right = opened({ url, ca: tls.ca })
    await right.until(1, 'up')
    const wrong = opened({ url, ca: testTls().ca })
    await wrong.until(2, 'down')
    expect(wrong.events).not.toContain('up')
    expect(wrong.faults[0]?.code).toBe('EB-TLS')
    const broken = opened({ url, ca: '-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n' })
    await broken.until(2, 'down')
    expect(broken.faults[0]?.code).toBe('EB-TLS')
    secure.close()
  })
})
