/**
 * A network in one process: an MQTT broker of a few lines with retained messages and wills, and an HTTP
 * server of files. Either can be cut off for a device, and HTTP answers can be bent.
 */
import { createHash } from 'node:crypto'
import { EverbootError, fault } from '../../core/errors.ts'
import type { Fetch, FetchRequest, FetchResponse, Link, LinkListener, LinkMessage } from '../../core/ports.ts'

export interface Broker {
  /** What the hub says. */
  publish(message: LinkMessage): Promise<void>
  /** A connection for one device. */
  link(clientId: string): TestLink
  /** Gets all that devices say. */
  onDevice: (topic: string, payload: Uint8Array) => Promise<void>
  readonly retained: Map<string, Uint8Array>
  /** False: no device can connect. */
  up: boolean
  setUp(up: boolean): void
}

export interface TestLink extends Link {
  /** The device is gone without a word: its will is published. */
  vanish(): void
}

interface Connection {
  readonly listener: LinkListener
  readonly will: () => LinkMessage
  topics: Set<string>
  current: LinkMessage | null
}

const lost = () => new EverbootError(fault('EB-HUB-UNREACHABLE', 'the connection is down'))

export function broker(later: (run: () => void) => void): Broker {
  const retained = new Map<string, Uint8Array>()
  const connections = new Map<string, Connection>()
  const deliver = ({ topic, payload, retain }: LinkMessage): void => {
    if (retain) retained.set(topic, payload)
    for (const it of connections.values()) {
      if (it.current !== null && it.topics.has(topic)) later(() => it.listener.message(topic, payload))
    }
  }
  const it: Broker = {
    retained,
    up: true,
    onDevice: async () => {},
    async publish(message) {
      deliver(message)
    },
    setUp(up) {
      it.up = up
      for (const connection of connections.values()) {
        if (up && connection.current === null) connect(connection)
        else if (!up && connection.current !== null) drop(connection)
      }
    },
    link(clientId) {
      return {
        open(listener, will) {
          const connection = { listener, will, topics: new Set<string>(), current: null }
          connections.set(clientId, connection)
          if (it.up) connect(connection)
        },
        async publish(message) {
          if (connections.get(clientId)?.current == null) throw lost()
          deliver(message)
          await it.onDevice(message.topic, message.payload)
        },
        async subscribe(topics) {
          const connection = connections.get(clientId)
          if (connection?.current == null) throw lost()
          for (const topic of topics) {
            connection.topics.add(topic)
            const payload = retained.get(topic)
            if (payload !== undefined) later(() => connection.listener.message(topic, payload))
          }
        },
        async close() {
          connections.delete(clientId)
        },
        vanish() {
          const connection = connections.get(clientId)
          connections.delete(clientId)
          const will = connection?.current
          if (will != null) void it.onDevice(will.topic, will.payload)
        },
      }
    },
  }
  const connect = (connection: Connection): void => {
    connection.current = connection.will()
    connection.topics = new Set()
    later(() => connection.listener.up())
  }
  const drop = (connection: Connection): void => {
    const will = connection.current
    connection.current = null
    later(() => connection.listener.down(fault('EB-HUB-UNREACHABLE', 'cut')))
    if (will !== null) void it.onDevice(will.topic, will.payload)
  }
  return it
}

/** One answer of the file server; tests bend it. */
export interface Answer {
  status: number
  etag: string | null
  contentRange: FetchResponse['contentRange']
  retryAfterMs: number | null
  body: Uint8Array
  /** Bytes after which the connection breaks; null: it does not. */
  breakAfter: number | null
}

export interface FileServer extends Fetch {
  readonly files: Map<string, Uint8Array>
  readonly requests: FetchRequest[]
  /** Bytes sent in bodies. */
  sent: number
  /** Changes an answer before it is sent, or throws. */
  bend: (request: FetchRequest, answer: Answer) => void
}

const origin = 'https://hub'

export function fileServer(): FileServer {
  const server: FileServer = {
    files: new Map(),
    requests: [],
    sent: 0,
    bend: () => {},
    async get(request) {
      server.requests.push(request)
      const answer = answerTo(request, server.files)
      server.bend(request, answer)
      return responseOf(answer, (bytes) => {
        server.sent += bytes
      })
    },
  }
  return server
}

function answerTo(request: FetchRequest, files: ReadonlyMap<string, Uint8Array>): Answer {
  const file = files.get(request.url.slice(origin.length))
  const base = {
    etag: null,
    contentRange: null,
    retryAfterMs: null,
    body: new Uint8Array(0),
    breakAfter: null,
  }
  if (file === undefined) return { ...base, status: 404 }
  const etag = `"sha256-${createHash('sha256').update(file).digest('hex')}"`
  const { range } = request
  const whole = range === undefined || (range.ifRange !== undefined && range.ifRange !== etag)
  if (whole) return { ...base, status: 200, etag, body: file }
  const { start, endExclusive } = range
  if (endExclusive > file.length) return { ...base, status: 416, etag }
  const contentRange = { start, endExclusive, size: file.length }
  return { ...base, status: 206, etag, contentRange, body: file.subarray(start, endExclusive) }
}

function responseOf(answer: Answer, sent: (bytes: number) => void): FetchResponse {
  const { status, etag, contentRange, retryAfterMs, body, breakAfter } = answer
  let at = 0
  let cancelled = false
  return {
    status,
    etag,
    contentRange,
    contentLength: body.length,
    retryAfterMs,
    async read() {
      if (cancelled) throw lost()
      if (breakAfter !== null && at >= breakAfter) throw lost()
      if (at >= body.length) return null
      const end = Math.min(body.length, at + 3000, breakAfter ?? body.length)
      const part = body.slice(at, end)
      at = end
      sent(part.length)
      return part
    },
    cancel() {
      cancelled = true
    },
  }
}
