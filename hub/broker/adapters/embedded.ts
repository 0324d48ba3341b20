/**
 * The embedded MQTT broker: aedes behind a packet meter, with tokens and an access list.
 * Promise: a device speaks only for itself; what it says reaches the hub core before its PUBACK and its next
 * packet is read only after the core has it on the disk; a refused publish is acknowledged, dropped and
 * counted, since cutting the connection would make the client send it for ever; nothing a client sends ends
 * the process.
 * Leaves to others: rules (../acl.ts, ../packet-meter.ts), meaning (../../core).
 */
import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { Aedes, type AedesOptions, type Client } from 'aedes'
import type { Fault } from '../../../core/errors.ts'
import { hubLimits } from '../../../core/limits.ts'
import type { Events, LinkMessage } from '../../../core/ports.ts'
import type { Result } from '../../../core/result.ts'
import { allSkills, type DeviceTopic, parseDeviceTopic, parseSkillTopic } from '../../../core/wire/topics.ts'
import { listen, trackConnections } from '../../adapters/listen.ts'
import type { Outlet } from '../../core/core.ts'
import type { Answer } from '../../core/model.ts'
import { mayLeaveWill, mayPublish, maySubscribe } from '../acl.ts'
import { MeteredSocket } from './metered-socket.ts'
import { RetainedPersistence, type RetainedStore } from './retained-persistence.ts'

export interface BrokerOptions {
  readonly host: string
  readonly port: number
  /** null: plain, for loopback only. */
  readonly tls: { readonly key: string; readonly cert: string } | null
  readonly retained: ReadonlyMap<string, Uint8Array>
  readonly store: RetainedStore
  readonly checkToken: (deviceId: string, token: string) => boolean
  readonly receive: (
    deviceId: string,
    kind: DeviceTopic,
    payload: Uint8Array,
  ) => Promise<Result<Answer, Fault>>
  /** Called once the broker can publish, before it listens. */
  readonly beforeListening: (outlet: Outlet) => Promise<void>
  readonly events: Events
}

/** How often something was refused since the start. */
export interface BrokerCounters {
  /** Connections that stand now. */
  open: number
  connections: number
  refusedConnections: number
  refusedPublishes: number
  refusedSubscribes: number
  refusedWills: number
  brokenConnections: number
}

export interface Broker extends Outlet {
  readonly port: number
  readonly counters: Readonly<BrokerCounters>
  close(): Promise<void>
}

type Packet = { topic: string; payload: string | Buffer; retain: boolean }

/** @throws EverbootError EB-PORT-IN-USE */
export async function startBroker(options: BrokerOptions): Promise<Broker> {
  const counters: BrokerCounters = {
    open: 0,
    connections: 0,
    refusedConnections: 0,
    refusedPublishes: 0,
    refusedSubscribes: 0,
    refusedWills: 0,
    brokenConnections: 0,
  }
  const persistence = new RetainedPersistence(options.retained, options.store)
  const stopping = new AbortController()
  const aedes = await Aedes.createBroker({
    ...handlers(options, counters, stopping.signal),
    persistence,
    connectTimeout: hubLimits.connectMs,
    keepaliveLimit: hubLimits.keepAliveSecondsMax,
    maxTopicLevels: hubLimits.topicLevelsMax,
    maxInflightInbound: hubLimits.doubleDeliveriesMax,
    drainTimeout: hubLimits.drainMs,
  })
  const broken = (): void => {
    counters.brokenConnections += 1
  }
  aedes.on('clientError', broken)
  aedes.on('connectionError', broken)
  const sockets = new Set<MeteredSocket>()
  const server = serverFor(options.tls, (socket) => {
    counters.connections += 1
    const metered = new MeteredSocket(socket.setNoDelay(true))
    sockets.add(metered)
    counters.open = sockets.size
    metered.once('close', () => {
      sockets.delete(metered)
      counters.open = sockets.size
    })
    aedes.handle(metered)
  })
  const outlet: Outlet = {
    async publish(message) {
      if (message.retain) await persistence.keep(message.topic, message.payload)
      if (parseSkillTopic(message.topic) === null) deliver(aedes, message)
      else await deliverToAll(aedes, message)
    },
    cut: (deviceId) => clientOf(aedes, deviceId)?.close(),
  }
  const connections = trackConnections(server)
  const closeAedes = (): Promise<void> => new Promise((resolve) => aedes.close(() => resolve()))
  const port = await options
    .beforeListening(outlet)
    .then(() => listen(server, options.host, options.port))
    .catch(async (caught: unknown) => {
      await closeAedes()
      throw caught
    })
  return {
    ...outlet,
    port,
    counters,
    async close() {
      stopping.abort()
      // aedes first: a connection that is cut under it would be a fault to it.
      const devices = closeAedes()
      await connections.close(() => false)
      await devices
    },
  }
}

function handlers(options: BrokerOptions, counters: BrokerCounters, stopping: AbortSignal): AedesOptions {
  const { events, checkToken } = options
  return {
    preConnect(_client, packet, done) {
      // No sessions: without them a device gets everything again by subscribing again.
      packet.clean = true
      if (packet.will !== undefined && !mayLeaveWill(packet.clientId, packet.will.topic)) {
        counters.refusedWills += 1
        delete packet.will
      }
      done(null, true)
    },
    authenticate(client, username, password, done) {
      const good = username === client.id && checkToken(client.id, password?.toString('utf8') ?? '')
      if (good) {
        ;(client.conn as MeteredSocket).authenticated()
        return done(null, true)
      }
      counters.refusedConnections += 1
      events.emit({ event: 'connection-refused', device: printable(client.id) })
      done(Object.assign(new Error('bad device id or token'), { returnCode: 4 }), false)
    },
    authorizePublish(client, packet, done) {
      if (client === null || stopping.aborted) return drop(packet, done)
      const payload = Buffer.from(packet.payload)
      const { topic, retain } = packet
      const allowed = mayPublish(client.id, { topic, retain, payloadBytes: payload.length })
      if ('refused' in allowed) {
        counters.refusedPublishes += 1
        events.emit({ event: 'publish-refused', device: client.id, why: allowed.refused })
        return drop(packet, done)
      }
      options.receive(client.id, allowed.kind, payload).then(
        // A void presence must not replace the newer one that is retained.
        (taken) => (taken.ok && taken.value.changed ? done(null) : drop(packet, done)),
        () => done(new Error('the hub has ended')),
      )
    },
    authorizeSubscribe(client, subscription, done) {
      if (maySubscribe(client.id, subscription.topic)) return done(null, subscription)
      counters.refusedSubscribes += 1
      events.emit({ event: 'subscribe-refused', device: client.id })
      done(null, null)
    },
  }
}

/** The packet goes on to nobody, and its sender hears that it arrived. */
function drop(packet: Packet, done: (error: null) => void): void {
  packet.topic = '$dropped'
  packet.retain = false
  packet.payload = Buffer.alloc(0)
  done(null)
}

/** Straight to the one client that may hear it: a client that does not read holds up nobody else. */
function deliver(aedes: Aedes, message: LinkMessage): void {
  const deviceId = parseDeviceTopic(message.topic)?.deviceId
  const client = deviceId === undefined ? undefined : clientOf(aedes, deviceId)
  if (client !== undefined && client.subscriptions[message.topic] !== undefined) hand(client, message)
}

/**
 * To everybody who listens for skills, some at a time, so that a large fleet holds up nothing else. Who connects
 * meanwhile hears it by subscribing.
 */
async function deliverToAll(aedes: Aedes, message: LinkMessage): Promise<void> {
  const ids = Object.keys(clientsOf(aedes))
  for (let at = 0; at < ids.length; at += hubLimits.deliveriesAtOnce) {
    if (at > 0) await new Promise((resolve) => setImmediate(resolve))
    for (const id of ids.slice(at, at + hubLimits.deliveriesAtOnce)) {
      const client = clientOf(aedes, id)
      const filters = client?.subscriptions ?? {}
      const listens = filters[allSkills] !== undefined || filters[message.topic] !== undefined
      if (client !== undefined && listens) hand(client, message)
    }
  }
}

function hand(client: LiveClient, message: LinkMessage): void {
  const { conn } = client
  if (conn instanceof MeteredSocket && conn.backlogBytes > hubLimits.clientBacklogBytesMax) {
    conn.destroy(new Error('the client does not read'))
    return
  }
  const { topic, qos } = message
  const payload = Buffer.from(message.payload)
  client.publish({ cmd: 'publish', topic, payload, qos, retain: false, dup: false }, () => undefined)
}

interface LiveClient extends Client {
  /** By topic filter; not in the published types. */
  readonly subscriptions: Readonly<Record<string, unknown>>
}

function clientOf(aedes: Aedes, deviceId: string): LiveClient | undefined {
  return clientsOf(aedes)[deviceId]
}

function clientsOf(aedes: Aedes): Readonly<Record<string, LiveClient>> {
  // Not in the published types either; a map without prototype.
  const { clients } = aedes as unknown as { readonly clients: Readonly<Record<string, LiveClient>> }
  return clients
}

function serverFor(tls: BrokerOptions['tls'], accept: (socket: Socket) => void): Server {
  const server =
    tls === null
      ? createServer(accept)
      : createTlsServer({ ...tls, minVersion: 'TLSv1.2', handshakeTimeout: hubLimits.handshakeMs }, accept)
  server.maxConnections = hubLimits.connectionsMax
  server.on('tlsClientError', (_error, socket: Socket) => socket.destroy())
  return server
}

/** What a stranger calls itself, fit for a log. */
function printable(text: string): string {
  return text.slice(0, 64).replace(/[^\x20-\x7e]/g, '?')
}
