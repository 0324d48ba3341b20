/**
 * Answers a request for something of known length and hash: whole, a range of it, its head, or that it is known.
 * Promise: strong entity tags; 206, 304 and 416 as RFC 9110 has them; no content coding; what cannot be opened is
 * a coded failure before any header is sent.
 * Leaves to others: which bytes (blobs.ts, clips.ts), ranges (core/http-range.ts), who may ask (server.ts).
 */
import type { ServerResponse } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { notModified, rangeFor } from '../../../core/http-range.ts'

export interface Served {
  readonly bytes: number
  /** Strong, quotes included. */
  readonly etag: string
  readonly type: string
  /** @returns what sends those bytes and tells how many were taken. @throws EverbootError when there are none */
  open(start: number, endExclusive: number): Promise<(response: ServerResponse) => Promise<number>>
}

/** @returns what was asked for and taken; null when there was nothing to send. @throws EverbootError of `open` */
export async function answerRange(
  request: FastifyRequest,
  reply: FastifyReply,
  served: Served,
): Promise<{ readonly start: number; readonly asked: number; readonly sent: number } | null> {
  const { headers } = request
  const common = {
    'accept-ranges': 'bytes',
    'cache-control': 'private, max-age=31536000, immutable',
    etag: served.etag,
    'x-content-type-options': 'nosniff',
  }
  if (notModified(served.etag, headers['if-none-match'])) {
    await reply.code(304).headers(common).send()
    return null
  }
  // Ranges are defined for GET only (RFC 9110, section 14.2).
  const asked = request.method === 'HEAD' ? undefined : headers.range
  const range = rangeFor(served.bytes, served.etag, asked, single(headers['if-range']))
  if (range.kind === 'unsatisfiable') {
    await reply
      .code(416)
      .headers({ ...common, 'content-range': `bytes */${served.bytes}` })
      .send()
    return null
  }
  const [start, end] = range.kind === 'part' ? [range.start, range.endExclusive] : [0, served.bytes]
  const send = request.method === 'HEAD' ? null : await served.open(start, end)
  const { raw } = reply.hijack()
  raw.writeHead(range.kind === 'part' ? 206 : 200, {
    ...common,
    'content-type': served.type,
    'content-length': end - start,
    ...(range.kind === 'part' ? { 'content-range': `bytes ${start}-${end - 1}/${served.bytes}` } : {}),
  })
  if (send === null) {
    raw.end()
    return null
  }
  return { start, asked: end - start, sent: await send(raw) }
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value
}
