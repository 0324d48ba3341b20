/**
 * Sends the bytes of a stream.
 * Promise: one step is in memory, however slow the peer; the next is read when the system has taken it. A stream
 * that breaks off cuts the connection, a peer that goes away ends the work; the stream is closed.
 * Leaves to others: what to send and with which headers (ranges.ts).
 */
import type { ServerResponse } from 'node:http'
import type { ByteStream } from '../../clips/content-store.ts'
import { writeAll } from './send-file.ts'

/** @returns how many bytes the system took for the peer, when it has all of them or is gone */
export async function sendStream(response: ServerResponse, stream: ByteStream): Promise<number> {
  let sent = 0
  try {
    for (let part = await stream.read(); part !== null; part = await stream.read()) {
      await writeAll(response, part)
      sent += part.length
    }
    response.end()
  } catch {
    // Headers are out: only a cut connection says that the body is not whole.
    response.destroy()
  } finally {
    await stream.close()
  }
  return sent
}
