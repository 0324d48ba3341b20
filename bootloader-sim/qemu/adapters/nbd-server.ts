/**
 * Serves a disk to QEMU over a Unix socket.
 * Promise: a client that sends nonsense loses its connection and nothing else; one that reads too slowly is
 * not read from; from a cut on nobody is answered, and nobody can connect until the power is back.
 * Leaves to others: the protocol (nbd-session.ts), cache and cuts (nbd-disk.ts).
 */
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { EverbootError, fault } from '../../../core/errors.ts'
import { diskServerLimits, machineLimits } from '../../../core/limits.ts'
import { within } from '../../adapters/wait.ts'
import type { DiskClient, NbdAnswer, NbdDisk } from '../nbd-disk.ts'
import { type NbdRequest, type NbdSession, nbdSession } from '../nbd-session.ts'
import { replyHead } from '../nbd-wire.ts'
import { listenUnix } from './unix-socket.ts'

export interface NbdServer {
  readonly disk: NbdDisk
  readonly socketPath: string
  /** For programs that take one: `nbd+unix:///NAME?socket=PATH`. */
  readonly uri: string
  connections(): number
  /** Ends all connections; what is not answered stays so. */
  drop(): void
  /** Ends the service; what is in the cache reaches the medium when the disk has power. */
  close(): Promise<void>
}

export interface ServeOptions {
  readonly disk: NbdDisk
  readonly socketPath: string
  /** Told why each connection ended. */
  readonly onEnd?: (why: string) => void
}

/** @throws EverbootError EB-SOCKET-IN-USE, EB-FILE */
export async function serveNbd({ disk, socketPath, onEnd }: ServeOptions): Promise<NbdServer> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    const room = sockets.size < diskServerLimits.connectionsMax
    if (!room || !disk.hasPower()) return void socket.destroy()
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    void serve(socket, disk).then((why) => onEnd?.(why))
  })
  await listenUnix(server, socketPath)
  const drop = (): void => sockets.forEach((it) => void it.destroy())
  return {
    disk,
    socketPath,
    uri: `nbd+unix:///${encodeURIComponent(disk.name)}?socket=${encodeURIComponent(socketPath)}`,
    connections: () => sockets.size,
    drop,
    async close() {
      drop()
      const closed = once(server, 'close')
      server.close()
      await within(machineLimits.startMs, closed)
      rmSync(socketPath, { force: true })
      if (disk.hasPower()) await disk.settle()
    },
  }
}

/** @returns why it ended */
async function serve(socket: Socket, disk: NbdDisk): Promise<string> {
  const session = nbdSession({ name: disk.name, sizeBytes: disk.sizeBytes })
  const client = disk.client()
  const late = setTimeout(() => {
    if (session.transmitting()) return
    const what = `a client does not open the disk within ${diskServerLimits.handshakeMs} ms`
    socket.destroy(new EverbootError(fault('EB-TIMEOUT', what)))
  }, diskServerLimits.handshakeMs)
  // After a cut nothing goes on here, and nothing is left to wait for.
  late.unref()
  try {
    await answer(socket, session, client, new Uint8Array())
    for await (const bytes of socket.iterator({ destroyOnReturn: false })) {
      const ended = await answer(socket, session, client, bytes as Buffer)
      if (ended !== null) return ended
    }
    return 'the client hung up'
  } catch (caught) {
    const ofTheSocket = caught instanceof EverbootError || (caught instanceof Error && 'code' in caught)
    if (!ofTheSocket) throw caught
    return caught.message
  } finally {
    clearTimeout(late)
    socket.destroySoon()
  }
}

/** @returns why the connection ends, or null */
async function answer(
  socket: Socket,
  session: NbdSession,
  client: DiskClient,
  bytes: Uint8Array,
): Promise<string | null> {
  for (const event of session.feed(bytes)) {
    if (event.kind === 'end') return event.why
    if (event.kind === 'send') await send(socket, event.bytes, null)
    else {
      const { error, bytes: read } = await carryOut(client, event.request)
      await send(socket, replyHead(event.request.cookie, error), read)
    }
  }
  return null
}

/** What the image file refuses reaches the guest as an error of the disk. */
async function carryOut(client: DiskClient, request: NbdRequest): Promise<NbdAnswer> {
  try {
    return await client.execute(request)
  } catch (caught) {
    if (!(caught instanceof EverbootError)) throw caught
    const full = (caught.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOSPC'
    return { error: full ? 'ENOSPC' : 'EIO', bytes: null }
  }
}

async function send(socket: Socket, head: Uint8Array, body: Uint8Array | null): Promise<void> {
  if (socket.destroyed) return
  socket.cork()
  let room = socket.write(head)
  if (body !== null) room = socket.write(body)
  socket.uncork()
  if (!room) await drained(socket)
}

/** Returns when the client has taken what was sent, or is gone. */
function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done)
      socket.off('close', done)
      resolve()
    }
    socket.on('drain', done)
    socket.on('close', done)
  })
}
