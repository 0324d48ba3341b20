/**
 * `/v1/rollouts`: making rollouts, trying them dry, following them.
 * Promise: a dry run changes nothing; the wrapped keys of a rollout are read before it is made, so that making
 * it is one step.
 */
import type { FastifyInstance } from 'fastify'
import { orThrow, raise } from '../../../core/errors.ts'
import type { HubState, ReleaseInfo, Rollout } from '../../core/model.ts'
import { findRelease } from '../../core/publish.ts'
import { planFor } from '../../rollouts/plan.ts'
import type { ApiPorts } from '../api.ts'
import { pageQuery, readAs, rolloutBody } from '../requests.ts'
import { rolloutDeviceView, rolloutView } from '../views.ts'

export function rolloutRoutes(app: FastifyInstance, { core, store, clock }: ApiPorts): void {
  app.post('/v1/rollouts', async (request, reply) => {
    const body = readAs(rolloutBody, request.body, 'the rollout')
    const release = orThrow(findRelease(core.state(), body.release))
    const devices = body.devices === 'all' ? core.state().devices.ids() : [...new Set(body.devices)]
    const keys = await store.wraps(release.id, devices)
    if (body.dryRun) {
      const plan = planAll(core.state(), release, devices, keys)
      return { dryRun: true, release: release.id, plan }
    }
    const throttle = body.throttle ?? null
    const activate = body.activate ?? null
    const message = { release: release.id, devices, keys, throttle, activate, atMs: clock.wallMs() }
    const { id } = orThrow(await core.handle({ kind: 'create-rollout', ...message }))
    return reply.code(201).send(rolloutView(rolloutOf(core.state(), id)))
  })

  app.get('/v1/rollouts', async () => {
    const all = core.state().rollouts.values()
    return { rollouts: all.sort((a, b) => b.number - a.number).map(rolloutView) }
  })

  app.get<{ Params: { id: string } }>('/v1/rollouts/:id', async (request) => {
    const page = readAs(pageQuery, request.query, 'the query')
    const rollout = rolloutOf(core.state(), request.params.id)
    const attempts = await store.attemptsOf(rollout.id, page.after, page.limit)
    const { devices } = core.state()
    const next = attempts.length === page.limit ? (attempts.at(-1)?.device ?? null) : null
    return {
      ...rolloutView(rollout),
      outcomes: attempts.map((it) => rolloutDeviceView(it, devices.get(it.device))),
      next,
    }
  })
}

function planAll(
  state: HubState,
  release: ReleaseInfo,
  devices: readonly string[],
  keys: ReadonlyMap<string, Readonly<Record<string, string>>>,
) {
  if (devices.length === 0)
    raise('EB-NOT-FOUND', 'the hub has no devices', { todo: 'add one: everboot devices add' })
  return devices.map((id) => {
    const device = state.devices.get(id)
    if (device === undefined)
      raise('EB-NOT-FOUND', `there is no device ${id}`, { todo: 'see everboot devices list' })
    return planFor(device, release, keys.get(id))
  })
}

function rolloutOf(state: HubState, id: string): Rollout {
  return (
    state.rollouts.get(id) ??
    raise('EB-NOT-FOUND', `there is no rollout ${id}`, { todo: 'see everboot rollout list' })
  )
}
