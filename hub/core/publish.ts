/**
 * Releases: registering one whose bytes have been checked and stored, and finding one by name.
 * Promise: a release id names the same bytes for ever; registering it again with the same manifest changes
 * nothing but adds key wraps, with another manifest it is refused.
 * Leaves to others: checking and storing the bytes (../http/adapters/upload.ts).
 */
import { type Fault, fault } from '../../core/errors.ts'
import { hubLimits } from '../../core/limits.ts'
import { fail, ok, type Result } from '../../core/result.ts'
import type { HubMessage, HubState, ReleaseInfo, Step, Write } from './model.ts'

/** @returns the id of the release, or EB-CONFLICT, EB-LIMIT. */
export function registerRelease(
  state: HubState,
  message: Extract<HubMessage, { kind: 'register-release' }>,
): Step {
  const { release, wraps } = message
  const refused = (it: Fault): Step => ({ state, effects: [], answer: fail(it) })
  const conflict = conflictOf(state, release)
  if (conflict !== null) return refused(conflict)
  const known = state.releases.get(release.id)
  if (known === undefined && state.releases.size >= hubLimits.releasesMax) {
    return refused(fault('EB-LIMIT', `the hub holds ${state.releases.size} releases, the most it can`))
  }
  const writes: Write[] = []
  if (known === undefined) writes.push({ kind: 'put-release', release })
  if (wraps.length > 0) writes.push({ kind: 'put-wraps', release: release.id, wraps })
  const { id, version } = release
  return {
    state: known === undefined ? { ...state, releases: state.releases.set(id, release) } : state,
    effects: [
      { kind: 'commit', writes },
      { kind: 'log', event: { event: 'release', release: id, version, wraps: wraps.length } },
    ],
    answer: ok({ id, changed: known === undefined }),
  }
}

/** @returns EB-CONFLICT when the hub holds other bytes under this id. */
export function conflictOf(state: HubState, release: Pick<ReleaseInfo, 'id' | 'manifest'>): Fault | null {
  const known = state.releases.get(release.id)
  if (known === undefined || known.manifest.sha256 === release.manifest.sha256) return null
  return fault(
    'EB-CONFLICT',
    `release ${release.id} is published with manifest ${known.manifest.sha256.slice(0, 12)}, this one has ${release.manifest.sha256.slice(0, 12)}`,
    'build it under another version',
  )
}

/**
 * @param name a release id, or `product@version` when only one release has both
 * @returns the release, or EB-NOT-FOUND, EB-CONFLICT (several)
 */
export function findRelease(state: HubState, name: string): Result<ReleaseInfo, Fault> {
  const exact = state.releases.get(name)
  if (exact !== undefined) return ok(exact)
  const [product, version, ...rest] = name.split('@')
  const named = state.releases.values().filter((it) => it.product === product && it.version === version)
  const [only, second] = named
  if (only === undefined || rest.length > 0) {
    return fail(fault('EB-NOT-FOUND', `there is no release ${name}`, 'see everboot publish'))
  }
  if (second === undefined) return ok(only)
  const ids = named.map((it) => it.id).join(', ')
  return fail(fault('EB-CONFLICT', `${name} names ${named.length} releases: ${ids}`, 'give the release id'))
}
