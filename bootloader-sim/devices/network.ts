/**
 * A network in one process: an MQTT broker of a few lines with retained messages and wills, and an HTTP
 * server of files. Either can be down, and HTTP answers can be bent.
 */
import { createHash } from 'node:crypto'
import { EverbootError, fault } from '../../core/errors.ts'
import type {
  Clock,
  Fetch,
  FetchRequest,
  FetchResponse,
  Link,
  LinkListener,
  LinkMessage,
} from '../../core/ports.ts'

export interface Broker {
  /** What the hub says. */
  publish(message: LinkMessage): Promise<void>
  /** A connection for one device. */
  link(clientId: string): SimLink
  /** Gets all that devices say. */
  onDevice: (topic: string, payload: Uint8Array) => Promise<void>
  readonly retained: Map<string, Uint8Array>
  readonly up: boolean
  /** True: connections stand, but nothing is answered. */
  stalled: boolean
  /** Turns of the event loop by which the PUBACK of a device comes after what its message set off. */
  pubackTurns: number
  /** False: every connection breaks and none can be made. */
  setUp(up: boolean): void
  /** The connection of one device breaks; its will is published, and it connects again at once. */
  cut(clientId: string): void
}

export interface SimLink extends Link {
  /** The device is gone without a word: its will is published. */
  vanish(): void
}

interface Connection {
  readonly listener: LinkListener
  readonly will: () => LinkMessage
  topics: Set<string>
  current: LinkMessage | null
  /** Ends calls that wait for an answer. */
  unanswered: ((reason: EverbootError) => void)[]
}

const lost = (): EverbootError => new EverbootError(fault('EB-HUB-UNREACHABLE', 'the connection is down'))

/** @param later runs work when what is under way has come to rest */
export function broker(later: (run: () => void) => void): Broker {
  const retained = new Map<string, Uint8Array>()
  const connections = new Map<string, Connection>()
  const deliver = ({ topic, payload, retain }: LinkMessage): void => {
    if (retain) retained.set(topic, payload)
    for (const it of connections.values()) {
      if (it.current !== null && it.topics.has(topic)) later(() => it.listener.message(topic, payload))
    }
  }
  let isUp = true
  const it: Broker = {
    retained,
    stalled: false,
    pubackTurns: 0,
    get up() {
      return isUp
    },
    onDevice: async () => {},
    async publish(message) {
      deliver(message)
    },
    setUp(up) {
      isUp = up
      for (const connection of connections.values()) {
        if (up && connection.current === null) connect(connection)
        else if (!up && connection.current !== null) drop(connection)
      }
    },
    cut(clientId) {
      const connection = connections.get(clientId)
      const will = connection?.current
      if (connection === undefined || will == null) return
      drop(connection)
      void it.onDevice(will.topic, will.payload)
      if (isUp) connect(connection)
    },
    link(clientId) {
      return {
        open(listener, will) {
          const connection = { listener, will, topics: new Set<string>(), current: null, unanswered: [] }
          connections.set(clientId, connection)
          if (isUp) connect(connection)
        },
        async publish(message) {
          if (connections.get(clientId)?.current == null) throw lost()
          // Unanswered until the connection breaks, as the port promises.
          if (it.stalled)
            return new Promise((_, reject) => connections.get(clientId)?.unanswered.push(reject))
          deliver(message)
          await it.onDevice(message.topic, message.payload)
          for (let turn = 0; turn < it.pubackTurns; turn += 1)
            await new Promise((resolve) => later(() => resolve(null)))
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
    // The broker is a part of the hub: when it goes, no will is published.
    connection.current = null
    for (const reject of connection.unanswered.splice(0)) reject(lost())
    later(() => connection.listener.down(fault('EB-HUB-UNREACHABLE', 'cut')))
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
  /** Bytes after which nothing more comes until the reader gives up; null: it does not stall. */
  stallAfter: number | null
  /** Milliseconds before each part, and bytes of a part. */
  partMs: number
  partBytes: number
}

export interface FileServer extends Fetch {
  readonly files: Map<string, Uint8Array>
  readonly requests: FetchRequest[]
  /** Bytes sent in bodies. */
  sent: number
  /** False: nothing answers. */
  up: boolean
  /** Changes an answer before it is sent, or throws. */
  bend: (request: FetchRequest, answer: Answer) => void
  /** Told of each part that is handed out. `fits`: it is of the very range that was asked for. */
  onPart: (url: string, bytes: number, fits: boolean) => void
}

const origin = 'https://hub'

/** @param partBytes of a body that come at a time */
export function fileServer(clock: Pick<Clock, 'sleep'>, partBytes = 3000): FileServer {
  const etagOf = etags()
  const server: FileServer = {
    files: new Map(),
    requests: [],
    sent: 0,
    up: true,
    bend: () => {},
    onPart: () => {},
    async get(request) {
      server.requests.push(request)
      if (!server.up) throw lost()
      const answer = answerTo(request, server.files, partBytes, etagOf)
      server.bend(request, answer)
      return responseOf(request, answer, clock, server)
    },
  }
  return server
}

function answerTo(
  request: FetchRequest,
  files: ReadonlyMap<string, Uint8Array>,
  partBytes: number,
  etagOf: (file: Uint8Array) => string,
): Answer {
  const file = files.get(request.url.slice(origin.length))
  const base = {
    etag: null,
    contentRange: null,
    retryAfterMs: null,
    body: new Uint8Array(0),
    breakAfter: null,
    stallAfter: null,
    partMs: 0,
    partBytes,
  }
  if (file === undefined) return { ...base, status: 404 }
  const etag = etagOf(file)
  const { range } = request
  const whole = range === undefined || (range.ifRange !== undefined && range.ifRange !== etag)
  if (whole) return { ...base, status: 200, etag, body: file }
  const { start, endExclusive } = range
  if (endExclusive > file.length) return { ...base, status: 416, etag }
  const contentRange = { start, endExclusive, size: file.length }
  return { ...base, status: 206, etag, contentRange, body: file.subarray(start, endExclusive) }
}

/** A file is hashed once. */
function etags(): (file: Uint8Array) => string {
  const known = new WeakMap<Uint8Array, string>()
  return (file) => {
    const found = known.get(file) ?? `"sha256-${createHash('sha256').update(file).digest('hex')}"`
    known.set(file, found)
    return found
  }
}

function responseOf(
  { url, range }: FetchRequest,
  answer: Answer,
  clock: Pick<Clock, 'sleep'>,
  server: FileServer,
): FetchResponse {
  const { status, etag, contentRange, retryAfterMs, body, breakAfter, stallAfter, partMs, partBytes } = answer
  const fits =
    range === undefined ||
    (status === 206 &&
      contentRange?.start === range.start &&
      contentRange.endExclusive === range.endExclusive)
  let at = 0
  let cancelled = false
  let giveUp = (): void => {}
  const silence = new Promise<never>((_, reject) => {
    giveUp = () => reject(lost())
  })
  silence.catch(() => {})
  return {
    status,
    etag,
    contentRange,
    contentLength: body.length,
    retryAfterMs,
    async read() {
      if (partMs > 0) await Promise.race([clock.sleep(partMs), silence])
      if (cancelled || !server.up || (breakAfter !== null && at >= breakAfter)) throw lost()
      if (stallAfter !== null && at >= stallAfter) return silence
      if (at >= body.length) return null
      const end = Math.min(body.length, at + partBytes, breakAfter ?? body.length, stallAfter ?? body.length)
      const part = new Uint8Array(body.subarray(at, end))
      at = end
      server.sent += part.length
      server.onPart(url, part.length, fits)
      return part
    },
    cancel() {
      cancelled = true
      giveUp()
    },
  }
}
