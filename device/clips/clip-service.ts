/**
 * The clip cache as its users see it: a clip by its id, from memory, disk or the hub; storing, forgetting, figures.
 * Promise: built by this factory in production and in simulation alike; every byte handed out was checked, by its seal
 * or by the signed list; what is damaged is fetched again and never played; updates have the first right to the disk.
 * Leaves to others: HTTP (clip-api.ts), doing it (service.ts, serving.ts), policy and disk (clip-cache.ts, clip-store.ts),
 * the network (clip-fetcher.ts).
 */
import type { AudioClaims } from '../../audio/claims.ts'
import type { ClipFiles, Clock, Entropy, Events, Fetch, Random } from '../../core/ports.ts'
import type { Audio, ClipStats } from '../../core/wire/skills.ts'
import type { KeyRing, Verify } from '../../keys/public-key.ts'
import type { CacheLimits, Departure } from './cache-types.ts'
import { Catalog } from './catalog.ts'
import { openClipStore } from './recovery.ts'
import { Service } from './service.ts'
import type { ClipUplink } from './sharing.ts'
import type { Placed, StoredClip } from './store-types.ts'

export interface ClipPorts {
  readonly files: ClipFiles
  readonly clock: Clock
  readonly random: Random
  readonly entropy: Entropy
  readonly fetch: Fetch
  readonly events: Events
  /** Absent: clips of this device stay on it. */
  readonly uplink?: ClipUplink
  /** Whether memory is short on this device now. */
  readonly memoryShort?: () => Promise<boolean>
}

export interface ClipSettings {
  readonly limits: CacheLimits
  readonly memoryBytes: number
  /** Left free on the medium for updates. */
  readonly reserveBytes: number
  /** An expired clip may be served for so long while it is renewed; 0: never. */
  readonly staleMs: number
  readonly wrappingKey: Uint8Array
  readonly earliestWallMs: number
  readonly hubUrl: string
  readonly ring: KeyRing
  readonly verify: Verify
  readonly skills: ReadonlySet<string> | null
}

/** A clip that can be played. The caller says when it is done with it. */
export interface Playable {
  readonly id: string
  readonly skill: string
  readonly bytes: number
  /** Strong, without quotes: its content. */
  readonly tag: string
  readonly audio: Audio
  readonly from: 'memory' | 'disk' | 'network'
  /** Checked bytes of a part, in order. @throws EverbootError when the rest cannot be had */
  read(start: number, endExclusive: number): AsyncIterable<Uint8Array>
  done(): void
}

/** What is said of a clip that is stored on the device itself. */
export interface NewClip {
  readonly id: string
  readonly skill: string
  readonly language: string | null
  readonly private: boolean
  readonly pinned: boolean
  /** 0: never expires; null: as configured. */
  readonly ttlMs: number | null
  readonly claims: AudioClaims
}

export interface ClipService {
  /** @throws EverbootError EB-CLIP-MISSING, EB-CLIP-NAME, EB-HUB-UNREACHABLE, … */
  get(id: string): Promise<Playable>
  /** @throws EverbootError EB-AUDIO, EB-AUDIO-CLAIM, EB-CLIP-NAME, EB-CLIP-SIZE, EB-CLIP-FULL, EB-CONFLICT */
  put(about: NewClip, bytes: Uint8Array): Promise<{ readonly placed: Placed; readonly clip: StoredClip }>
  peek(id: string): StoredClip | null
  list(): Iterable<StoredClip>
  remove(id: string): Promise<boolean>
  /** As `remove`; a private clip's key is destroyed. */
  forget(id: string): Promise<boolean>
  invalidateSkill(skill: string): Promise<number>
  /** @param sha256 hex. */
  invalidateContent(sha256: string): Promise<number>
  clear(): Promise<void>
  pin(id: string, pinned: boolean): Promise<boolean>
  /** The hub keeps the clip too: it comes back when it had to give way. @returns bytes that were sent. @throws EverbootError EB-CLIP-PRIVATE, EB-CLIP-MISSING, a fault of the network */
  share(id: string): Promise<number>
  /** Fetches what the skill lists and is not here. @returns how many clips are to be fetched */
  prefetch(skill: string): number
  stats(): ClipStats
  announced(skill: string, payload: Uint8Array): Promise<void>
  linkUp(): void
  /** The medium is full and somebody else needs it. @returns bytes freed */
  giveWay(bytes: number): Promise<number>
  /** Told of each clip that leaves. */
  onLeft: (clip: string, skill: string, why: Departure) => void
  onFull: (neededBytes: number) => void
  close(): Promise<void>
}

/** @throws EverbootError EB-DATA-IO, EB-DATA-FULL */
export async function openClipService(ports: ClipPorts, settings: ClipSettings): Promise<ClipService> {
  const { store, lists, lost } = await openClipStore(
    { ...ports, wrappingKey: settings.wrappingKey, earliestWallMs: settings.earliestWallMs },
    settings.limits,
  )
  for (const { code, what } of lost) ports.events.emit({ event: 'clips lost', code, what })
  const catalog = new Catalog({ files: ports.files, entropy: ports.entropy, lists })
  const unreadable = await catalog.load()
  if (unreadable > 0) ports.events.emit({ event: 'lists lost', count: unreadable })
  const service = new Service(ports, settings, store, catalog)
  await service.begin()
  return service
}
