/**
 * The clip cache as its users see it: a clip by its id, from memory, disk or the hub; storing, forgetting, figures.
 * Promise: built by this factory in production and in simulation alike; every byte handed out was checked, by its seal
 * or by the signed list; what is damaged is fetched again and never played; updates have the first right to the disk.
 * Leaves to others: HTTP (clip-api.ts), policy and disk (clip-cache.ts, clip-store.ts), the network (clip-fetcher.ts).
 */

import { type AudioClaims, checkClaims } from '../../audio/claims.ts'
import { readAudio } from '../../audio/read-audio.ts'
import { clipLimits, indexLimits, servingLimits } from '../../core/clip-limits.ts'
import { EverbootError, type Fault, fault, faultOf, orThrow, raise } from '../../core/errors.ts'
import type { ClipFiles, Clock, Entropy, Events, Fetch, Random } from '../../core/ports.ts'
import { hex, safeName } from '../../core/units.ts'
import type { Audio, ClipStats, ListedClip } from '../../core/wire/skills.ts'
import { languageForm } from '../../core/wire/skills.ts'
import type { KeyRing, Verify } from '../../keys/public-key.ts'
import type { CacheLimits, Departure } from './cache-types.ts'
import { Catalog } from './catalog.ts'
import { ClipFetcher, type Urgency } from './clip-fetcher.ts'
import {
  type ClipStore,
  type Description,
  keyOf,
  type OpenClip,
  type Placed,
  type StoredClip,
} from './clip-store.ts'
import { MemoryTier } from './memory-tier.ts'
import { openClipStore } from './recovery.ts'
import { type ClipUplink, isOwnList, Sharing, skillOfList } from './sharing.ts'
import { SkillSync } from './skill-sync.ts'

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

class Service implements ClipService {
  onLeft: ClipService['onLeft'] = () => {}
  onFull: ClipService['onFull'] = () => {}
  readonly #ports: ClipPorts
  readonly #settings: ClipSettings
  readonly #store: ClipStore
  readonly #catalog: Catalog
  readonly #fetcher: ClipFetcher
  readonly #sync: SkillSync
  readonly #memory: MemoryTier
  readonly #sharing: Sharing | null
  readonly #renewing = new Set<string>()
  #memoryHits = 0
  #timers: (() => void)[] = []
  #closed = false

  constructor(ports: ClipPorts, settings: ClipSettings, store: ClipStore, catalog: Catalog) {
    this.#ports = ports
    this.#settings = settings
    this.#store = store
    this.#catalog = catalog
    this.#memory = new MemoryTier(settings.memoryBytes)
    this.#sharing = ports.uplink === undefined ? null : new Sharing(store, catalog, ports.uplink)
    this.#fetcher = new ClipFetcher(ports, store, settings.hubUrl)
    this.#sync = new SkillSync(ports, settings, store, catalog, {
      wanted: (skill, clip) => void this.#ahead(skill, clip),
    })
    store.onLeft = (clip, skill, why) => {
      ports.events.emit({ event: 'clip left', clip, skill, why })
      this.onLeft(clip, skill, why)
    }
    store.onContentLeft = (key) => this.#memory.drop(key)
    store.onFull = (bytes) => this.onFull(bytes)
  }

  async begin(): Promise<void> {
    await this.#sync.begin()
    this.#every(indexLimits.touchMs, () => this.#store.tidy(this.#settings.staleMs))
    const { memoryShort } = this.#ports
    if (memoryShort === undefined) return
    this.#every(servingLimits.pressureMs, async () => {
      if (await memoryShort()) this.#memory.shrink()
      else this.#memory.grow()
    })
  }

  async get(id: string): Promise<Playable> {
    checkName('clip', id)
    const stale = this.#settings.staleMs > 0 ? this.#store.stale(id, this.#settings.staleMs) : null
    if (stale !== null) {
      this.#renew(id, stale)
      return this.#fromDisk(stale)
    }
    const open = this.#store.open(id)
    if (open !== null) {
      return this.#fromDisk(open)
    }
    return this.#fromHub(id)
  }

  /** When the file is damaged, every clip that referred to it leaves, and the hub is asked. */
  async #fromDisk(open: OpenClip): Promise<Playable> {
    const { clip, content } = open
    const about = playableOf(clip)
    const kept = this.#memory.get(content.key)
    if (kept !== null) {
      this.#memoryHits += 1
      open.done()
      return inMemory(about, kept, 'memory')
    }
    if (!this.#memory.takes(content.bytes)) return this.#streamed(about, open)
    const bytes = await open.whole().finally(() => open.done())
    if (bytes === null) {
      await this.#damaged(clip)
      return this.#fromHub(clip.id)
    }
    this.#memory.put(content.key, bytes)
    return inMemory(about, bytes, 'disk')
  }

  #streamed(about: Omit<Playable, 'read' | 'done' | 'from'>, open: OpenClip): Playable {
    const self = this
    return {
      ...about,
      from: 'disk',
      async *read(start, endExclusive) {
        for await (const part of open.part(start, endExclusive)) {
          if (part !== null) {
            yield part
            continue
          }
          await self.#damaged(open.clip)
          raise('EB-CLIP-DAMAGED', `clip ${about.id} is damaged on the medium`, { todo: 'ask for it again' })
        }
      },
      done: () => open.done(),
    }
  }

  async #damaged({ id, content }: StoredClip): Promise<void> {
    this.#ports.events.emit({ event: 'clip damaged', clip: id })
    await this.#store.damaged(content.key)
  }

  async #fromHub(id: string): Promise<Playable> {
    const listed = this.#catalog.find(id)
    if (listed === null) raise('EB-CLIP-MISSING', `there is no clip ${id}`)
    const { clip } = listed
    const skill = skillOfList(listed.skill)
    this.#store.missed(skill)
    const about = { ...descriptionOf(skill, clip), listed: !isOwnList(listed.skill) }
    if ((await this.#store.alias(clip.sha256, about)) !== null) {
      const open = this.#store.open(id)
      if (open !== null) return this.#fromDisk(open)
    }
    const download = await this.#fetch(clip, about, 'now')
    return {
      ...{ id, skill, bytes: clip.bytes, tag: clip.sha256, audio: clip.audio, from: 'network' },
      read: (start, endExclusive) => download.read(start, endExclusive),
      done: () => {},
    }
  }

  /** Renewed by asking whether the hub still has it, while the old one is played. */
  #renew(id: string, { content }: OpenClip): void {
    if (this.#renewing.has(id)) return
    this.#renewing.add(id)
    const sha256 = hex(Buffer.from(content.key, 'latin1'))
    const url = `${this.#settings.hubUrl}/clips/${sha256}`
    const asked = this.#ports.fetch.get({ url, range: { start: 0, endExclusive: 1 } })
    asked
      .then(async (answer) => {
        answer.cancel()
        if (answer.status === 206) await this.#store.renew(id)
        else if (answer.status === 404) await this.#store.remove(id)
      })
      .catch((caught: unknown) => this.#failed('clip not renewed', caught))
      .finally(() => this.#renewing.delete(id))
  }

  async #fetch(clip: ListedClip, about: Description, urgency: Urgency) {
    await this.#makeRoom(clip.bytes)
    return this.#fetcher.fetch(clip, about, urgency)
  }

  /** A clip of a list, before anybody asks for it. */
  async #ahead(skill: string, clip: ListedClip): Promise<void> {
    try {
      if (this.#closed || !this.#isListed(skill, clip)) return
      const here = this.#store.peek(clip.id)
      if (here !== null && here.content.key === keyOf(clip.sha256)) return
      if ((await this.#store.alias(clip.sha256, descriptionOf(skill, clip))) !== null) return
      // What would only push out what was just fetched is left until it is asked for.
      if (!this.#hasRoom(clip)) return
      const download = await this.#fetch(clip, descriptionOf(skill, clip), 'some time')
      const ended = await download.ended
      // Another clip of the same content may have been what was fetched.
      if (ended.ok && this.#store.peek(clip.id) === null) {
        await this.#store.alias(clip.sha256, descriptionOf(skill, clip))
      }
    } catch (caught) {
      this.#failed('clip not fetched ahead', caught)
    }
  }

  #isListed(skill: string, clip: ListedClip): boolean {
    const found = this.#catalog.find(clip.id)
    return found?.skill === skill && found.clip.sha256 === clip.sha256
  }

  #hasRoom(clip: ListedClip): boolean {
    const { now } = this.#store.figures()
    return now.sizeBytes + clip.bytes <= now.maxBytes && now.items < now.maxItems
  }

  /** What updates need stays free: clips give way, or the new one is not stored. */
  async #makeRoom(bytes: number): Promise<void> {
    const free = await this.#ports.files.freeBytes()
    const missing = bytes + this.#settings.reserveBytes - free
    if (missing > 0) await this.#store.giveWay(missing)
  }

  async put(about: NewClip, bytes: Uint8Array) {
    const { id, skill, language, ttlMs, pinned } = about
    checkName('clip', id)
    checkName('skill', skill)
    if (language !== null && !languageForm.test(language))
      raise('EB-CLIP-NAME', `${language} is not a language tag`)
    if (bytes.length > clipLimits.clipBytesMax) {
      raise('EB-CLIP-SIZE', `clip ${id} has ${bytes.length} bytes, limit ${clipLimits.clipBytesMax}`)
    }
    const audio = orThrow(checkClaims(orThrow(await readAudio(bytes, id)), about.claims, id))
    await this.#makeRoom(bytes.length)
    const free = await this.#ports.files.freeBytes()
    if (free < bytes.length + this.#settings.reserveBytes) {
      raise(
        'EB-CLIP-FULL',
        `clip ${id} has ${bytes.length} bytes, and the medium has no room besides the reserve`,
      )
    }
    const draft = this.#store.draft(about.private)
    try {
      await draft.writer.write(bytes)
      const finished = await draft.writer.finish()
      const described = { id, skill, audio, language, pinned, ttlMs, listed: false }
      const placed = await this.#store.place(draft, finished, described)
      const clip = this.#store.peek(id)
      if (clip === null) raise('EB-CLIP-FULL', `clip ${id} had to give way at once`)
      return { placed, clip }
    } catch (caught) {
      await this.#store.abandon(draft)
      throw caught
    }
  }

  peek(id: string): StoredClip | null {
    return this.#store.peek(id)
  }

  list(): Iterable<StoredClip> {
    return this.#store.list()
  }

  async remove(id: string): Promise<boolean> {
    await this.#sharing?.forget(id)
    return this.#store.remove(id)
  }

  forget(id: string): Promise<boolean> {
    return this.#store.forget(id)
  }

  invalidateSkill(skill: string): Promise<number> {
    return this.#store.invalidateSkill(skill)
  }

  invalidateContent(sha256: string): Promise<number> {
    return this.#store.invalidateContent(keyOf(sha256))
  }

  async clear(): Promise<void> {
    await this.#store.clear()
  }

  pin(id: string, pinned: boolean): Promise<boolean> {
    return this.#store.pin(id, pinned)
  }

  async share(id: string): Promise<number> {
    checkName('clip', id)
    if (this.#sharing === null) raise('EB-CONFIG', 'this device has no hub to share clips by')
    return this.#sharing.share(id)
  }

  prefetch(skill: string): number {
    const list = this.#catalog.get(skill)
    if (list === null) raise('EB-CLIP-MISSING', `there is no skill ${skill}`)
    const missing = list.clips.filter((it) => this.#store.peek(it.id)?.content.key !== keyOf(it.sha256))
    for (const clip of missing) void this.#ahead(skill, clip)
    return missing.length
  }

  stats(): ClipStats {
    const { now, life } = this.#store.figures()
    const { hits, misses } = life
    return {
      ...now,
      ...life,
      hitRate: hits + misses === 0 ? 0 : hits / (hits + misses),
      memoryBytes: this.#memory.bytes,
      memoryHits: this.#memoryHits,
      skills: [...this.#store.skillFigures()].map(({ id, items, bytes, hits: had, misses: missed }) => ({
        ...{ id, items, bytes, hits: had, misses: missed },
        seq: this.#catalog.get(id)?.seq ?? 0,
      })),
    }
  }

  announced(skill: string, payload: Uint8Array): Promise<void> {
    return this.#sync.announced(skill, payload)
  }

  linkUp(): void {
    this.#fetcher.linkUp()
    this.#sync.linkUp()
    this.#sharing?.settle().catch((caught: unknown) => this.#failed('own clips', caught))
  }

  giveWay(bytes: number): Promise<number> {
    return this.#store.giveWay(bytes)
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const cancel of this.#timers) cancel()
    this.#sync.close()
    await this.#fetcher.close()
    await this.#store.tidy(this.#settings.staleMs)
  }

  #every(intervalMs: number, work: () => Promise<void>): void {
    const index = this.#timers.length
    const again = (): void => {
      if (this.#closed) return
      this.#timers[index] = this.#ports.clock.timer(intervalMs, () => {
        work()
          .catch((caught: unknown) => this.#failed('clips', caught))
          .finally(again)
      })
    }
    again()
  }

  #failed(event: string, caught: unknown): void {
    const { code, what } = faultOf(caught)
    this.#ports.events.emit({ event, code, what })
  }
}

function descriptionOf(skill: string, clip: ListedClip): Description {
  const { id, audio, language, pinned = false, ttlSeconds } = clip
  const ttlMs = ttlSeconds === undefined ? null : ttlSeconds * 1000
  return { id, skill, audio, language, pinned, ttlMs, listed: true }
}

function playableOf({ id, skill, content }: StoredClip): Omit<Playable, 'read' | 'done' | 'from'> {
  const tag = hex(Buffer.from(content.key, 'latin1'))
  return { id, skill, bytes: content.bytes, tag, audio: content.audio }
}

function inMemory(
  about: Omit<Playable, 'read' | 'done' | 'from'>,
  bytes: Buffer,
  from: 'memory' | 'disk',
): Playable {
  return {
    ...about,
    from,
    async *read(start, endExclusive) {
      yield bytes.subarray(start, endExclusive)
    },
    done: () => {},
  }
}

function checkName(what: string, name: string): void {
  if (safeName.test(name)) return
  throw new EverbootError(nameFault(what, name))
}

function nameFault(what: string, name: string): Fault {
  return fault('EB-CLIP-NAME', `${JSON.stringify(name.slice(0, 80))} is no name of a ${what}`)
}
