/**
 * `/v1/skills`: publishing skills, and what is published.
 * Promise: nothing is stored of what is refused for its signature, form, number or conflicts; an answer that it is
 * published comes after the commit.
 * Leaves to others: the clips themselves (../adapters/clips.ts), which are sent before.
 */
import type { FastifyInstance } from 'fastify'
import { clipLimits } from '../../../core/clip-limits.ts'
import { EverbootError, orThrow, raise } from '../../../core/errors.ts'
import { verifyEd25519 } from '../../../keys/verify-node.ts'
import type { Publication, Skill } from '../../clips/model.ts'
import { readPublication } from '../../skills/publication.ts'
import { isPublished, missingOf, refusalOf } from '../../skills/skills.ts'
import type { ApiPorts } from '../api.ts'
import { pageOf, pageQuery, readAs, skillBody } from '../requests.ts'
import { skillDetailView, skillView } from '../views.ts'

export function skillRoutes(app: FastifyInstance, ports: ApiPorts): void {
  const { core, clock, skillKeys } = ports

  app.put('/v1/skills', { bodyLimit: 2 * clipLimits.listBytesMax }, async (request, reply) => {
    const body = readAs(skillBody, request.body, 'the publication')
    const list = body.list === undefined ? null : Buffer.from(body.list, 'base64')
    const envelope = Buffer.from(body.envelope, 'base64')
    const publication = orThrow(readPublication(envelope, list, skillKeys, verifyEd25519))
    await storeList(ports, publication, list)
    const message = { kind: 'publish-skill', publication, atMs: clock.wallMs() } as const
    const { id, changed } = orThrow(await core.handle(message))
    return reply.code(changed ? 201 : 200).send({ ...skillView(skillOf(id)), published: changed })
  })

  app.get('/v1/skills', async (request) => {
    const all = core.state().clips.skills.values()
    const { items, next } = pageOf(all, readAs(pageQuery, request.query, 'the query'))
    return { skills: items.map(skillView), next }
  })

  app.get<{ Params: { id: string } }>('/v1/skills/:id', async (request) =>
    skillDetailView(skillOf(request.params.id), core.state().clips),
  )

  function skillOf(id: string): Skill {
    return (
      core.state().clips.skills.get(id) ??
      raise('EB-NOT-FOUND', `there is no skill ${id}`, { todo: 'see everboot skills list' })
    )
  }
}

/** The list comes into the store like a clip, and before the skill that names it. */
async function storeList(
  { core, clock, keeper }: ApiPorts,
  publication: Publication,
  list: Uint8Array | null,
): Promise<void> {
  const { clips } = core.state()
  if (isPublished(clips, publication)) return
  const refusal = refusalOf(clips, publication, clock.wallMs()) ?? missingOf(clips, publication)
  if (refusal !== null) throw new EverbootError(refusal)
  const announced = publication.announcement.list
  if (list !== null && announced !== null) await keeper.take(only(list), announced, null)
}

async function* only(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  yield bytes
}
