/**
 * A Unix socket as a transport: the serial port of a QEMU machine (`-chardev socket`).
 * Leaves to others: finding out what a path is (open.ts).
 */
import { connect, type Socket } from 'node:net'
import { EverbootError, type Fault, fault, raise } from '../../core/errors.ts'
import { consoleLimits } from '../../core/limits.ts'
import type { Transport, TransportListener } from '../transport.ts'
import { systemClock } from './clock.ts'

const startMachine = 'start the machine that makes it (-chardev socket,path=…,server=on), then try again'

/** @throws EverbootError EB-CONSOLE-GONE, EB-CONSOLE-DENIED */
export function openSocket(path: string): Promise<Transport> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path })
    const failed = (error: NodeJS.ErrnoException): void => {
      const { code = 'unknown error' } = error
      socket.destroy()
      const it =
        code === 'EACCES'
          ? fault('EB-CONSOLE-DENIED', `${path} must not be opened (${code})`, 'run it as the owner of it')
          : fault('EB-CONSOLE-GONE', `nobody listens on ${path} (${code})`, startMachine)
      reject(new EverbootError(it, { cause: error }))
    }
    const late = systemClock.timer(consoleLimits.connectMs, () =>
      failed(Object.assign(new Error('silence'), { code: 'ETIMEDOUT' })),
    )
    socket.once('error', (error) => {
      late()
      failed(error)
    })
    socket.once('connect', () => {
      late()
      socket.removeAllListeners('error')
      resolve(transportOver(socket, path))
    })
  })
}

function transportOver(socket: Socket, path: string): Transport {
  let listener: TransportListener | null = null
  let closed = false
  const lost = (why: string): void => {
    if (closed) return
    closed = true
    listener?.ended(gone(path, why))
    socket.destroy()
  }
  socket.on('error', (error: NodeJS.ErrnoException) => lost(` (${error.code ?? error.message})`))
  return {
    name: path,
    listen(to) {
      listener = to
      socket.on('data', (bytes) => {
        if (!closed) to.data(bytes)
      })
      socket.on('close', () => lost(''))
    },
    write: (bytes) =>
      new Promise((resolve, reject) => {
        socket.write(bytes, (error) => {
          if (error === null || error === undefined) return resolve()
          reject(new EverbootError(gone(path, ` (${error.message})`)))
          lost(` (${error.message})`)
        })
      }),
    reset: async (line) =>
      raise('EB-CONSOLE-RESET', `${path} is a socket, which has no line ${line.toUpperCase()}`, {
        todo: 'reset the machine by its monitor (system_reset)',
      }),
    async close() {
      closed = true
      socket.destroy()
    },
  }
}

function gone(path: string, why: string): Fault {
  return fault('EB-CONSOLE-GONE', `the other end of ${path} was closed${why}`, startMachine)
}
