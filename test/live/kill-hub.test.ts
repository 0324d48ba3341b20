/**
 * A hub that is killed again and again while it acknowledges: none lost, none twice.
 */
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import mqtt, { type MqttClient } from 'mqtt'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decodeAck, encodeMessage } from '../../core/wire/messages.ts'
import { openSqliteStore } from '../../hub/store/adapters/sqlite.ts'
import { options } from '../hub/broker/clients.ts'
import { statusOf } from '../hub/fixtures.ts'
import { newDevice } from '../hub/http-client.ts'
import { type HubHome, type HubProcess, hubHome, spawnHub } from '../hub/hub-process.ts'

const kills = 30
const devices = 16

let home: HubHome
beforeAll(() => {
  home = hubHome()
})
afterAll(() => home.remove())

/** Ports that stay the same over restarts. */
async function freePorts(): Promise<{ mqtt: number; http: number }> {
  const servers = [createServer(), createServer()]
  for (const it of servers) await new Promise<void>((resolve) => it.listen(0, '127.0.0.1', resolve))
  const [first, second] = servers.map((it) => (it.address() as AddressInfo).port)
  for (const it of servers) await new Promise((resolve) => it.close(resolve))
  return { mqtt: first ?? 0, http: second ?? 0 }
}

/** A device with an outbox: it sends again, after each reconnect, whatever was not acknowledged. */
interface Outbox {
  readonly id: string
  readonly client: MqttClient
  readonly acked: Set<number>
  readonly pending: Set<number>
  made: number
}

function outboxOf(hub: HubProcess, id: string, token: string): Outbox {
  const client = mqtt.connect(hub.client.mqtt, {
    ...options(hub.client, id, token),
    queueQoSZero: false,
  })
  const box: Outbox = { id, client, acked: new Set(), pending: new Set(), made: 0 }
  client.on('error', () => undefined)
  client.on('connect', () => {
    client.subscribe(`eb/1/d/${id}/ack`, { qos: 1 }, () => {
      for (const seq of [...box.pending]) send(box, seq)
    })
  })
  client.on('message', (_topic, payload) => {
    const ack = decodeAck(payload)
    if (!ack.ok) throw new Error(ack.error.what)
    box.acked.add(ack.value.seq)
    box.pending.delete(ack.value.seq)
  })
  return box
}

function send(box: Outbox, seq: number): void {
  if (!box.client.connected) return
  const status = encodeMessage(statusOf(seq, { state: seq % 2 === 0 ? 'IDLE' : 'DOWNLOADING' }))
  box.client.publish(`eb/1/d/${box.id}/status`, Buffer.from(status), { qos: 0 })
}

/** Keeps the outbox busy: up to 12 statuses wait for their acknowledgement. */
function work(box: Outbox): void {
  while (box.client.connected && box.pending.size < 12) {
    box.made += 1
    box.pending.add(box.made)
    send(box, box.made)
  }
}

describe('a hub that is killed', () => {
  it(`${kills} times while it acknowledges over 100 statuses a second loses none of them and keeps none twice`, async () => {
    const ports = await freePorts()
    let hub = await spawnHub(home, ports)
    const boxes: Outbox[] = []
    for (let number = 0; number < devices; number += 1) {
      const id = `dev${number}`
      boxes.push(outboxOf(hub, id, await newDevice(hub.client, id)))
    }
    const worker = setInterval(() => {
      for (const it of boxes) work(it)
    }, 5)
    const ackedNow = (): number => boxes.reduce((sum, it) => sum + it.acked.size, 0)
    const until = async (what: string, holds: () => boolean): Promise<void> => {
      for (const started = performance.now(); !holds(); ) {
        if (performance.now() - started > 15_000) throw new Error(`${what} did not come about`)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    }
    const rates: number[] = []
    for (let round = 0; round < kills; round += 1) {
      const start = ackedNow()
      await until('the first acknowledgement', () => ackedNow() > start)
      const first = ackedNow()
      const began = performance.now()
      // Not at a fixed place: the instant falls anywhere between commit and acknowledgement.
      await until('enough acknowledgements', () => ackedNow() >= first + 20 + round)
      rates.push((1_000 * (ackedNow() - first)) / (performance.now() - began))
      await hub.stop('SIGKILL')
      hub = await spawnHub(home, ports)
      for (const it of boxes) it.client.reconnect()
    }
    clearInterval(worker)
    await until('the end of the outboxes', () => boxes.every((it) => it.pending.size === 0))
    for (const it of boxes) await it.client.endAsync(true)
    await hub.stop('SIGKILL')

    console.log(
      `${ackedNow()} statuses acknowledged; slowest ${Math.min(...rates).toFixed(0)} a second while it ran`,
    )
    expect(Math.min(...rates)).toBeGreaterThan(100)
    const store = openSqliteStore(home.data)
    const { devices: known } = await store.load()
    for (const box of boxes) {
      const kept = (await store.statuses(box.id, 100_000)).map((it) => it.status.seq)
      expect(new Set(kept).size).toBe(kept.length)
      // History is cut at the far end only; here it is short enough to be whole.
      expect(kept).toEqual(Array.from({ length: box.made }, (_, index) => box.made - index))
      expect([...box.acked].sort((a, b) => b - a)).toEqual(kept)
      expect(known.find((it) => it.id === box.id)?.reported?.seq).toBe(box.made)
    }
    await store.close()
  }, 120_000)
})
