/**
 * One board per directory: a name in the kernel that lives exactly as long as its process.
 * Promise: taken or refused at once; never left behind. Source: unix(7), abstract socket addresses.
 */
import { createHash } from 'node:crypto'
import { createServer } from 'node:net'
import { raise } from '../../core/errors.ts'

/** @param directory absolute, symbolic links resolved. @throws EverbootError EB-BOARD-RUNNING */
export async function lockDirectory(directory: string): Promise<() => void> {
  const name = createHash('sha256').update(directory).digest('hex').slice(0, 32)
  const server = createServer((socket) => socket.destroy())
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(`\0everboot-board-${name}`, resolve)
    })
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw cause
    raise('EB-BOARD-RUNNING', `the board in ${directory} is running already`, { cause })
  }
  server.unref()
  return () => server.close()
}
