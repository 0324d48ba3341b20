/**
 * What the hub knows of clips and skills: contents in its store, who refers to them, announcements.
 * Promise: nothing here is ever changed in place. A content that is `here` lies in the store whole; one that is
 * `coming` or `leaving` may or may not, so that after a crash the rows alone tell what has to be taken away.
 * Leaves to others: the rules (contents.ts, own-clips.ts, ../skills/skills.ts), the bytes (content-store.ts).
 */
import type { Digest } from '../../core/units.ts'
import type { Announcement } from '../../core/wire/skills.ts'
import { Shelf } from '../core/shelf.ts'

export interface Content {
  readonly sha256: Digest
  readonly bytes: number
  readonly state: 'coming' | 'here' | 'leaving'
  /** Since when, by the clock of the hub. */
  readonly atMs: number
}

/** The clip of a device: what stored or proved a content there. */
export interface Owner {
  readonly device: string
  readonly clip: string
}

export interface OwnClip extends Owner {
  readonly sha256: Digest
  readonly bytes: number
}

/** A clip of a skill, as far as the hub needs to know. */
export interface SkillClip {
  readonly id: string
  readonly sha256: Digest
  readonly bytes: number
}

/** The newest announcement of a skill; one that was withdrawn stays, so that devices hear of it. */
export interface Skill {
  readonly id: string
  readonly seq: number
  readonly version: string
  readonly list: Announcement['list']
  /** The signed announcement as it is published, base64. */
  readonly envelope: string
  readonly clips: readonly SkillClip[]
  readonly atMs: number
}

export interface ClipState {
  readonly skills: Shelf<Skill>
  /** By SHA-256. */
  readonly contents: Shelf<Content>
  /** By device, then by clip. */
  readonly own: Shelf<ReadonlyMap<string, OwnClip>>
  readonly ownCount: number
  /** How many clips and lists of skills refer to a content, by SHA-256. */
  readonly inSkills: ReadonlyMap<string, number>
  /** How many clips of devices refer to a content, by SHA-256. */
  readonly onDevices: Shelf<number>
}

export type ClipMessage =
  /** A content was received and is about to be put into the store. */
  | {
      readonly kind: 'content-coming'
      readonly sha256: Digest
      readonly bytes: number
      readonly atMs: number
    }
  /** It lies there whole; the owner, if any, gets his clip in the same step. */
  | {
      readonly kind: 'content-here'
      readonly sha256: Digest
      readonly bytes: number
      readonly owner: Owner | null
      readonly atMs: number
    }
  /** A device has proved that it holds a content that is here. */
  | { readonly kind: 'own-clip'; readonly owner: Owner; readonly sha256: Digest; readonly atMs: number }
  | { readonly kind: 'forget-clip'; readonly owner: Owner; readonly atMs: number }
  /** It is not in the store any more. */
  | { readonly kind: 'content-gone'; readonly sha256: Digest }
  /** It should be in the store, and is not, or is damaged. */
  | { readonly kind: 'content-lost'; readonly sha256: Digest; readonly atMs: number }
  | { readonly kind: 'sweep-contents'; readonly atMs: number }
  | { readonly kind: 'publish-skill'; readonly publication: Publication; readonly atMs: number }

/** An announcement whose signature held, with what its list says. */
export interface Publication {
  readonly announcement: Announcement
  readonly envelope: Uint8Array
  readonly clips: readonly SkillClip[]
}

export type ClipWrite =
  | { readonly kind: 'put-content'; readonly content: Content }
  | { readonly kind: 'remove-content'; readonly sha256: Digest }
  | { readonly kind: 'put-own-clip'; readonly own: OwnClip }
  | { readonly kind: 'remove-own-clip'; readonly owner: Owner }
  | { readonly kind: 'put-skill'; readonly skill: Skill }

export type ClipEffect =
  | { readonly kind: 'publish-skill'; readonly skill: Skill }
  /** Nobody refers to it: its bytes may go, unless it is `here` again by then. */
  | { readonly kind: 'drop-content'; readonly sha256: Digest }

export function emptyClips(): ClipState {
  return {
    skills: Shelf.empty(),
    contents: Shelf.empty(),
    own: Shelf.empty(),
    ownCount: 0,
    inSkills: new Map(),
    onDevices: Shelf.empty(),
  }
}
