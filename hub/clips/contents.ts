/**
 * Contents of the hub's store: they stay while somebody refers to them, and go.
 * Promise: the bytes of a content are dropped only after the commit that says that nobody refers to it; what
 * comes back in between stays.
 * Leaves to others: the bytes (keeper.ts), arriving (arrival.ts), who refers (own-clips.ts, ../skills/skills.ts).
 */
import { present } from '../../core/assert.ts'
import { hubClipLimits } from '../../core/clip-limits.ts'
import { ok } from '../../core/result.ts'
import type { Digest } from '../../core/units.ts'
import type { Effect, HubState, Step, Write } from '../core/model.ts'
import type { ClipMessage, ClipState, Content } from './model.ts'

type Message<Kind extends ClipMessage['kind']> = Extract<ClipMessage, { kind: Kind }>

/** What a change of references leads to. */
export interface Change {
  readonly clips: ClipState
  readonly writes: readonly Write[]
  /** Contents that nobody refers to any more, marked as leaving in `clips` and `writes`. */
  readonly dropped: readonly Digest[]
}

/** The bytes were taken away. A content that is here again, or never was, is not touched. */
export function contentGone(state: HubState, { sha256 }: Message<'content-gone'>): Step {
  const known = state.clips.contents.get(sha256)
  if (known === undefined || known.state === 'here') return unchanged(state, sha256)
  const clips = { ...state.clips, contents: state.clips.contents.delete(sha256) }
  const change = { clips, writes: [{ kind: 'remove-content', sha256 }] as const, dropped: [] }
  return stepOf(state, change, { id: sha256, changed: true })
}

/** Whoever refers to it goes on doing so: it is missing until somebody sends it again. */
export function contentLost(state: HubState, { sha256, atMs }: Message<'content-lost'>): Step {
  const known = contentHere(state.clips, sha256)
  if (known === null) return unchanged(state, sha256)
  const change = leave(state.clips, [known], atMs)
  const step = stepOf(state, change, { id: sha256, changed: true })
  const event = { event: 'content-lost', sha256, bytes: known.bytes }
  return { ...step, effects: [...step.effects, { kind: 'log', event }] }
}

/** After a start and now and then: what was half done is ended, what nobody wanted for long goes. */
export function sweepContents(state: HubState, { atMs }: Message<'sweep-contents'>): Step {
  const half: Digest[] = []
  const unused: Content[] = []
  for (const it of state.clips.contents.each()) {
    if (it.state !== 'here') half.push(it.sha256)
    else if (atMs - it.atMs > hubClipLimits.unusedMs && !isUsed(state.clips, it.sha256)) unused.push(it)
  }
  const change = leave(state.clips, unused, atMs)
  const dropped = [...half, ...change.dropped]
  return stepOf(state, { ...change, dropped }, { id: 'contents', changed: dropped.length > 0 })
}

/** The content if it is in the store. */
export function contentHere(clips: ClipState, sha256: string): Content | null {
  const known = clips.contents.get(sha256)
  return known?.state === 'here' ? known : null
}

export function isUsed(clips: ClipState, sha256: string): boolean {
  return clips.inSkills.has(sha256) || clips.onDevices.get(sha256) !== undefined
}

/** To be called when references to these contents were taken away: those that have none left go. */
export function release(clips: ClipState, sha256s: Iterable<Digest>, atMs: number): Change {
  const unused: Content[] = []
  for (const sha256 of new Set(sha256s)) {
    const known = contentHere(clips, sha256)
    if (known !== null && !isUsed(clips, sha256)) unused.push(known)
  }
  return leave(clips, unused, atMs)
}

export function noChange(clips: ClipState): Change {
  return { clips, writes: [], dropped: [] }
}

/** Commit first; the bytes go only when it is on the disk. */
export function stepOf(
  state: HubState,
  change: Change,
  answer: { readonly id: string; readonly changed: boolean },
): Step {
  const { clips, writes, dropped } = change
  const effects: Effect[] = []
  if (writes.length > 0) effects.push({ kind: 'commit', writes })
  for (const sha256 of dropped) effects.push({ kind: 'drop-content', sha256 })
  return { state: clips === state.clips ? state : { ...state, clips }, effects, answer: ok(answer) }
}

function leave(clips: ClipState, leaving: readonly Content[], atMs: number): Change {
  let { contents } = clips
  for (const it of leaving) contents = contents.set(it.sha256, { ...it, state: 'leaving', atMs })
  return {
    clips: leaving.length === 0 ? clips : { ...clips, contents },
    writes: leaving.map(({ sha256 }) => ({
      kind: 'put-content',
      content: present(contents.get(sha256), 'content'),
    })),
    dropped: leaving.map((it) => it.sha256),
  }
}

/** Nothing to do, and no failure. */
export function unchanged(state: HubState, id: string): Step {
  return { state, effects: [], answer: ok({ id, changed: false }) }
}
