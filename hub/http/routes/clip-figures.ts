/**
 * `/v1/clips` and telemetry: what the hub's store holds, what devices say of their caches.
 * Leaves to others: sums (../../clips/figures.ts, ../../telemetry/fleet.ts).
 */
import type { FastifyInstance } from 'fastify'
import { raise } from '../../../core/errors.ts'
import { clipFigures } from '../../clips/figures.ts'
import { fleetStats } from '../../telemetry/fleet.ts'
import type { ApiPorts } from '../api.ts'
import { haveBody, readAs, telemetryQuery } from '../requests.ts'
import { telemetryView } from '../views.ts'
import { split } from './own-clips.ts'

export function clipFigureRoutes(app: FastifyInstance, ports: ApiPorts): void {
  const { core, store } = ports

  app.get('/v1/clips', async () => clipFigures(core.state().clips))

  app.post('/v1/clips/have', async (request) =>
    split(ports, readAs(haveBody, request.body, 'the question').sha256),
  )

  app.get('/v1/clips/stats', async () => fleetStats(core.state().telemetry.each()))

  app.get<{ Params: { id: string } }>('/v1/devices/:id/telemetry', async (request) => {
    const { id } = request.params
    if (core.state().devices.get(id) === undefined)
      raise('EB-NOT-FOUND', `there is no device ${id}`, { todo: 'see everboot devices list' })
    const { before = Number.MAX_SAFE_INTEGER, limit } = readAs(telemetryQuery, request.query, 'the query')
    // What came last may not be written yet.
    await core.writeTelemetry()
    const records = await store.telemetry(id, before, limit)
    const next = records.length === limit ? (records.at(-1)?.number ?? null) : null
    return { telemetry: records.map(telemetryView), next }
  })
}
