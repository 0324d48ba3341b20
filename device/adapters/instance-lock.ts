/**
 * One program at a directory: a name in the kernel's abstract socket space, which goes with the process however
 * it ends.
 * Promise: a second agent on the same data directory is refused with EB-AGENT-RUNNING, a second user of the same clip
 * cache with EB-CLIP-LOCKED, in this process too.
 */
import { statSync } from 'node:fs'
import { createServer } from 'node:net'
import { type ErrorCode, EverbootError, fault } from '../../core/errors.ts'

const uses = {
  agent: { code: 'EB-AGENT-RUNNING', who: 'an agent' },
  clips: { code: 'EB-CLIP-LOCKED', who: 'another program' },
} as const satisfies Record<string, { readonly code: ErrorCode; readonly who: string }>

/** @param directory exists. @param use what the directory is for. @returns the release of the lock */
export function lockInstance(directory: string, use: keyof typeof uses = 'agent'): Promise<() => void> {
  const { code, who } = uses[use]
  const { dev, ino } = statSync(directory)
  const server = createServer((socket) => socket.destroy())
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const what =
        cause.code === 'EADDRINUSE'
          ? `${who} already works on ${directory}`
          : `no lock on ${directory}: ${cause.code}`
      reject(new EverbootError(fault(code, what), { cause }))
    })
    server.listen(`\0everboot-${use}-${dev}-${ino}`, () => resolve(() => server.close()))
  })
}
