/**
 * MQTT clients of tests: mqtt.js over TLS, and raw TLS sockets that may say anything.
 */
import { once } from 'node:events'
import { type TLSSocket, connect as tlsConnect } from 'node:tls'
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt'
import { encodeMessage, type Status } from '../../../core/wire/messages.ts'
import { deviceTopic } from '../../../core/wire/topics.ts'
import type { ClientFile } from '../../../hub/config.ts'

export interface Received {
  readonly topic: string
  readonly payload: string
  readonly retain: boolean
}

export interface TestDevice {
  readonly id: string
  readonly mqtt: MqttClient
  readonly received: Received[]
  status(status: Status): Promise<void>
  /** Resolves with the next message that fits, also one that has come already. */
  next(topic: string, fits?: (payload: string) => boolean): Promise<Received>
  end(): Promise<void>
}

export function options(client: ClientFile, id: string, token: string): IClientOptions {
  return {
    clientId: id,
    username: id,
    password: token,
    ca: client.ca,
    protocolVersion: 4,
    clean: true,
    keepalive: 30,
    reconnectPeriod: 0,
    connectTimeout: 5_000,
    resubscribe: false,
  }
}

/** A connected device that listens on its three topics. */
export async function connectDevice(
  client: ClientFile,
  id: string,
  token: string,
  over: IClientOptions = {},
): Promise<TestDevice> {
  const connection = await mqtt.connectAsync(client.mqtt, { ...options(client, id, token), ...over })
  const received: Received[] = []
  const waiting = new Set<() => void>()
  connection.on('error', () => undefined)
  connection.on('message', (topic, payload, packet) => {
    received.push({ topic, payload: payload.toString(), retain: packet.retain })
    for (const it of waiting) it()
  })
  await connection.subscribeAsync(
    (['desired', 'ack', 'cmd'] as const).map((it) => deviceTopic(id, it)),
    { qos: 1 },
  )
  return {
    id,
    mqtt: connection,
    received,
    status: async (status) => {
      await connection.publishAsync(deviceTopic(id, 'status'), Buffer.from(encodeMessage(status)), { qos: 1 })
    },
    next: (topic, fits = () => true) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`nothing came on ${topic}`)), 5_000)
        const look = (): void => {
          const found = received.find((it) => it.topic === topic && fits(it.payload))
          if (found === undefined) return
          clearTimeout(timer)
          waiting.delete(look)
          resolve(found)
        }
        waiting.add(look)
        look()
      }),
    end: () => connection.endAsync(true),
  }
}

/** A TLS connection to the broker that has said nothing yet. */
export async function rawConnection(client: ClientFile): Promise<TLSSocket> {
  const { hostname, port } = new URL(client.mqtt)
  const socket = tlsConnect({ host: hostname, port: Number(port), ca: client.ca })
  socket.on('error', () => undefined)
  await once(socket, 'secureConnect')
  return socket
}

/** @returns all bytes that came until the peer closed, and after how many ms it did; null when it did not. */
export async function untilClosed(
  socket: TLSSocket,
  withinMs: number,
): Promise<{ readonly bytes: Buffer; readonly afterMs: number } | null> {
  const started = performance.now()
  const parts: Buffer[] = []
  socket.on('data', (it: Buffer) => parts.push(it))
  if (!socket.destroyed) {
    const timer = new Promise<'late'>((resolve) => setTimeout(resolve, withinMs, 'late').unref())
    const close = new Promise<'closed'>((resolve) => socket.once('close', () => resolve('closed')))
    if ((await Promise.race([close, timer])) === 'late') {
      socket.destroy()
      return null
    }
  }
  return { bytes: Buffer.concat(parts), afterMs: performance.now() - started }
}

/** A CONNECT packet (MQTT 3.1.1, section 3.1). */
export function connectPacket(
  id: string,
  token: string,
  over: { keepAlive?: number; willTopic?: string } = {},
): Buffer {
  const { keepAlive = 30, willTopic } = over
  const flags = 0xc2 | (willTopic === undefined ? 0 : 0x2c)
  return packet(0x10, [
    text('MQTT'),
    Buffer.from([4, flags, keepAlive >> 8, keepAlive & 0xff]),
    text(id),
    ...(willTopic === undefined ? [] : [text(willTopic), text('will')]),
    text(id),
    text(token),
  ])
}

export function publishPacket(topic: string, payload: Uint8Array | string, first = 0x32): Buffer {
  const number = (first & 0x06) === 0 ? [] : [Buffer.from([0, 7])]
  return packet(first, [text(topic), ...number, Buffer.from(payload)])
}

export function subscribePacket(...filters: string[]): Buffer {
  return packet(0x82, [Buffer.from([0, 9]), ...filters.flatMap((it) => [text(it), Buffer.from([1])])])
}

export function packet(first: number, parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  const length: number[] = []
  for (let rest = body.length; ; ) {
    const byte = rest % 128
    rest = Math.floor(rest / 128)
    length.push(rest > 0 ? byte | 0x80 : byte)
    if (rest === 0) break
  }
  return Buffer.concat([Buffer.from([first, ...length]), body])
}

export function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes])
}
