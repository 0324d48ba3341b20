/**
 * A serial device as a transport, by the package `serialport`, which is loaded here and nowhere else.
 * Promise: the device is locked while it is open (flock, TIOCEXCL); failures say what to do.
 * Leaves to others: finding out what a path is (open.ts).
 */
import type { SerialPort } from 'serialport'
import { EverbootError, type Fault, fault, raise } from '../../core/errors.ts'
import { consoleLimits } from '../../core/limits.ts'
import type { ControlLine, Transport, TransportListener } from '../transport.ts'
import { systemClock } from './clock.ts'

/** @throws EverbootError EB-CONSOLE-GONE, EB-CONSOLE-BUSY, EB-CONSOLE-DENIED, EB-TOOL-MISSING */
export async function openSerial(path: string, baud: number): Promise<Transport> {
  const Port = await loadPort()
  const port = new Port({ path, baudRate: baud, autoOpen: false, lock: true })
  await new Promise<void>((resolve, reject) => {
    port.open((error) => (error === null ? resolve() : reject(openFault(path, baud, error))))
  })
  return serialTransport(port, `${path} at ${baud} baud`, path)
}

async function loadPort(): Promise<typeof SerialPort> {
  try {
    const { SerialPort: Port } = await import('serialport')
    return Port
  } catch (cause) {
    return raise('EB-TOOL-MISSING', 'the npm package serialport cannot be loaded', {
      todo: 'install Everboot again on this machine, with npm',
      cause,
    })
  }
}

/** What is needed of an open port. */
export type OpenPort = Pick<SerialPort, 'on' | 'write' | 'set' | 'isOpen' | 'close'>

/** @param name for people; @param path for faults */
export function serialTransport(port: OpenPort, name: string, path: string): Transport {
  let listener: TransportListener | null = null
  let closed = false
  const gone = (why: string): Fault => {
    closed = true
    return fault('EB-CONSOLE-GONE', `${path} went away${why}`)
  }
  const lost = (error: Error | null): void => {
    if (!closed) listener?.ended(gone(error === null ? '' : ` (${error.message})`))
  }
  return {
    name,
    listen(to) {
      listener = to
      port.on('close', lost)
      port.on('error', lost)
      port.on('data', (bytes: Buffer) => {
        if (!closed) to.data(bytes)
      })
    },
    write: (bytes) =>
      new Promise((resolve, reject) => {
        port.write(Buffer.from(bytes), (error) => {
          if (error === null || error === undefined) return resolve()
          reject(new EverbootError(fault('EB-CONSOLE-GONE', `${path} takes nothing (${error.message})`)))
          lost(error)
        })
      }),
    async reset(line) {
      await setLine(port, path, line, false)
      await systemClock.sleep(consoleLimits.resetMs)
      await setLine(port, path, line, true)
    },
    async close() {
      closed = true
      if (!port.isOpen) return
      const ended = new Promise<void>((resolve) => port.close(() => resolve()))
      await Promise.race([ended, systemClock.sleep(consoleLimits.closeMs)])
    },
  }
}

/** Opening a serial device raises both lines; setting one must leave the other up. */
function setLine(port: OpenPort, path: string, line: ControlLine, up: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    port.set({ dtr: true, rts: true, [line]: up }, (error) => {
      if (error === null || error === undefined) return resolve()
      const what = `${path} has no line ${line.toUpperCase()} (${error.message.replace(/^Error: /, '')})`
      reject(new EverbootError(fault('EB-CONSOLE-RESET', what), { cause: error }))
    })
  })
}

/** The binding tells errors by their text only. */
function openFault(path: string, baud: number, error: Error): EverbootError {
  const why = error.message.replace(/^Error:? /, '')
  if (/lock|busy|resource temporarily/i.test(why)) {
    const todo = `end that program; fuser -v ${path} names it`
    return new EverbootError(fault('EB-CONSOLE-BUSY', `${path} is in use (${why})`, todo), { cause: error })
  }
  if (/permission/i.test(why)) {
    return new EverbootError(fault('EB-CONSOLE-DENIED', `${path} must not be opened (${why})`), {
      cause: error,
    })
  }
  return new EverbootError(fault('EB-CONSOLE-GONE', `${path} cannot be opened at ${baud} baud (${why})`), {
    cause: error,
  })
}
