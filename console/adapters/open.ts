/**
 * Opens a console by its path: a serial device or a Unix socket, whichever lies there.
 * Promise: what is neither is refused before it is opened; nothing there is answered with what is.
 */
import { access, constants, readdir, stat } from 'node:fs/promises'
import { raise } from '../../core/errors.ts'
import type { Transport } from '../transport.ts'
import { openSerial } from './serial.ts'
import { openSocket } from './socket.ts'

/** @throws EverbootError EB-CONSOLE-GONE, EB-CONSOLE-BUSY, EB-CONSOLE-DENIED, EB-USAGE */
export async function openConsole(path: string, baud: number): Promise<Transport> {
  const kind = await stat(path).catch((cause: NodeJS.ErrnoException) => missing(path, cause))
  if (kind.isSocket()) return openSocket(path)
  if (!kind.isCharacterDevice()) raise('EB-USAGE', `${path} is neither a serial device nor a socket`)
  await access(path, constants.R_OK | constants.W_OK).catch((cause: unknown) =>
    raise('EB-CONSOLE-DENIED', `${path} must not be read and written by this user`, { cause }),
  )
  return openSerial(path, baud)
}

async function missing(path: string, cause: NodeJS.ErrnoException): Promise<never> {
  const { code = 'unknown error' } = cause
  if (code === 'EACCES') raise('EB-CONSOLE-DENIED', `${path} must not be looked at (${code})`, { cause })
  const found = await serialDevices()
  const todo =
    found.length === 0
      ? 'connect the device or start the machine, then open the console again'
      : `connect the device, or use one that is there: ${found.join(' ')}`
  raise('EB-CONSOLE-GONE', `there is no ${path} (${code})`, { todo, cause })
}

async function serialDevices(): Promise<readonly string[]> {
  const names = await readdir('/dev').catch((): string[] => [])
  return names.filter((it) => /^tty(USB|ACM|AMA)\d+$/.test(it)).map((it) => `/dev/${it}`)
}
