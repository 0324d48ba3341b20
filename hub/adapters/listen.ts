/**
 * Listening on a port and ceasing to.
 * Promise: a port that is taken is EB-PORT-IN-USE, not a crash; closing cuts what is idle at once, also
 * connections whose TLS never came about, and what is busy after a deadline.
 * Leaves to others: what is spoken there.
 */
import type { AddressInfo, Server, Socket } from 'node:net'
import { raise } from '../../core/errors.ts'
import { hubLimits } from '../../core/limits.ts'

/** @param port 0 for any free one. @returns the port. @throws EverbootError EB-PORT-IN-USE, EB-CONFIG. */
export async function listen(server: Server, host: string, port: number): Promise<number> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host, port, backlog: 1024 }, () => {
        server.off('error', reject)
        resolve()
      })
    })
  } catch (cause) {
    throw listenFault(cause, host, port)
  }
  return (server.address() as AddressInfo).port
}

/** Names a connection by its far end, on whatever layer one holds it. */
export function peerOf(socket: Pick<Socket, 'remoteAddress' | 'remotePort'>): string {
  return `${socket.remoteAddress} ${socket.remotePort}`
}

/** Knows all connections of a server, from before their TLS. To be called before `listen`. */
export function trackConnections(server: Server): {
  /** Stops listening; resolves when every connection has ended. */
  close(isBusy: (peer: string) => boolean): Promise<void>
} {
  const sockets = new Map<string, Socket>()
  server.on('connection', (socket) => {
    const peer = peerOf(socket)
    sockets.set(peer, socket)
    socket.once('close', () => sockets.delete(peer))
  })
  return {
    async close(isBusy) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const [peer, socket] of sockets) if (!isBusy(peer)) socket.destroy()
      const timer = setTimeout(() => {
        for (const socket of sockets.values()) socket.destroy()
      }, hubLimits.shutdownMs)
      await closed
      clearTimeout(timer)
    },
  }
}

function listenFault(cause: unknown, host: string, port: number): never {
  const code = (cause as { code?: string }).code ?? ''
  if (code === 'EADDRINUSE') raise('EB-PORT-IN-USE', `${host} port ${port} is taken`, { cause })
  if (code === 'EACCES') {
    raise('EB-NOT-ROOT', `${host} port ${port} needs privileges`, {
      cause,
      todo: 'choose a port above 1023',
    })
  }
  raise('EB-CONFIG', `${host} port ${port} cannot be listened on: ${code}`, {
    cause,
    todo: 'give an address of this machine with --host',
  })
}
