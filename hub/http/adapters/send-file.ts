/**
 * Sends a file or a part of it, in bounded steps.
 * Promise: at most two steps of `hubLimits.blobStepBytes` of a connection are in memory, however slow the
 * peer; while one is on its way the next is read. A peer that goes away ends the work.
 * Leaves to others: what to send and with which headers (blobs.ts); a peer that stands still, which the idle
 * timeout of the server cuts.
 */
import { type FileHandle, open } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { hubLimits } from '../../../core/limits.ts'

/**
 * @param start first byte; @param endExclusive one after the last
 * @returns how many bytes the system took for the peer, when it has all of them or is gone
 */
export async function sendFile(
  response: ServerResponse,
  path: string,
  start: number,
  endExclusive: number,
): Promise<number> {
  const file = await open(path, 'r')
  const tally = { sent: 0 }
  try {
    await pump(response, file, start, endExclusive, tally)
  } catch {
    // Headers are out: only a cut connection says that the body is not whole.
    response.destroy()
  } finally {
    await file.close()
  }
  return tally.sent
}

async function pump(
  response: ServerResponse,
  file: FileHandle,
  start: number,
  endExclusive: number,
  tally: { sent: number },
): Promise<void> {
  const step = Math.min(hubLimits.blobStepBytes, endExclusive - start)
  const buffers = [Buffer.allocUnsafeSlow(step), Buffer.allocUnsafeSlow(step)] as const
  let sent: Promise<void> = Promise.resolve()
  for (let offset = start, turn = 0; offset < endExclusive; turn ^= 1) {
    const buffer = buffers[turn === 0 ? 0 : 1]
    const { bytesRead } = await file.read(buffer, 0, Math.min(step, endExclusive - offset), offset)
    if (bytesRead === 0) throw new RangeError(`the file ends at byte ${offset}`)
    await sent
    sent = writeAll(response, buffer.subarray(0, bytesRead)).then(() => {
      tally.sent += bytesRead
    })
    // Whoever waits for it sees its failure; until then it is nobody's.
    sent.catch(() => undefined)
    offset += bytesRead
  }
  await sent
  response.end()
}

/** Resolves when the system has taken the bytes, so that the buffer may be filled again. */
export function writeAll(response: ServerResponse, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const closed = (): void => reject(new Error('the peer is gone'))
    if (response.closed || response.destroyed) return closed()
    response.once('close', closed)
    response.write(bytes, (error) => {
      response.off('close', closed)
      if (error) reject(error)
      else resolve()
    })
  })
}
