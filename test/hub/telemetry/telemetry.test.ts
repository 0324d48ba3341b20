/**
 * Telemetry over MQTT and HTTP: kept, paged, summed up, after a restart too; what is bad is dropped, and statuses
 * go on whatever happens to it.
 */
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hubClipLimits } from '../../../core/clip-limits.ts'
import { deviceTopic } from '../../../core/wire/topics.ts'
import { connectDevice, type TestDevice } from '../broker/clients.ts'
import { clipStats, statusOf } from '../fixtures.ts'
import { ask, json, newDevice } from '../http-client.ts'
import { type HubHome, hubHome, type LocalHub, localHub } from '../hub-process.ts'

let home: HubHome
let hub: LocalHub
let token: string
let device: TestDevice
beforeAll(async () => {
  home = hubHome()
  hub = await localHub(home)
  token = await newDevice(hub.client, 'dev1')
  device = await connectDevice(hub.client, 'dev1', token)
})
afterAll(async () => {
  await device.end()
  await hub.close()
  home.remove()
})

const send = (document: unknown, of: TestDevice = device) =>
  of.mqtt.publishAsync(deviceTopic(of.id, 'telemetry'), JSON.stringify(document), { qos: 1 })
const figures = (bootId: string, hits: number, misses = 0) => ({
  v: 1,
  bootId,
  clips: clipStats({
    hits,
    misses,
    bytesSaved: 10,
    skills: [{ id: 's', seq: 1, items: 1, bytes: 5, hits, misses }],
  }),
})
const history = async (query = '') => json(await ask(hub.client, `/v1/devices/dev1/telemetry${query}`))
const stats = async () => json(await ask(hub.client, '/v1/clips/stats'))

describe('telemetry', () => {
  it('is kept, newest first, in pages', async () => {
    for (let hits = 1; hits <= 5; hits += 1) {
      await send(figures('boot-1', hits))
      // Of what comes between two writes the newest is kept.
      await hub.core.writeTelemetry()
    }
    const all = await history()
    expect(all.telemetry.map((it: { clips: { hits: number } }) => it.clips.hits)).toEqual([5, 4, 3, 2, 1])
    expect(all.telemetry[0]).toMatchObject({ number: 5, bootId: 'boot-1', atMs: expect.any(Number) })
    const page = await history('?limit=2')
    expect(page.telemetry).toHaveLength(2)
    const rest = await history(`?before=${page.next}&limit=100`)
    expect([rest.telemetry.length, rest.next]).toEqual([3, null])
    for (const bad of ['?limit=0', '?limit=101', '?before=x', '?more=1']) {
      expect((await ask(hub.client, `/v1/devices/dev1/telemetry${bad}`)).status).toBe(400)
    }
    expect((await ask(hub.client, '/v1/devices/nobody/telemetry')).status).toBe(404)
    expect((await ask(hub.client, '/v1/devices/dev1/telemetry', { token })).status).toBe(401)
  })

  it('is summed up over the fleet, by skill too', async () => {
    const other = await connectDevice(hub.client, 'dev2', await newDevice(hub.client, 'dev2'))
    await send(figures('boot-1', 5, 5), other)
    await other.end()
    expect(await stats()).toMatchObject({
      devices: 2,
      hits: 10,
      misses: 5,
      hitRate: 10 / 15,
      bytesSaved: 20,
      skills: [{ id: 's', devices: 2, hits: 10, misses: 5, items: 2, bytes: 10 }],
    })
  })

  it('that is bad is acknowledged, dropped and logged, and the device stays connected', async () => {
    const before = (await history()).telemetry.length
    for (const bad of [
      'nothing',
      '{}',
      JSON.stringify({ v: 2, bootId: 'b' }),
      JSON.stringify(figures('..', 1)),
    ]) {
      await device.mqtt.publishAsync(deviceTopic('dev1', 'telemetry'), bad, { qos: 1 })
    }
    const long = { v: 1, bootId: 'b', clips: { ...clipStats(), hits: -1 } }
    await send(long)
    expect((await history()).telemetry).toHaveLength(before)
    expect(hub.events.filter((it) => it.event === 'message-refused')).toHaveLength(5)
    await device.status(statusOf(1))
    await device.next('eb/1/d/dev1/ack')
  })

  it('in a flood waits for nothing and holds up no status', async () => {
    for (let at = 0; at < 2_000; at += 1) void send(figures('boot-2', at)).catch(() => undefined)
    await device.status(statusOf(2))
    await device.next('eb/1/d/dev1/ack', (it) => JSON.parse(it).seq === 2)
    await expect.poll(async () => (await history('?limit=1')).telemetry[0].clips.hits).toBe(1_999)
    expect((await history('?limit=100')).telemetry.length).toBeLessThanOrEqual(100)
  })

  it('is known after a restart, with what came last before it', async () => {
    await send(figures('boot-3', 77, 23))
    await device.end()
    await hub.close()
    hub = await localHub(home)
    expect((await history('?limit=1')).telemetry[0]).toMatchObject({ bootId: 'boot-3', clips: { hits: 77 } })
    expect((await stats()).hits).toBe(77 + 5)
    device = await connectDevice(hub.client, 'dev1', token)
    await send(figures('boot-3', 78))
    const [first, second] = (await history('?limit=2')).telemetry
    expect([first.clips.hits, first.number - second.number]).toEqual([78, 1])
  })

  it('is written now and then without being asked for', async () => {
    await send(figures('boot-4', 99))
    await new Promise((resolve) => setTimeout(resolve, hubClipLimits.telemetryWriteMs + 500))
    const reader = new DatabaseSync(`${home.data}/hub.db`, { readOnly: true })
    const row = reader.prepare("SELECT body FROM telemetry_newest WHERE device = 'dev1'").get()
    reader.close()
    expect(JSON.parse(String(row?.['body']))).toMatchObject({ bootId: 'boot-4' })
  }, 20_000)
})
