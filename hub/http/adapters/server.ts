/**
 * The HTTP server of the hub: fastify with TLS, deadlines, tokens and one form of error.
 * Promise: a request is refused before its body is read when its token is not good; headers, idle connections
 * and bodies have limits; every failure has the body of ../answers.ts.
 * Leaves to others: the resources (../routes, blobs.ts, clips.ts).
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Server, Socket } from 'node:net'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { EverbootError, type Fault, fault, raise } from '../../../core/errors.ts'
import { hubLimits } from '../../../core/limits.ts'
import type { Events } from '../../../core/ports.ts'
import { listen, peerOf, trackConnections } from '../../adapters/listen.ts'
import type { BlobFiles } from '../../store/adapters/blob-files.ts'
import { faultOfAnswer, httpStatusOf } from '../answers.ts'
import { type ApiPorts, mayCall } from '../api.ts'
import { clipFigureRoutes } from '../routes/clip-figures.ts'
import { deviceRoutes } from '../routes/devices.ts'
import { ownClipRoutes } from '../routes/own-clips.ts'
import { releaseRoutes } from '../routes/releases.ts'
import { rolloutRoutes } from '../routes/rollouts.ts'
import { skillRoutes } from '../routes/skills.ts'
import { blobRoutes } from './blobs.ts'
import { clipRoutes } from './clips.ts'

export interface HttpOptions {
  readonly host: string
  readonly port: number
  readonly tls: { readonly key: string; readonly cert: string } | null
  readonly files: BlobFiles
  readonly events: Events
}

export interface HttpServer {
  readonly port: number
  close(): Promise<void>
}

/** @throws EverbootError EB-PORT-IN-USE */
export async function startHttp(options: HttpOptions, ports: ApiPorts): Promise<HttpServer> {
  const app = makeApp(options, ports)
  app.get('/v1/health', async () => ({ ok: true }))
  app.get('/v1/hub', async () => overview(ports))
  releaseRoutes(app, ports)
  deviceRoutes(app, ports)
  rolloutRoutes(app, ports)
  skillRoutes(app, ports)
  ownClipRoutes(app, ports)
  clipFigureRoutes(app, ports)
  blobRoutes(app, ports.core, options.files, options.events)
  await clipRoutes(app, ports, options.events)
  await app.ready()
  const server = app.server as Server
  server.maxConnections = hubLimits.connectionsMax
  const connections = trackConnections(server)
  const busy = trackRequests(server)
  const port = await listen(server, options.host, options.port).catch(async (caught: unknown) => {
    await app.close()
    throw caught
  })
  return {
    port,
    async close() {
      await connections.close((peer) => busy.has(peer))
      await app.close()
    },
  }
}

/** The far ends of connections with a request under way. */
function trackRequests(server: Server): ReadonlySet<string> {
  const busy = new Set<string>()
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const peer = peerOf(request.socket)
    busy.add(peer)
    response.once('close', () => busy.delete(peer))
  })
  return busy
}

function makeApp({ tls, events }: HttpOptions, ports: ApiPorts): FastifyInstance {
  const common = {
    bodyLimit: hubLimits.requestBytesMax,
    connectionTimeout: hubLimits.idleMs,
    keepAliveTimeout: hubLimits.idleMs,
    routerOptions: { maxParamLength: 160 },
    frameworkErrors: (_error: Error, _request: FastifyRequest, reply: FastifyReply) => {
      reply.code(400).send({ error: notUnderstood() })
    },
    clientErrorHandler: (_error: Error, socket: Socket) => refuseRaw(socket),
  }
  const deadlines = {
    headersTimeout: hubLimits.headersMs,
    connectionsCheckingInterval: hubLimits.headersCheckMs,
  }
  const secure = { minVersion: 'TLSv1.2', handshakeTimeout: hubLimits.handshakeMs } as const
  const app = (
    tls === null
      ? Fastify({ ...common, http: deadlines })
      : Fastify({ ...common, https: { ...tls, ...secure, ...deadlines } })
  ) as FastifyInstance
  // The body of an upload goes to the route as it comes.
  app.addContentTypeParser('application/octet-stream', (_request, body, done) => done(null, body))
  app.addHook('onRequest', async (request) => {
    const [path = ''] = request.url.split('?')
    if (!mayCall(ports, path, request.headers.authorization))
      raise('EB-AUTH', 'the token is missing or not valid')
  })
  app.setErrorHandler((error, request, reply) => {
    const it = faultOfAnswer(error)
    const what = error instanceof Error && !(error instanceof EverbootError) ? error.message : it.what
    if (it.code === 'EB-INTERNAL') events.emit({ event: 'internal', what, path: request.url })
    // A stranger's body is not read to its end.
    if (it.code === 'EB-AUTH') reply.headers({ 'www-authenticate': 'Bearer', connection: 'close' })
    return reply.code(httpStatusOf(it.code)).send({ error: it })
  })
  app.setNotFoundHandler((request, reply) => {
    const it = fault('EB-NOT-FOUND', `there is no ${request.method} ${request.url.slice(0, 160)}`)
    return reply.code(404).send({ error: it })
  })
  return app
}

function notUnderstood(): Fault {
  return fault('EB-MESSAGE', 'the request is no HTTP that the hub understands')
}

/** Before there is a request there is no reply to send it with. */
function refuseRaw(socket: Socket): void {
  const body = JSON.stringify({ error: notUnderstood() })
  if (!socket.writable) {
    socket.destroy()
    return
  }
  socket.end(
    `HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
  )
}

function overview({ core, counters }: ApiPorts) {
  const { devices, releases, rollouts, clips } = core.state()
  return {
    devices: devices.size,
    releases: releases.size,
    rollouts: rollouts.size,
    skills: clips.skills.size,
    broker: counters(),
  }
}
