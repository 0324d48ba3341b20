/**
 * One agent on a board: a name in the kernel's abstract socket space, which goes with the process however
 * it ends.
 * Promise: a second agent on the same data directory is refused with EB-AGENT-RUNNING.
 */
import { statSync } from 'node:fs'
import { createServer } from 'node:net'
import { EverbootError, fault } from '../../core/errors.ts'

/** @param directory the data directory of the agent, which exists. @returns the release of the lock */
export function lockInstance(directory: string): Promise<() => void> {
  const { dev, ino } = statSync(directory)
  const server = createServer((socket) => socket.destroy())
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const what =
        cause.code === 'EADDRINUSE'
          ? `an agent already works on ${directory}`
          : `no lock on ${directory}: ${cause.code}`
      reject(new EverbootError(fault('EB-AGENT-RUNNING', what), { cause }))
    })
    server.listen(`\0everboot-agent-${dev}-${ino}`, () => resolve(() => server.close()))
  })
}
