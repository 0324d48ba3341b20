/**
 * A server at a Unix socket: for the agent's own user (root), and for the group `everboot` where the system has one
 * (0660), else 0600.
 * Promise: a socket that an earlier run has left is taken away; whoever calls holds a lock (instance-lock.ts), so that
 * it belongs to nobody.
 */
import { chmodSync, chownSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import type { Server } from 'node:net'
import { dirname } from 'node:path'
import { EverbootError, fault } from '../../core/errors.ts'

/** Members of it may ask; the package of the agent makes it. */
const socketGroup = 'everboot'

/** @param group its number; null: for the owner only. @throws EverbootError EB-CONFIG when the socket cannot be made */
export function listenAt(
  server: Server,
  path: string,
  group: number | null = groupNumber(socketGroup),
): Promise<void> {
  const failed = (cause: unknown): EverbootError => {
    const { code = 'unknown error' } = cause as NodeJS.ErrnoException
    return new EverbootError(fault('EB-CONFIG', `the socket ${path} cannot be made (${code})`), { cause })
  }
  try {
    mkdirSync(dirname(path), { recursive: true })
    rmSync(path, { force: true })
  } catch (cause) {
    return Promise.reject(failed(cause))
  }
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => reject(failed(cause)))
    server.listen(path, () => {
      try {
        if (group !== null) chownSync(path, process.getuid?.() ?? 0, group)
        chmodSync(path, group === null ? 0o600 : 0o660)
        resolve()
      } catch (cause) {
        server.close()
        reject(failed(cause))
      }
    })
  })
}

/** The number of a group by /etc/group, or null. */
export function groupNumber(name: string, file = '/etc/group'): number | null {
  try {
    const line = readFileSync(file, 'utf8')
      .split('\n')
      .find((it) => it.startsWith(`${name}:`))
    const number = Number(line?.split(':')[2] ?? Number.NaN)
    return Number.isSafeInteger(number) ? number : null
  } catch {
    return null
  }
}
