/**
 * `/blobs/{release}/{file}`: the parts of releases as static files with byte ranges.
 * Promise: strong entity tags made of the SHA-256 of the content; 206, 304 and 416 as RFC 9110 has them; no
 * content coding; only files that a known release lists can be asked for.
 * Leaves to others: ranges (../range.ts), the bytes (send-file.ts), who may ask (server.ts).
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { raise } from '../../../core/errors.ts'
import { notModified, rangeFor } from '../../../core/http-range.ts'
import type { Events } from '../../../core/ports.ts'
import type { HubCore } from '../../core/core.ts'
import type { BlobFiles, ServedFile } from '../../store/adapters/blob-files.ts'
import { sendFile } from './send-file.ts'

interface BlobRoute {
  readonly Params: { readonly release: string; readonly file: string }
}

export function blobRoutes(app: FastifyInstance, core: HubCore, files: BlobFiles, events: Events): void {
  app.route<BlobRoute>({
    method: ['GET', 'HEAD'],
    url: '/blobs/:release/:file',
    async handler(request, reply) {
      const { release, file } = request.params
      const known = core.state().releases.get(release)
      const served = known === undefined ? null : files.find(known, file)
      if (served === null) raise('EB-NOT-FOUND', `there is no ${file} of release ${release}`)
      await answer(request, reply, served, events)
    },
  })
}

async function answer(
  request: FastifyRequest,
  reply: FastifyReply,
  file: ServedFile,
  events: Events,
): Promise<void> {
  const { headers } = request
  const common = {
    'accept-ranges': 'bytes',
    'cache-control': 'private, max-age=31536000, immutable',
    etag: file.etag,
    'x-content-type-options': 'nosniff',
  }
  if (notModified(file.etag, headers['if-none-match'])) {
    await reply.code(304).headers(common).send()
    return
  }
  // Ranges are defined for GET only (RFC 9110, section 14.2).
  const asked = request.method === 'HEAD' ? undefined : headers.range
  const range = rangeFor(file.bytes, file.etag, asked, single(headers['if-range']))
  if (range.kind === 'unsatisfiable') {
    await reply
      .code(416)
      .headers({ ...common, 'content-range': `bytes */${file.bytes}` })
      .send()
    return
  }
  const [start, end] = range.kind === 'part' ? [range.start, range.endExclusive] : [0, file.bytes]
  const { raw } = reply.hijack()
  raw.writeHead(range.kind === 'part' ? 206 : 200, {
    ...common,
    'content-type': file.type,
    'content-length': end - start,
    ...(range.kind === 'part' ? { 'content-range': `bytes ${start}-${end - 1}/${file.bytes}` } : {}),
  })
  if (request.method === 'HEAD') {
    raw.end()
    return
  }
  const sent = await sendFile(raw, file.path, start, end)
  events.emit({ event: 'blob-sent', path: request.url, start, asked: end - start, sent })
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value
}
