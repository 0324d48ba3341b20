/**
 * Listening on a Unix socket in the file system.
 * Promise: a socket file that nobody listens on any more is taken over; one with a listener is left alone
 * (EB-SOCKET-IN-USE); a path too long for the kernel is named. Source: unix(7).
 */
import { rmSync, statSync } from 'node:fs'
import { connect, type Server } from 'node:net'
import { EverbootError, fault, raise } from '../../../core/errors.ts'
import { boardLimits, machineLimits } from '../../../core/limits.ts'

/** @throws EverbootError EB-SOCKET-IN-USE, EB-FILE */
export async function listenUnix(server: Server, path: string): Promise<void> {
  const bytes = Buffer.byteLength(path)
  if (bytes >= boardLimits.socketPathBytesMax) {
    raise(
      'EB-FILE',
      `${path}: a socket path of ${bytes} bytes, at most ${boardLimits.socketPathBytesMax - 1}`,
      {
        todo: 'choose a directory with a shorter path',
      },
    )
  }
  await makeRoom(path)
  await new Promise<void>((resolve, reject) => {
    const fail = (cause: NodeJS.ErrnoException): void => {
      const code = cause.code === 'EADDRINUSE' ? 'EB-SOCKET-IN-USE' : 'EB-FILE'
      reject(new EverbootError(fault(code, `listening on ${path}: ${cause.message}`), { cause }))
    }
    server.once('error', fail)
    server.listen(path, () => {
      server.off('error', fail)
      resolve()
    })
  })
}

/** Removes the socket of a program that has ended. */
async function makeRoom(path: string): Promise<void> {
  const there = statSync(path, { throwIfNoEntry: false })
  if (there === undefined) return
  if (!there.isSocket()) raise('EB-FILE', `${path} is there and is no socket`, { todo: 'remove it' })
  if (await answers(path)) raise('EB-SOCKET-IN-USE', `another program listens on ${path}`)
  rmSync(path, { force: true })
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    const end = (listens: boolean): void => {
      socket.destroy()
      resolve(listens)
    }
    socket.setTimeout(machineLimits.peekMs, () => end(true))
    socket.once('connect', () => end(true))
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code === 'EAGAIN'))
  })
}
