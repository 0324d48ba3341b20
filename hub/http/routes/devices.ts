/**
 * `/v1/devices`: adding devices, and what is known of them.
 * Promise: a token is shown once, in the answer that made it.
 */
import type { FastifyInstance } from 'fastify'
import { orThrow, raise } from '../../../core/errors.ts'
import { hashToken, makeDeviceToken } from '../../fleet/tokens.ts'
import type { ApiPorts } from '../api.ts'
import { addDeviceBody, pageOf, pageQuery, readAs } from '../requests.ts'
import { deviceDetailView, deviceView } from '../views.ts'

const historyShown = 50
const evidencesShown = 8
const attemptsShown = 20

export function deviceRoutes(app: FastifyInstance, { core, store, entropy, clock }: ApiPorts): void {
  app.post('/v1/devices', async (request, reply) => {
    const { id, renew } = readAs(addDeviceBody, request.body, 'the device')
    const token = makeDeviceToken(id, entropy)
    const message = { device: id, tokenSha256: hashToken(token), renew, atMs: clock.wallMs() }
    const { changed } = orThrow(await core.handle({ kind: 'add-device', ...message }))
    return reply.code(changed ? 201 : 200).send({ id, token, renewed: !changed })
  })

  app.get('/v1/devices', async (request) => {
    const { items, next } = pageOf(
      core.state().devices.values(),
      readAs(pageQuery, request.query, 'the query'),
    )
    return { devices: items.map(deviceView), next }
  })

  app.get<{ Params: { id: string } }>('/v1/devices/:id', async (request) => {
    const { id } = request.params
    const device = core.state().devices.get(id)
    if (device === undefined)
      raise('EB-NOT-FOUND', `there is no device ${id}`, { todo: 'see everboot devices list' })
    return deviceDetailView(
      device,
      await store.statuses(id, historyShown),
      await store.evidences(id, evidencesShown),
      await store.attemptsOn(id, attemptsShown),
    )
  })
}
