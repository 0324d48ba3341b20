/**
 * Listening on a port and ceasing to.
 * Promise: a port that is taken is EB-PORT-IN-USE, not a crash; closing has a deadline after which the
 * connections that are left are cut.
 * Leaves to others: what is spoken there.
 */
import type { AddressInfo, Server } from 'node:net'
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

/** Closes; connections that are still open after the deadline are ended by `cut`. */
export async function closeServer(server: Server, cut: () => void): Promise<void> {
  const timer = setTimeout(cut, hubLimits.shutdownMs)
  await new Promise<void>((resolve) => server.close(() => resolve()))
  clearTimeout(timer)
}

function listenFault(cause: unknown, host: string, port: number): never {
  const code = (cause as { code?: string }).code ?? ''
  if (code === 'EADDRINUSE') raise('EB-PORT-IN-USE', `${host} port ${port} is taken`, { cause })
  if (code === 'EACCES') {
    raise('EB-NOT-ROOT', `${host} port ${port} needs privileges`, { cause, todo: 'choose a port above 1023' })
  }
  raise('EB-CONFIG', `${host} port ${port} cannot be listened on: ${code}`, {
    cause,
    todo: 'give an address of this machine with --host',
  })
}
