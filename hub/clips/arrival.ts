/**
 * How a content comes into the hub's store: announced before its bytes are put there, here when they are.
 * Promise: a content is `here` only after its bytes lie in the store whole; its first owner has it in the same
 * step.
 * Leaves to others: receiving and putting the bytes (keeper.ts).
 */
import type { HubState, Step, Write } from '../core/model.ts'
import { type Change, contentHere, noChange, stepOf, unchanged } from './contents.ts'
import type { ClipMessage, Content } from './model.ts'
import { addOwn, ownRefusal, refused } from './own-clips.ts'

/** `changed` is false when the content is here already: then it need not be put there. */
export function contentComing(
  state: HubState,
  message: Extract<ClipMessage, { kind: 'content-coming' }>,
): Step {
  const { sha256, bytes, atMs } = message
  if (contentHere(state.clips, sha256) !== null) return unchanged(state, sha256)
  const content: Content = { sha256, bytes, state: 'coming', atMs }
  const clips = { ...state.clips, contents: state.clips.contents.set(sha256, content) }
  const change: Change = { clips, writes: [{ kind: 'put-content', content }], dropped: [] }
  return stepOf(state, change, { id: sha256, changed: true })
}

/** @returns EB-NOT-FOUND (no such device), EB-LIMIT; `changed` is true when the content was not here before. */
export function contentArrived(
  state: HubState,
  message: Extract<ClipMessage, { kind: 'content-here' }>,
): Step {
  const { sha256, bytes, owner, atMs } = message
  const refusal = owner === null ? null : ownRefusal(state, owner, bytes)
  if (refusal !== null) return refused(state, refusal)
  const { clips } = state
  const fresh = contentHere(clips, sha256) === null
  const content: Content = { sha256, bytes, state: 'here', atMs }
  const stored = fresh ? { ...clips, contents: clips.contents.set(sha256, content) } : clips
  const change = owner === null ? noChange(stored) : addOwn(stored, { ...owner, sha256, bytes }, atMs)
  const put: readonly Write[] = fresh ? [{ kind: 'put-content', content }] : []
  return stepOf(state, { ...change, writes: [...put, ...change.writes] }, { id: sha256, changed: fresh })
}
