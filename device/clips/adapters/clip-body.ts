/**
 * The body of a request: how long it says it is, reading it within bounds, refusing it.
 * Promise: never more than the limit in memory; a client whose body is refused is told so before the connection ends, though
 * it may still be sending.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Answer } from '../clip-answers.ts'

const http = process.getBuiltinModule('node:http')

/** Bytes that the body has; null: it does not say. */
export function announcedBytes({ headers }: IncomingMessage): number | null {
  if (headers['transfer-encoding'] !== undefined) return null
  return Number(headers['content-length'] ?? '0')
}

/**
 * @param announced at most `bytesMax`. @param withinMs from now
 * @returns the body, or what became of it
 */
export function readBody(
  request: IncomingMessage,
  announced: number | null,
  bytesMax: number,
  withinMs: number,
): Promise<Uint8Array | 'too long' | 'late' | 'gone'> {
  if (request.socket.destroyed) return Promise.resolve('gone')
  const whole = announced === null ? null : Buffer.allocUnsafe(announced)
  const parts: Buffer[] = []
  let bytes = 0
  return new Promise((resolve) => {
    const end = (outcome: Uint8Array | 'too long' | 'late' | 'gone'): void => {
      clearTimeout(late)
      request.off('data', take)
      request.off('end', done)
      request.off('close', gone)
      resolve(outcome)
    }
    const take = (part: Buffer): void => {
      if (bytes + part.length > bytesMax) end('too long')
      else if (whole === null) parts.push(part)
      else whole.set(part, bytes)
      bytes += part.length
    }
    const done = (): void => end(whole ?? Buffer.concat(parts, bytes))
    const gone = (): void => end('gone')
    const late = setTimeout(() => end('late'), withinMs)
    request.on('data', take)
    request.on('end', done)
    request.on('close', gone)
  })
}

/**
 * Answers without taking the body, and ends the connection. For a while what still comes is thrown away: a connection
 * that is closed over unread bytes takes the answer with it (RFC 9112, section 9.6).
 */
export function refuseBody(
  request: IncomingMessage,
  response: ServerResponse,
  answer: Answer,
  lingerMs: number,
): void {
  const { socket } = request
  const { status, headers, body } = answer
  if (response.socket !== socket) {
    // Answers to earlier requests come first.
    response.writeHead(status, { ...headers, connection: 'close' })
    response.end(body)
    return
  }
  const lines = Object.entries({ ...headers, connection: 'close' }).map(([name, text]) => `${name}: ${text}`)
  const head = [`HTTP/1.1 ${status} ${http.STATUS_CODES[status] ?? ''}`, ...lines, '', ''].join('\r\n')
  socket.end(request.method === 'HEAD' ? head : `${head}${body}`)
  request.resume()
  const enough = setTimeout(() => socket.destroy(), lingerMs)
  socket.once('close', () => clearTimeout(enough))
}
