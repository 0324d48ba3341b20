/**
 * What the clip cache on the disk is told of a clip, and what it tells.
 * Promise: bytes and milliseconds. Leaves to others: doing it (clip-store.ts).
 */
import type { Audio } from '../../core/wire/skills.ts'
import type { ClipCache } from './cache-types.ts'
import type { Contents, Reading } from './contents.ts'
import type { DeviceAge } from './device-age.ts'
import type { Figures } from './figures.ts'
import type { IndexLog } from './index-log.ts'
import type { ContentRecord } from './index-record.ts'
import type { PackedClips } from './packed-clips.ts'

/** What is said of a clip when it is stored. */
export interface Description {
  readonly id: string
  readonly skill: string
  readonly audio: Audio
  readonly language: string | null
  /** Of a clip that comes by a list: as long as the pins have room for it. */
  readonly pinned: boolean
  /** It comes by the list of its skill. */
  readonly listed: boolean
  /** 0: never expires; null: as the cache is configured. */
  readonly ttlMs: number | null
}

/** A clip as the store knows it. */
export interface StoredClip {
  readonly id: string
  readonly skill: string
  readonly content: ContentRecord
  readonly language: string | null
  readonly private: boolean
  readonly shared: boolean
  readonly listed: boolean
  readonly pinned: boolean
  /** Since 1970; 0: nobody knew. */
  readonly createdMs: number
  readonly accesses: number
  /** Ago; null: never. */
  readonly lastAccessAgoMs: number | null
  /** From now; null: never. */
  readonly expiresInMs: number | null
}

/** A clip that is open for reading. */
export interface OpenClip extends Reading {
  readonly clip: StoredClip
}

export type Placed = 'added' | 'alias' | 'replaced' | 'same'

/** What a store is made of, as recovery has found it. */
export interface StoreState {
  readonly cache: ClipCache
  readonly contents: Contents
  readonly clips: PackedClips
  readonly skills: Map<string, number>
  readonly figures: Figures
  readonly age: DeviceAge
  readonly log: IndexLog
}
