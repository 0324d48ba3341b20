/**
 * `/clips` for devices: which contents the hub has, proving that one holds a content, what one has stored.
 * Promise: an answer never gives a content away: who asks hears that the hub has it, and must prove or send the
 * bytes before it may read them.
 * Leaves to others: the bytes (../adapters/clips.ts), proofs (../../clips/keeper.ts).
 */
import type { FastifyInstance } from 'fastify'
import { type ErrorCode, EverbootError, orThrow } from '../../../core/errors.ts'
import { contentHere } from '../../clips/contents.ts'
import { type ApiPorts, deviceAsking } from '../api.ts'
import { claimBody, clipPath, clipQuery, haveBody, readAs } from '../requests.ts'

export function ownClipRoutes(app: FastifyInstance, ports: ApiPorts): void {
  const { core, keeper, challenges, clock } = ports

  app.post('/clips/have', async (request) => {
    const device = deviceAsking(ports, request.headers.authorization)
    const { have, missing } = split(ports, readAs(haveBody, request.body, 'the question').sha256)
    return { have: have.map((sha256) => ({ sha256, challenge: challenges.issue(device, sha256) })), missing }
  })

  app.post('/clips/:sha256/claim', async (request, reply) => {
    const device = deviceAsking(ports, request.headers.authorization)
    const { sha256 } = readAs(clipPath, request.params, 'the path')
    const { clip, challenge, proof } = readAs(claimBody, request.body, 'the claim')
    try {
      await keeper.claim({ device, clip }, sha256, challenge, Buffer.from(proof, 'hex'))
      return { clip, sha256 }
    } catch (caught) {
      const refused = caught instanceof EverbootError && sendInstead.includes(caught.fault.code)
      if (!refused) throw caught
      return reply.code(403).send({ error: caught.fault })
    }
  })

  app.get('/clips/own', async (request) => {
    const own = core.state().clips.own.get(deviceAsking(ports, request.headers.authorization))
    const clips = [...(own?.values() ?? [])].map(({ clip, sha256, bytes }) => ({ clip, sha256, bytes }))
    return { clips: clips.sort((a, b) => (a.clip < b.clip ? -1 : 1)) }
  })

  app.register(async (scope) => {
    // A body, or what a client calls none, is of no interest.
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', (_request, body, done) => {
      body.resume()
      done(null)
    })
    scope.delete('/clips/own/:clip', async (request) => {
      const device = deviceAsking(ports, request.headers.authorization)
      const { clip } = readAs(clipQuery, request.params, 'the path')
      const message = { owner: { device, clip }, atMs: clock.wallMs() }
      const { changed } = orThrow(await core.handle({ kind: 'forget-clip', ...message }))
      return { clip, removed: changed }
    })
  })
}

/** A claim that does not hold for one of these reasons is 403: the device may send the clip itself. */
const sendInstead: readonly ErrorCode[] = ['EB-CONFLICT', 'EB-BLOB', 'EB-NOT-FOUND']

/** Each hash once, in the order of asking. */
export function split<Hash extends string>(
  { core }: Pick<ApiPorts, 'core'>,
  asked: readonly Hash[],
): { readonly have: readonly Hash[]; readonly missing: readonly Hash[] } {
  const { clips } = core.state()
  const have: Hash[] = []
  const missing: Hash[] = []
  for (const it of new Set(asked)) (contentHere(clips, it) === null ? missing : have).push(it)
  return { have, missing }
}
