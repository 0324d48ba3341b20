/**
 * HTTP for the clip cache, on a Unix socket or a port of the loopback.
 * Promise: never on another network; a bounded number of clients, each told when it is one too many, none kept that says
 * nothing; over a port clips are only read, unless a token was given for changes.
 * Leaves to others: requests and answers (clip-exchange.ts). node:http comes by getBuiltinModule: an ESM import of it
 * costs 14 MB.
 */
import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { servingLimits } from '../../../core/clip-limits.ts'
import { EverbootError, fault, raise } from '../../../core/errors.ts'
import type { Events } from '../../../core/ports.ts'
import { listenAt } from '../../adapters/socket-file.ts'
import type { Way } from '../clip-request.ts'
import type { ClipService } from '../clip-service.ts'
import { Places } from '../places.ts'
import { exchange, type Host } from './clip-exchange.ts'

const http = process.getBuiltinModule('node:http')

export type ServePlace = { readonly socket: string } | LoopbackPlace

export interface LoopbackPlace {
  readonly host: '127.0.0.1' | '::1'
  /** 0: any that is free. */
  readonly port: number
  /** A file of mode 0600 that holds the token for changes; absent: nothing can be changed. */
  readonly tokenFile?: string
}

export interface ClipServer {
  /** Null on a socket. */
  readonly port: number | null
  /** Ends every connection, and waits for changes that are under way. */
  close(): Promise<void>
}

/** What may be set otherwise than usual. */
export type ServerLimits = Pick<typeof servingLimits, 'clientsMax' | 'uploadsMax'> & {
  readonly idleMs: number
  readonly lingerMs: number
}

/** @throws EverbootError EB-CONFIG, EB-PORT-IN-USE, EB-KEY (the file of the token) */
export async function serveClips(
  service: ClipService,
  where: ServePlace,
  events: Events,
  limits: { readonly [name in keyof ServerLimits]: number } = servingLimits,
): Promise<ClipServer> {
  const { idleMs, lingerMs, clientsMax, uploadsMax } = limits
  const tokenSha256 = 'host' in where && where.tokenFile !== undefined ? tokenOf(where.tokenFile) : null
  const server = http.createServer({ headersTimeout: idleMs, requestTimeout: 0, keepAliveTimeout: idleMs })
  const port = 'socket' in where ? null : await listenOn(server, where)
  const way: Way = port === null ? { over: 'socket' } : { over: 'loopback', port, tokenSha256 }
  const host: Host = { service, way, events, uploads: new Places(uploadsMax), idleMs, lingerMs }
  const running = serve(server, host, clientsMax)
  if ('socket' in where) await listenAt(server, where.socket)
  return {
    port,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
      await Promise.all(running)
    },
  }
}

/** @returns what is under way */
function serve(server: Server, host: Host, clientsMax: number): ReadonlySet<Promise<void>> {
  const running = new Set<Promise<void>>()
  const excess = new WeakSet<Socket>()
  let clients = 0
  // Beyond that nobody is even told.
  server.maxConnections = 2 * clientsMax
  server.on('connection', (socket) => {
    clients += 1
    if (clients > clientsMax) excess.add(socket)
    socket.once('close', () => {
      clients -= 1
    })
  })
  const take = (request: IncomingMessage, response: ServerResponse, expects: boolean): void => {
    const isTooMuch = excess.has(request.socket)
    const own = exchange(host, { request, response, expects, isTooMuch })
    running.add(own)
    own.finally(() => running.delete(own))
  }
  server.on('request', (request, response) => take(request, response, false))
  server.on('checkContinue', (request, response) => take(request, response, true))
  return running
}

/** @returns the port */
function listenOn(server: Server, { host, port }: LoopbackPlace): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const code = cause.code === 'EADDRINUSE' ? 'EB-PORT-IN-USE' : 'EB-CONFIG'
      const what = `the port ${port} of ${host} cannot be used (${cause.code})`
      reject(new EverbootError(fault(code, what), { cause }))
    })
    server.listen({ host, port }, () => resolve((server.address() as AddressInfo).port))
  })
}

/** @returns its SHA-256 */
function tokenOf(path: string): Uint8Array {
  let text: string
  let mode: number
  try {
    mode = statSync(path).mode
    text = readFileSync(path, 'utf8').trim()
  } catch (cause) {
    const { code = 'unknown error' } = cause as NodeJS.ErrnoException
    raise('EB-KEY', `the token ${path} cannot be read (${code})`, { cause })
  }
  if ((mode & 0o077) !== 0) raise('EB-KEY', `the token ${path} can be read by others`)
  if (!/^\S{16,256}$/.test(text)) raise('EB-KEY', `${path} holds no token of 16 to 256 characters`)
  return createHash('sha256').update(text).digest()
}
