/**
 * Bytes of clips: `GET|HEAD /clips/{sha256}`, `PUT /clips/{sha256}?clip=ID` by devices, `PUT /v1/clips/{sha256}` by
 * operators.
 * Promise: a device that may not read a content hears the same as one that asks for what is not there; a body is
 * taken only with its length named and within its time, and is kept only if it has that length and hash.
 * Leaves to others: storing (../../clips/keeper.ts), what a device owns (../routes/own-clips.ts).
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { clipLimits, hubClipLimits } from '../../../core/clip-limits.ts'
import { EverbootError, raise } from '../../../core/errors.ts'
import type { Events } from '../../../core/ports.ts'
import { bytesText, isDigest } from '../../../core/units.ts'
import { contentHere } from '../../clips/contents.ts'
import type { Content, Owner } from '../../clips/model.ts'
import { mayRead, notHere } from '../../clips/own-clips.ts'
import { type ApiPorts, callerOf, deviceAsking } from '../api.ts'
import { clipPath, clipQuery, readAs } from '../requests.ts'
import { answerRange } from './ranges.ts'
import { sendStream } from './send-stream.ts'

/** @param uploadMs how long one upload may take */
export async function clipRoutes(
  app: FastifyInstance,
  ports: ApiPorts,
  events: Events,
  uploadMs: number = hubClipLimits.uploadMs,
): Promise<void> {
  const { keeper } = ports
  app.route<{ Params: { sha256: string } }>({
    method: ['GET', 'HEAD'],
    url: '/clips/:sha256',
    async handler(request, reply) {
      const content = readable(ports, request.params.sha256, request.headers.authorization)
      const { sha256, bytes } = content
      const answered = await answerRange(request, reply, {
        bytes,
        etag: `"sha256-${sha256}"`,
        type: 'application/octet-stream',
        async open(start, end) {
          const stream = await keeper.open(content, start, end)
          if (stream === null) throw new EverbootError(notHere(sha256))
          return (response) => sendStream(response, stream)
        },
      })
      if (answered !== null) events.emit({ event: 'clip-sent', sha256, ...answered })
    },
  })
  await app.register(async (scope) => {
    // Whatever a clip is called, its bytes go to the route as they come.
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', (_request, body, done) => done(null, body))
    scope.put('/clips/:sha256', async (request, reply) => {
      const device = deviceAsking(ports, request.headers.authorization)
      const { clip } = readAs(clipQuery, request.query, 'the query')
      await take(ports, request, reply, { device, clip }, uploadMs)
    })
    scope.put('/v1/clips/:sha256', (request, reply) => take(ports, request, reply, null, uploadMs))
  })
}

/** @throws EverbootError EB-NOT-FOUND when it is not here, or not for the one who asks */
function readable(ports: ApiPorts, sha256: string, authorization: string | undefined): Content {
  const { clips } = ports.core.state()
  const caller = callerOf(ports, authorization)
  const may = caller === 'operator' || (caller !== null && mayRead(clips, caller.device, sha256))
  const content = isDigest(sha256) && may ? contentHere(clips, sha256) : null
  return content ?? raise('EB-NOT-FOUND', `there is no clip of content ${sha256.slice(0, 64)}`)
}

async function take(
  { keeper }: ApiPorts,
  request: FastifyRequest,
  reply: FastifyReply,
  owner: Owner | null,
  uploadMs: number,
): Promise<void> {
  // One that trickles in would hold its place for ever.
  const timer = setTimeout(() => request.raw.destroy(), uploadMs)
  try {
    const { sha256 } = readAs(clipPath, request.params, 'the path')
    const bytes = lengthOf(request)
    // Left open when the work fails, so that the answer can still be sent.
    const body = request.raw.iterator({ destroyOnReturn: false })
    const stored = await keeper.take(body, { sha256, bytes }, owner)
    const clip = owner === null ? {} : { clip: owner.clip }
    await reply.code(stored ? 201 : 200).send({ ...clip, sha256, bytes, stored })
  } catch (caught) {
    giveUp(request, reply)
    throw caught
  } finally {
    clearTimeout(timer)
  }
}

/** @throws EverbootError EB-MESSAGE (no length), EB-CLIP-SIZE */
function lengthOf({ headers }: FastifyRequest): number {
  const length = headers['content-length']
  if (length === undefined) {
    raise('EB-MESSAGE', 'the upload does not say its length', { todo: 'send a Content-Length' })
  }
  const bytes = Number(length)
  const { clipBytesMax } = clipLimits
  if (bytes > 0 && bytes <= clipBytesMax) return bytes
  return raise('EB-CLIP-SIZE', `the clip has ${bytesText(bytes)}, not 1 B to ${bytesText(clipBytesMax)}`)
}

/** Reads the rest of a body, so that its sender hears why it was refused; one without end is cut off. */
function giveUp({ raw, headers }: FastifyRequest, reply: FastifyReply): void {
  if (Number(headers['content-length'] ?? Number.NaN) <= clipLimits.clipBytesMax) raw.resume()
  else reply.header('connection', 'close')
}
