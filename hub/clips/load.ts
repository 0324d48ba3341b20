/**
 * What the hub holds of clips in memory, made from the rows of its database.
 * Promise: the same as if every message had been taken again.
 */
import type { Digest } from '../../core/units.ts'
import { Shelf } from '../core/shelf.ts'
import { contentsOf } from '../skills/skills.ts'
import type { ClipState, Content, OwnClip, Skill } from './model.ts'

/** The rows as the store gives them. */
export interface ClipRows {
  readonly skills: readonly Skill[]
  readonly contents: readonly Content[]
  readonly ownClips: readonly OwnClip[]
}

export function clipsFrom({ skills, contents, ownClips }: ClipRows): ClipState {
  const own = new Map<string, Map<string, OwnClip>>()
  for (const it of ownClips) {
    const clips = own.get(it.device) ?? new Map<string, OwnClip>()
    own.set(it.device, clips.set(it.clip, it))
  }
  const counts = counted(ownClips.map((it) => it.sha256))
  return {
    skills: Shelf.from(skills, (it) => it.id),
    contents: Shelf.from(contents, (it) => it.sha256),
    own: Shelf.fromEntries(own),
    ownCount: ownClips.length,
    inSkills: counted(skills.flatMap(contentsOf)),
    onDevices: Shelf.fromEntries(counts),
  }
}

function counted(references: readonly Digest[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const it of references) counts.set(it, (counts.get(it) ?? 0) + 1)
  return counts
}
