/**
 * The two wires from the running system to the board: watchdog and power, as FIFOs.
 * Promise: they exist before the system starts; whoever opens and closes them, the board keeps reading.
 * Leaves to others: what a byte means.
 */
import { constants, openSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { Socket } from 'node:net'
import { tool } from './tools.ts'

export interface Fifo {
  close(): void
}

/** Makes the FIFO anew. @param take gets what is written into it. @throws EverbootError EB-TOOL-FAILED */
export async function makeFifo(path: string, take: (bytes: Uint8Array) => void): Promise<Fifo> {
  await rm(path, { force: true })
  await tool('mkfifo', '--mode=0600', path)
  // Open for writing too: otherwise each writer that closes would end the stream.
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
  const socket = new Socket({ fd, readable: true, writable: false })
  socket.on('data', take)
  // An unreadable FIFO is silence, and silence is what the watchdog is for.
  socket.on('error', () => {})
  return { close: () => socket.destroy() }
}
