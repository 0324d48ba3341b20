/**
 * `/blobs/{release}/{file}`: the parts of releases as static files with byte ranges.
 * Promise: strong entity tags made of the SHA-256 of the content; only files that a known release lists can be
 * asked for.
 * Leaves to others: ranges (ranges.ts), the bytes (send-file.ts), who may ask (server.ts).
 */
import type { FastifyInstance } from 'fastify'
import { raise } from '../../../core/errors.ts'
import type { Events } from '../../../core/ports.ts'
import type { HubCore } from '../../core/core.ts'
import type { BlobFiles } from '../../store/adapters/blob-files.ts'
import { answerRange } from './ranges.ts'
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
      const answered = await answerRange(request, reply, {
        ...served,
        open: async (start, end) => (response) => sendFile(response, served.path, start, end),
      })
      if (answered !== null) events.emit({ event: 'blob-sent', path: request.url, ...answered })
    },
  })
}
