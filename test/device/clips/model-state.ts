/**
 * What the model of the clip cache holds, in plain arrays, and what is counted in it.
 * Leaves to others: every change (clip-model.ts).
 */
import type { CacheLimits, Entry, NewClip } from '../../../device/clips/cache-types.ts'

export interface ModelClip {
  clip: string
  skill: string
  content: string
  addedMs: number
  accessedMs: number
  accesses: number
  expiresMs: number
  pinned: boolean
  /** The higher, the later. */
  used: number
}

export interface ModelContent {
  content: string
  bytes: number
  used: number
}

export interface ModelSkill {
  id: string
  hits: number
  misses: number
  /** When its last clip left, or it came without one. */
  idleSince: number
}

export interface State {
  clips: ModelClip[]
  contents: ModelContent[]
  skills: ModelSkill[]
  uses: number
  hits: number
  misses: number
  evictions: number
  expirations: number
  said: string[]
}

export const sum = (values: readonly number[]): number => values.reduce((all, it) => all + it, 0)
export const byUse = <T extends { used: number }>(list: readonly T[]): T[] =>
  list.toSorted((one, other) => one.used - other.used)

/** Not pinned ones first, each by use. */
export function inTurn(clips: readonly ModelClip[]): readonly ModelClip[] {
  return [...byUse(clips.filter(({ pinned }) => !pinned)), ...byUse(clips.filter(({ pinned }) => pinned))]
}

export function contentBytes(state: State, name: string): number {
  return state.contents.find(({ content }) => content === name)?.bytes ?? 0
}

export function hasPin(state: State, name: string): boolean {
  return state.clips.some(({ content, pinned }) => content === name && pinned)
}

/** Whether a content has clips, but none that is pinned any more. */
export function lostPin(state: State, { content, pinned }: ModelClip): boolean {
  return pinned && state.clips.some((it) => it.content === content) && !hasPin(state, content)
}

export function bytesOf(state: State): number {
  return sum(state.contents.map(({ bytes }) => bytes))
}

export function itemsOf(state: State): number {
  return state.clips.length
}

export function quotaUse(skill: string): (state: State) => number {
  return (state) =>
    sum(state.clips.filter((it) => it.skill === skill).map(({ content }) => contentBytes(state, content)))
}

export function pinnedBytes(state: State): number {
  return sum(state.contents.filter(({ content }) => hasPin(state, content)).map(({ bytes }) => bytes))
}

/** Contents without clips go. */
export function dropUnused(state: State): void {
  for (const { content, bytes } of state.contents) {
    if (state.clips.every((it) => it.content !== content)) state.said.push(`gone ${content} ${bytes}`)
  }
  state.contents = state.contents.filter(({ content }) => state.clips.some((it) => it.content === content))
}

/** When a clip that is put counts as added, and expires. */
export function life(
  limits: CacheLimits,
  it: NewClip,
  nowMs: number,
): { addedMs: number; expiresMs: number } {
  const ttlMs = it.ttlMs === undefined ? limits.ttlMs : (it.ttlMs ?? 0)
  const saidAdded = it.addedMs ?? nowMs
  const bySpan = ttlMs === 0 ? Infinity : saidAdded + ttlMs
  const saidExpires = it.expiresMs === undefined ? bySpan : (it.expiresMs ?? Infinity)
  const ahead = saidAdded > nowMs ? saidAdded - nowMs : 0
  return { addedMs: saidAdded - ahead, expiresMs: saidExpires - ahead }
}

export function entryOf(state: State, { used: _, expiresMs, ...rest }: ModelClip): Entry {
  const bytes = contentBytes(state, rest.content)
  return { ...rest, bytes, expiresMs: expiresMs === Infinity ? null : expiresMs }
}
