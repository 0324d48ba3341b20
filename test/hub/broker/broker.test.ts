/**
 * The broker over real TLS sockets: tokens, access, wills, takeovers, retained wishes, and clients that say what
 * they should not.
 */
import mqtt from 'mqtt'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hubLimits } from '../../../core/limits.ts'
import { encodeMessage } from '../../../core/wire/messages.ts'
import { presenceOf, statusOf } from '../fixtures.ts'
import { ask, json, newDevice, sendJson, upload } from '../http-client.ts'
import { type HubHome, hubHome, type LocalHub, localHub } from '../hub-process.ts'
import { makeRelease } from '../releases.ts'
import {
  connectDevice,
  connectPacket,
  options,
  publishPacket,
  rawConnection,
  subscribePacket,
  untilClosed,
} from './clients.ts'

let home: HubHome
let hub: LocalHub
let token1: string
let token2: string

beforeAll(async () => {
  home = hubHome()
  hub = await localHub(home)
  token1 = await newDevice(hub.client, 'dev1')
  token2 = await newDevice(hub.client, 'dev2')
})
afterAll(async () => {
  await hub.close()
  home.remove()
})

const counters = async () => json(await ask(hub.client, '/v1/hub')).broker
const deviceIn = (id: string) => hub.core.state().devices.get(id)
const counted = async (name: string, work: () => Promise<unknown>): Promise<number> => {
  const before = (await counters())[name]
  await work()
  return (await counters())[name] - before
}

describe('a device', () => {
  it('has its status acknowledged by the hub itself', async () => {
    const device = await connectDevice(hub.client, 'dev1', token1)
    await device.status(statusOf(1))
    const ack = await device.next('eb/1/d/dev1/ack')
    expect(JSON.parse(ack.payload)).toEqual({ v: 1, bootId: 'boot-1', seq: 1 })
    expect(deviceIn('dev1')?.reported?.seq).toBe(1)
    await device.end()
  })

  it.each([
    ['a wrong token', () => options(hub.client, 'dev1', token2)],
    ['no token', () => ({ ...options(hub.client, 'dev1', ''), password: '' })],
    ['an unknown id', () => options(hub.client, 'dev9', token1)],
    ['the client id of another device', () => ({ ...options(hub.client, 'dev1', token1), clientId: 'dev2' })],
    ['a client id that is an inherited name', () => options(hub.client, '__proto__', token1)],
  ])('is refused with %s', async (_what, made) => {
    const refused = await counted('refusedConnections', async () => {
      await expect(mqtt.connectAsync(hub.client.mqtt, made())).rejects.toThrow(
        /Bad username or password|not authorized/i,
      )
    })
    expect(refused).toBe(1)
  })

  it('is refused when it does not know the CA of the hub', async () => {
    const { ca: _ca, ...strange } = options(hub.client, 'dev1', token1)
    await expect(mqtt.connectAsync(hub.client.mqtt, strange)).rejects.toThrow(/certificate/)
  })

  it('can speak TLS 1.2 and 1.3 and nothing older', async () => {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const device = await connectDevice(hub.client, 'dev1', token1, tlsVersions(version, version))
      await device.end()
    }
    const old = { ...options(hub.client, 'dev1', token1), ...tlsVersions('TLSv1', 'TLSv1.1') }
    await expect(mqtt.connectAsync(hub.client.mqtt, old)).rejects.toThrow()
  })

  it('that publishes as another is acknowledged, not heard, counted, and stays connected', async () => {
    const other = await connectDevice(hub.client, 'dev2', token2)
    const device = await connectDevice(hub.client, 'dev1', token1)
    const others = [
      'eb/1/d/dev2/status',
      'eb/1/d/dev2/presence',
      'eb/1/d/dev2/desired',
      'eb/1/d/dev1/desired',
    ]
    const topics = [...others, 'eb/1/d/dev2/ack', '$SYS/x', 'free']
    const payload = Buffer.from(encodeMessage(statusOf(99)))
    const refused = await counted('refusedPublishes', async () => {
      for (const topic of topics) {
        for (const retain of [false, true]) await device.mqtt.publishAsync(topic, payload, { qos: 1, retain })
      }
    })
    expect(refused).toBe(2 * topics.length)
    expect(deviceIn('dev1')?.reported?.seq).toBe(1)
    await device.status(statusOf(2))
    await device.next('eb/1/d/dev1/ack', (it) => JSON.parse(it).seq === 2)
    expect(deviceIn('dev2')?.reported).toBeNull()
    expect(other.received).toEqual([])
    await device.end()
    await other.end()
  })

  it('cannot subscribe to anything but its own three topics', async () => {
    const device = await mqtt.connectAsync(hub.client.mqtt, options(hub.client, 'dev1', token1))
    const topics = [
      '#',
      '+/+/+/+/+',
      'eb/1/d/dev2/desired',
      'eb/1/d/+/desired',
      'eb/1/d/dev1/status',
      '$SYS/#',
      'eb/1/d/dev1/#',
    ]
    const refused = await counted('refusedSubscribes', async () => {
      for (const topic of topics) {
        await expect(device.subscribeAsync(topic, { qos: 1 })).rejects.toThrow(/Unspecified error|128/)
      }
    })
    expect(refused).toBe(topics.length)
    await device.subscribeAsync('eb/1/d/dev1/desired', { qos: 1 })
    await device.endAsync(true)
  })

  it('cannot leave a will that speaks for another, or as a status', async () => {
    for (const topic of ['eb/1/d/dev2/presence', 'eb/1/d/dev1/status', 'a/'.repeat(200)]) {
      const will = {
        topic,
        payload: Buffer.from(encodeMessage(presenceOf('b', 1, false))),
        qos: 1,
        retain: true,
      } as const
      const refused = await counted('refusedWills', async () => {
        const device = await connectDevice(hub.client, 'dev1', token1, { will })
        device.mqtt.stream.destroy()
      })
      expect(refused).toBe(1)
    }
    expect(deviceIn('dev2')?.presence).toBeNull()
  })

  it('that asks for a session gets none, and everything again by subscribing', async () => {
    const one = await connectDevice(hub.client, 'dev1', token1, { clean: false })
    await one.end()
    const raw = await rawConnection(hub.client)
    const closed = untilClosed(raw, 5_000)
    const asking = connectPacket('dev1', token1)
    asking.writeUInt8(asking.readUInt8(9) & ~2, 9)
    raw.write(Buffer.concat([asking, Buffer.from([0xe0, 0])]))
    expect((await closed)?.bytes.subarray(0, 4)).toEqual(Buffer.from([0x20, 2, 0, 0]))
  })

  it('has a cap on its keep-alive', async () => {
    for (const keepAlive of [0, hubLimits.keepAliveSecondsMax + 1, 65_535]) {
      const raw = await rawConnection(hub.client)
      raw.write(connectPacket('dev1', token1, { keepAlive }))
      const closed = await untilClosed(raw, 5_000)
      expect(closed?.bytes[3]).not.toBe(0)
    }
  })

  it('is thrown out, and stays out, when its token is renewed', async () => {
    const old = await newDevice(hub.client, 'dev3')
    const device = await connectDevice(hub.client, 'dev3', old)
    const gone = new Promise((resolve) => device.mqtt.once('close', () => resolve(null)))
    const renewed = json(await sendJson(hub.client, '/v1/devices', { id: 'dev3', renew: true })).token
    await gone
    await expect(mqtt.connectAsync(hub.client.mqtt, options(hub.client, 'dev3', old))).rejects.toThrow()
    await (await connectDevice(hub.client, 'dev3', renewed)).end()
  })
})

describe('presence over the wire', () => {
  const will = (connection: number) =>
    ({
      topic: 'eb/1/d/dev2/presence',
      payload: Buffer.from(encodeMessage(presenceOf('b1', connection, false))),
      qos: 1,
      retain: true,
    }) as const
  const greet = (device: { mqtt: mqtt.MqttClient }, connection: number) =>
    device.mqtt.publishAsync(
      'eb/1/d/dev2/presence',
      Buffer.from(encodeMessage(presenceOf('b1', connection))),
      { qos: 1, retain: true },
    )

  it('stays online through a takeover, whose old will comes late, and ends with the last will', async () => {
    const first = await connectDevice(hub.client, 'dev2', token2, { will: will(1) })
    await greet(first, 1)
    expect(deviceIn('dev2')?.presence).toMatchObject({ online: true, connection: 1 })
    for (let connection = 2; connection <= 6; connection += 1) {
      const next = await connectDevice(hub.client, 'dev2', token2, { will: will(connection) })
      await greet(next, connection)
      await new Promise((resolve) => setTimeout(resolve, 50))
      expect(deviceIn('dev2')?.presence).toMatchObject({ online: true, connection })
      if (connection === 6) next.mqtt.stream.destroy()
    }
    await expect.poll(() => deviceIn('dev2')?.presence?.online).toBe(false)
  })

  it('does not keep the void will of a takeover as the retained message', async () => {
    const store = await import('../../../hub/store/adapters/sqlite.ts')
    const first = await connectDevice(hub.client, 'dev2', token2, { will: will(11) })
    await greet(first, 11)
    const second = await connectDevice(hub.client, 'dev2', token2, { will: will(12) })
    await greet(second, 12)
    // As the will of the first would be, if it came this late.
    await second.mqtt.publishAsync(will(11).topic, will(11).payload, { qos: 1, retain: true })
    await new Promise((resolve) => setTimeout(resolve, 100))
    await hub.close()
    const opened = store.openSqliteStore(home.data)
    const retained = (await opened.load()).retained.get('eb/1/d/dev2/presence')
    await opened.close()
    hub = await localHub(home)
    expect(JSON.parse(Buffer.from(retained ?? []).toString())).toMatchObject({ online: true, connection: 12 })
    expect(deviceIn('dev2')?.presence).toMatchObject({ online: null, connection: 12 })
    await second.end()
  })
})

describe('a wish', () => {
  it('is retained: it comes at each subscription, also after a restart of the hub', async () => {
    const release = await makeRelease(home.keys, '1.0', { devices: ['dev1'] })
    expect((await upload(hub.client, release.file)).status).toBe(201)
    const device = await connectDevice(hub.client, 'dev1', token1)
    const made = json(await sendJson(hub.client, '/v1/rollouts', { release: 'demo@1.0', devices: ['dev1'] }))
    const live = JSON.parse((await device.next('eb/1/d/dev1/desired')).payload)
    expect(live).toMatchObject({ v: 1, release: { id: release.manifest.id } })
    expect(Object.keys(live.release.keys)).toEqual(['rootfs'])
    await device.end()
    const again = await connectDevice(hub.client, 'dev1', token1)
    const retained = await again.next('eb/1/d/dev1/desired')
    expect(JSON.parse(retained.payload)).toEqual(live)
    expect(retained.retain).toBe(true)
    await again.end()
    await hub.close()
    hub = await localHub(home)
    const later = await connectDevice(hub.client, 'dev1', token1)
    expect(JSON.parse((await later.next('eb/1/d/dev1/desired')).payload)).toEqual(live)
    await later.status(statusOf(20, { report: { seq: live.seq, release: live.release.id, result: 'ok' } }))
    await later.next('eb/1/d/dev1/ack', (it) => JSON.parse(it).seq === 20)
    expect(json(await ask(hub.client, `/v1/rollouts/${made.id}`))).toMatchObject({
      state: 'ended',
      counts: { succeeded: 1 },
    })
    await later.end()
  })
})

describe('a connection that says what it should not', () => {
  const malformed: readonly (readonly [string, string])[] = [
    ['the packet of aedes issue 612', '101000044d5154540502003c0321001400006202d301e0020020'],
    ['an unknown packet type', 'f00000000000'],
    ['a PINGREQ first', 'c000'],
    ['a PUBLISH first', '300500017478'],
    ['an empty CONNECT', '1000'],
    ['another protocol', '100c00044d5158540402003c0000'],
    ['a CONNECT shorter than it says', '101000044d515454040200'],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n').toString('hex')],
    ['a length without end', '10ffffffffff'],
  ]
  it.each(malformed)(
    'is closed, and the hub lives: %s',
    async (_what, bytes) => {
      const socket = await rawConnection(hub.client)
      const closed = untilClosed(socket, hubLimits.connectMs + 3_000)
      socket.write(Buffer.from(bytes, 'hex'))
      expect((await closed)?.afterMs).toBeLessThan(10_000)
      expect((await ask(hub.client, '/v1/health')).status).toBe(200)
    },
    15_000,
  )

  const afterLogin: readonly (readonly [string, () => Buffer])[] = [
    ['a second CONNECT', () => connectPacket('dev1', token1)],
    ['a topic of 101 levels', () => publishPacket('a/'.repeat(100), 'x')],
    ['a topic of 65,000 levels', () => publishPacket('/'.repeat(65_000), 'x')],
    ['an empty topic', () => publishPacket('', 'x')],
    ['a wildcard in PUBLISH', () => publishPacket('eb/1/d/+/status', 'x')],
    ['a subscription of 1,000 levels', () => subscribePacket('a/'.repeat(1_000))],
    ['a subscription of 65,000 levels', () => subscribePacket('/'.repeat(65_000))],
    [
      'an unsubscription of 1,000 levels',
      () => Buffer.concat([Buffer.from([0xa2, 0xd4, 0x0f, 0, 9, 0x07, 0xd0]), Buffer.alloc(2_000, 'a/')]),
    ],
    ['QoS 3', () => publishPacket('eb/1/d/dev1/status', 'x', 0x36)],
    ['a packet of 300 KB', () => publishPacket('eb/1/d/dev1/status', Buffer.alloc(300_000))],
  ]
  it.each(afterLogin)(
    'is closed after login, and the hub lives: %s',
    async (_what, bytes) => {
      const socket = await rawConnection(hub.client)
      const closed = untilClosed(socket, 5_000)
      socket.write(connectPacket('dev1', token1))
      await new Promise((resolve) => socket.once('data', resolve))
      socket.write(bytes())
      expect(await closed).not.toBeNull()
      expect((await ask(hub.client, '/v1/health')).status).toBe(200)
      expect(deviceIn('dev1')?.reported?.seq).toBe(20)
    },
    15_000,
  )

  it('is answered and not heard, and the hub lives, when a topic is not UTF-8', async () => {
    const socket = await rawConnection(hub.client)
    const closed = untilClosed(socket, 5_000)
    socket.write(connectPacket('dev1', token1))
    await new Promise((resolve) => socket.once('data', resolve))
    const refused = await counted('refusedPublishes', async () => {
      socket.write(Buffer.from('32080003fffefd000778', 'hex'))
      socket.write(Buffer.from([0xe0, 0]))
      await closed
    })
    expect(refused).toBe(1)
  })

  it('may hold random bytes of any kind', async () => {
    const { randomBytes } = await import('node:crypto')
    for (let round = 0; round < 40; round += 1) {
      const socket = await rawConnection(hub.client)
      const closed = untilClosed(socket, 8_000)
      if (round % 2 === 0) {
        socket.write(connectPacket('dev1', token1))
        await new Promise((resolve) => socket.once('data', resolve))
      }
      socket.write(randomBytes(500))
      socket.end()
      expect(await closed).not.toBeNull()
    }
    expect((await ask(hub.client, '/v1/health')).status).toBe(200)
  }, 60_000)

  it('is closed when it says nothing within 10 s of connecting', async () => {
    const started = performance.now()
    const silent = await Promise.all(Array.from({ length: 20 }, () => rawConnection(hub.client)))
    const plain = (await import('node:net')).connect(Number(new URL(hub.client.mqtt).port), '127.0.0.1')
    plain.on('error', () => undefined)
    const plainClosed = new Promise((resolve) => plain.once('close', resolve))
    for (const it of await Promise.all(silent.map((socket) => untilClosed(socket, 10_000))))
      expect(it).not.toBeNull()
    await plainClosed
    expect(performance.now() - started).toBeLessThan(10_000)
  }, 20_000)
})

describe('a device that does not read', () => {
  it('holds up nobody else, and is cut', async () => {
    const before = (await counters()).open
    const deaf = await rawConnection(hub.client)
    deaf.write(Buffer.concat([connectPacket('dev2', token2), subscribePacket('eb/1/d/dev2/ack')]))
    await new Promise((resolve) => deaf.once('data', resolve))
    deaf.pause()
    let sent = 0
    const flood = setInterval(() => {
      while (!deaf.destroyed && deaf.writableLength < 200_000) {
        sent += 1
        deaf.write(
          publishPacket('eb/1/d/dev2/status', encodeMessage(statusOf(sent, { bootId: 'x'.repeat(64) }))),
        )
      }
    }, 5)
    const device = await connectDevice(hub.client, 'dev1', token1)
    const started = performance.now()
    let answered = 0
    // Every one of these is answered while the deaf one is being flooded, or `next` gives up.
    for (
      let seq = 30;
      performance.now() - started < 100_000 && (await counters()).open > before + 1;
      seq += 1
    ) {
      await device.status(statusOf(seq))
      await device.next('eb/1/d/dev1/ack', (it) => JSON.parse(it).seq === seq)
      answered += 1
    }
    clearInterval(flood)
    expect((await counters()).open).toBe(before + 1)
    expect(answered).toBeGreaterThan(0)
    deaf.destroy()
    await device.end()
  }, 120_000)
})

/** mqtt.js hands these on to TLS, though its types do not name them. */
function tlsVersions(minVersion: string, maxVersion: string): mqtt.IClientOptions {
  return { minVersion, maxVersion, ciphers: 'DEFAULT@SECLEVEL=0' } as mqtt.IClientOptions
}
