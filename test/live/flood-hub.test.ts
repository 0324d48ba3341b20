/**
 * A hub of its own process under floods of connections: memory flat, connections closed.
 */
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { type TLSSocket, connect as tlsConnect } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MiB } from '../../core/units.ts'
import { connectDevice } from '../hub/broker/clients.ts'
import { statusOf } from '../hub/fixtures.ts'
import { ask, newDevice } from '../hub/http-client.ts'
import { type HubHome, type HubProcess, hubHome, spawnHub } from '../hub/hub-process.ts'

let home: HubHome
let hub: HubProcess
let token: string

beforeAll(async () => {
  home = hubHome()
  hub = await spawnHub(home)
  token = await newDevice(hub.client, 'dev1')
})
afterAll(async () => {
  await hub.stop('SIGKILL')
  home.remove()
})

const rssBytes = (): number => {
  const status = readFileSync(`/proc/${hub.pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024
}

/** A connection that logs in as nobody: it claims the largest packet there is and sends a little of it. */
function claimant(): Promise<{ readonly closed: Promise<number> }> {
  return new Promise((resolve) => {
    const { port } = new URL(hub.client.mqtt)
    const socket: TLSSocket = tlsConnect({ host: '127.0.0.1', port: Number(port), ca: hub.client.ca })
    const started = performance.now()
    socket.on('error', () => undefined)
    const closed = new Promise<number>((done) =>
      socket.once('close', () => done(performance.now() - started)),
    )
    socket.once('secureConnect', () => {
      socket.write(Buffer.concat([Buffer.from([0x10, 0xff, 0xff, 0xff, 0x7f]), Buffer.alloc(1024)]))
      socket.resume()
      resolve({ closed })
    })
    socket.once('close', () => resolve({ closed }))
  })
}

describe('the hub under a flood', () => {
  it('keeps its memory flat against 1,000 connections that claim 256 MB each, and closes them', async () => {
    const device = await connectDevice(hub.client, 'dev1', token)
    const before = rssBytes()
    let most = before
    const watch = setInterval(() => {
      most = Math.max(most, rssBytes())
    }, 20)
    const all: { readonly closed: Promise<number> }[] = []
    for (let batch = 0; batch < 20; batch += 1) {
      all.push(...(await Promise.all(Array.from({ length: 50 }, claimant))))
    }
    const times = await Promise.all(all.map((it) => it.closed))
    clearInterval(watch)
    expect(Math.max(...times)).toBeLessThan(10_000)
    console.log(`RSS rose by ${((most - before) / MiB).toFixed(1)} MiB from ${(before / MiB).toFixed(0)} MiB`)
    expect(most - before).toBeLessThan(64 * MiB)
    await device.status(statusOf(1))
    await device.next('eb/1/d/dev1/ack')
    await device.end()
  }, 60_000)

  it('keeps its memory flat against 40 strangers that send 8 MiB each as one packet', async () => {
    const before = rssBytes()
    let most = before
    const watch = setInterval(() => {
      most = Math.max(most, rssBytes())
    }, 20)
    const { port } = new URL(hub.client.mqtt)
    const closed = Array.from(
      { length: 40 },
      () =>
        new Promise<void>((resolve) => {
          const socket = tlsConnect({ host: '127.0.0.1', port: Number(port), ca: hub.client.ca })
          socket.on('error', () => undefined)
          socket.once('close', () => resolve())
          socket.resume()
          socket.write(Buffer.concat([Buffer.from([0x10, 0xff, 0xff, 0xff, 0x7f]), Buffer.alloc(8 * MiB)]))
        }),
    )
    await Promise.all(closed)
    clearInterval(watch)
    expect(most - before).toBeLessThan(64 * MiB)
    expect((await ask(hub.client, '/v1/health')).status).toBe(200)
  }, 60_000)

  it('keeps its memory flat against 500 connections that begin TLS and stop, and closes them within 10 s', async () => {
    const before = rssBytes()
    const { port } = new URL(hub.client.mqtt)
    const started = performance.now()
    const closed = Array.from(
      { length: 500 },
      () =>
        new Promise<void>((resolve) => {
          const socket = connect(Number(port), '127.0.0.1', () =>
            socket.write(Buffer.from('16030100ff010000fb0303', 'hex')),
          )
          socket.on('error', () => undefined)
          socket.once('close', () => resolve())
          socket.resume()
        }),
    )
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    expect(rssBytes() - before).toBeLessThan(64 * MiB)
    expect((await ask(hub.client, '/v1/health')).status).toBe(200)
    await Promise.all(closed)
    expect(performance.now() - started).toBeLessThan(10_000)
  }, 30_000)
})
