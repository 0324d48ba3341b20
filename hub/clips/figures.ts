/**
 * What the hub's store of clips holds and what sharing saves there.
 * Promise: each content is counted once in what is stored, and once for each clip that refers to it in what would
 * lie there without sharing; lists of skills and contents that nobody refers to are counted apart.
 */
import { isUsed } from './contents.ts'
import type { ClipState } from './model.ts'

export interface ClipFigures {
  /** In the store, each once, all of them. */
  readonly contents: { readonly count: number; readonly bytes: number }
  /** Of these, lists of skills. */
  readonly lists: { readonly count: number; readonly bytes: number }
  /** Of these, contents that nobody refers to yet. */
  readonly unused: { readonly count: number; readonly bytes: number }
  /** Clips of skills, each by itself. */
  readonly skills: { readonly count: number; readonly clips: number; readonly bytes: number }
  /** Clips of devices, each by itself. */
  readonly devices: { readonly count: number; readonly clips: number; readonly bytes: number }
  /** Bytes of all clips by themselves, divided by what they take in the store; 1 when nothing is shared. */
  readonly dedupRatio: number
  readonly bytesSaved: number
}

export function clipFigures(clips: ClipState): ClipFigures {
  const skills = { count: 0, clips: 0, bytes: 0 }
  const lists = new Set<string>()
  for (const { list, clips: listed } of clips.skills.each()) {
    if (list === null) continue
    skills.count += 1
    skills.clips += listed.length
    for (const it of listed) skills.bytes += it.bytes
    lists.add(list.sha256)
  }
  const devices = { count: clips.own.size, clips: clips.ownCount, bytes: 0 }
  for (const own of clips.own.each()) for (const it of own.values()) devices.bytes += it.bytes
  const stored = storedFigures(clips, lists)
  const alone = skills.bytes + devices.bytes
  const shared = stored.contents.bytes - stored.lists.bytes - stored.unused.bytes
  return {
    ...stored,
    skills,
    devices,
    dedupRatio: shared <= 0 ? 1 : alone / shared,
    bytesSaved: Math.max(0, alone - shared),
  }
}

function storedFigures(
  clips: ClipState,
  listed: ReadonlySet<string>,
): Pick<ClipFigures, 'contents' | 'lists' | 'unused'> {
  const contents = { count: 0, bytes: 0 }
  const lists = { count: 0, bytes: 0 }
  const unused = { count: 0, bytes: 0 }
  for (const { sha256, bytes, state } of clips.contents.each()) {
    if (state !== 'here') continue
    count(contents, bytes)
    if (listed.has(sha256)) count(lists, bytes)
    else if (!isUsed(clips, sha256)) count(unused, bytes)
  }
  return { contents, lists, unused }
}

function count(into: { count: number; bytes: number }, bytes: number): void {
  into.count += 1
  into.bytes += bytes
}
