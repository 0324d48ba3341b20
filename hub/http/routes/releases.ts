/**
 * `/v1/releases`: publishing and listing.
 * Promise: the body of an upload is not read before the operator's token was checked.
 */

import type { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { orThrow, raise } from '../../../core/errors.ts'
import type { ReleaseInfo } from '../../core/model.ts'
import { findRelease } from '../../core/publish.ts'
import type { ApiPorts } from '../api.ts'
import { pageOf, pageQuery, readAs } from '../requests.ts'
import { releaseView } from '../views.ts'

export function releaseRoutes(app: FastifyInstance, { core, store, uploader }: ApiPorts): void {
  const view = async (it: ReleaseInfo) => ({
    ...releaseView(it),
    devicesWithKeys: await store.wrapCount(it.id),
  })

  app.put('/v1/releases', async (request, reply) => {
    const length = Number(request.headers['content-length'] ?? Number.NaN)
    if (request.body === undefined) raise('EB-MESSAGE', 'the request has no release in its body')
    const bytes = Number.isSafeInteger(length) ? length : null
    const answer = await uploader.take(request.body as Readable, bytes, () => {
      // Nothing is sent either way while a large release is checked; that is no idle connection.
      request.raw.socket.setTimeout(0)
    })
    const release = orThrow(findRelease(core.state(), answer.id))
    return reply
      .code(answer.changed ? 201 : 200)
      .send({ ...(await view(release)), published: answer.changed })
  })

  app.get('/v1/releases', async (request) => {
    const { items, next } = pageOf(
      core.state().releases.values(),
      readAs(pageQuery, request.query, 'the query'),
    )
    return { releases: await Promise.all(items.map(view)), next }
  })

  app.get<{ Params: { id: string } }>('/v1/releases/:id', async (request) =>
    view(orThrow(findRelease(core.state(), request.params.id))),
  )
}
