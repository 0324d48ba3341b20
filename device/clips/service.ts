/**
 * The service of clips: store, catalog, network and memory tier put together.
 * Promise: what is stored is what its bytes say; callers' own callbacks cannot break the cache; when `close` returns,
 * nothing is under way that it began.
 * Leaves to others: gets (serving.ts), what is announced (skill-sync.ts), room (room.ts), order of prefetches (prefetch.ts).
 */
import { checkClaims } from '../../audio/claims.ts'
import { readAudio } from '../../audio/read-audio.ts'
import { clipLimits, indexLimits, servingLimits } from '../../core/clip-limits.ts'
import { errorTable, faultOf, orThrow, raise } from '../../core/errors.ts'
import { hex, safeName } from '../../core/units.ts'
import { type ClipStats, type ListedClip, languageForm } from '../../core/wire/skills.ts'
import type { Catalog } from './catalog.ts'
import { ClipFetcher } from './clip-fetcher.ts'
import type { ClipPorts, ClipService, ClipSettings, NewClip, Playable } from './clip-service.ts'
import { type ClipStore, keyOf } from './clip-store.ts'
import { MemoryTier } from './memory-tier.ts'
import { Prefetch } from './prefetch.ts'
import { Room } from './room.ts'
import { descriptionOf, Serving } from './serving.ts'
import { Sharing } from './sharing.ts'
import { SkillSync } from './skill-sync.ts'
import type { StoredClip } from './store-types.ts'

export class Service implements ClipService {
  onLeft: ClipService['onLeft'] = () => {}
  onFull: ClipService['onFull'] = () => {}
  readonly #ports: ClipPorts
  readonly #settings: ClipSettings
  readonly #store: ClipStore
  readonly #catalog: Catalog
  readonly #fetcher: ClipFetcher
  readonly #room: Room
  readonly #memory: MemoryTier
  readonly #serving: Serving
  readonly #prefetch: Prefetch
  readonly #sync: SkillSync
  readonly #sharing: Sharing | null
  /** What is being fetched ahead. */
  readonly #coming = new Set<Ahead>()
  #timers: (() => void)[] = []
  #closed = false

  constructor(ports: ClipPorts, settings: ClipSettings, store: ClipStore, catalog: Catalog) {
    const { clock, events, files, uplink } = ports
    this.#ports = ports
    this.#settings = settings
    this.#store = store
    this.#catalog = catalog
    this.#memory = new MemoryTier(settings.memoryBytes)
    const room = new Room(files, store, settings.reserveBytes)
    const fetcher = new ClipFetcher(ports, store, settings.hubUrl, (bytes, urgency, begin) =>
      room.make(bytes, urgency, begin),
    )
    room.fetching = () => fetcher.missingBytes
    this.#room = room
    this.#fetcher = fetcher
    const { staleMs } = settings
    this.#serving = new Serving({ store, catalog, fetcher, events, staleMs, memory: this.#memory })
    this.#prefetch = new Prefetch(clock, (skill, clip) => this.#ahead(skill, clip))
    this.#sync = new SkillSync(ports, settings, store, catalog, {
      changed: (skill, clips) => this.#prefetch.want(skill, clips),
    })
    this.#sharing = uplink === undefined ? null : new Sharing(store, catalog, uplink)
    this.#listen()
  }

  /** The policy must not be disturbed by what its listeners do. */
  #listen(): void {
    const { events } = this.#ports
    const safely = (work: () => void): void => {
      try {
        work()
      } catch (caught) {
        this.#failed('clip listener', caught)
      }
    }
    this.#store.onLeft = (clip, skill, why) => {
      events.emit({ event: 'clip left', clip, skill, why })
      safely(() => this.onLeft(clip, skill, why))
    }
    this.#store.onContentLeft = (key) => this.#memory.drop(key)
    this.#store.onFull = (bytes) => safely(() => this.onFull(bytes))
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
    return this.#serving.get(id)
  }

  async put(about: NewClip, bytes: Uint8Array) {
    const { id, skill, language, ttlMs, pinned } = about
    checkName('clip', id)
    checkName('skill', skill)
    if (language !== null && !languageForm.test(language))
      raise('EB-CLIP-NAME', `${JSON.stringify(language.slice(0, 80))} is not a language tag`)
    if (bytes.length > clipLimits.clipBytesMax) {
      raise('EB-CLIP-SIZE', `clip ${id} has ${bytes.length} bytes, limit ${clipLimits.clipBytesMax}`)
    }
    const audio = orThrow(checkClaims(orThrow(await readAudio(bytes, id)), about.claims, id))
    const described = { id, skill, audio, language, pinned, ttlMs, listed: false }
    const free = await this.#room.take(bytes.length)
    const stored = await this.#placed(described, about.private, bytes).finally(free)
    await this.#unshare(id, stored.clip.content)
    return stored
  }

  async #placed(
    described: Parameters<ClipStore['place']>[2],
    own: boolean,
    bytes: Uint8Array,
  ): ReturnType<ClipStore['place']> {
    const draft = this.#store.draft(own)
    try {
      await draft.writer.write(bytes)
      return await this.#store.place(draft, await draft.writer.finish(), described)
    } catch (caught) {
      await this.#store.abandon(draft).catch((other: unknown) => this.#failed('clip not removed', other))
      throw caught
    }
  }

  /**
   * What the hub holds for this device under that name must not come back. It hears of it when it can: nobody waits.
   * @param now the content that the clip has now
   */
  async #unshare(id: string, now: StoredClip['content'] | null = null): Promise<void> {
    await this.#sharing?.forget(id, now === null ? null : hex(Buffer.from(now.key, 'latin1')))
    this.#settle()
  }

  #settle(): void {
    this.#sharing?.settle().catch((caught: unknown) => this.#failed('own clips', caught))
  }

  peek(id: string): StoredClip | null {
    return this.#store.peek(id)
  }

  list(): Iterable<StoredClip> {
    return this.#store.list()
  }

  async remove(id: string): Promise<boolean> {
    await this.#unshare(id)
    return this.#store.remove(id)
  }

  async forget(id: string): Promise<boolean> {
    await this.#unshare(id)
    return this.#store.forget(id)
  }

  invalidateSkill(skill: string): Promise<number> {
    return this.#store.invalidateSkill(skill)
  }

  invalidateContent(sha256: string): Promise<number> {
    return this.#store.invalidateContent(keyOf(sha256))
  }

  clear(): Promise<void> {
    return this.#store.clear()
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
    this.#prefetch.want(skill, missing)
    return missing.length
  }

  /** A clip of a list, before anybody asks for it. @returns false when the hub could not give it */
  async #ahead(skill: string, clip: ListedClip): Promise<boolean> {
    const here = this.#store.peek(clip.id)
    const isHere = here !== null && (here.skill !== skill || here.content.key === keyOf(clip.sha256))
    if (isHere || this.#closed || !this.#isListed(skill, clip)) return true
    // What would only push out what was just fetched is left until it is asked for.
    if (!this.#hasRoom(skill, clip)) return true
    const coming = { skill, clip }
    this.#coming.add(coming)
    try {
      return await this.#bring(coming)
    } catch (caught) {
      this.#failed('clip not fetched ahead', caught)
      return errorTable[faultOf(caught).code].family !== 'network'
    } finally {
      this.#coming.delete(coming)
    }
  }

  async #bring({ skill, clip }: Ahead): Promise<boolean> {
    const wanted = (): boolean => !this.#closed && this.#isListed(skill, clip)
    const about = descriptionOf(skill, clip)
    if ((await this.#store.alias(clip.sha256, about)) !== null) return true
    const ended = await (await this.#fetcher.fetch({ clip, about, wanted }, 'some time')).ended
    // Another clip of the same content may have been what was fetched.
    if (ended.ok && wanted() && this.#store.peek(clip.id) === null)
      await this.#store.alias(clip.sha256, about)
    return ended.ok || errorTable[ended.error.code].family !== 'network'
  }

  #isListed(skill: string, clip: ListedClip): boolean {
    const found = this.#catalog.find(clip.id)
    return found?.skill === skill && found.clip.sha256 === clip.sha256
  }

  /** With all that is coming it is within the limits, so that nothing has to leave. */
  #hasRoom(skill: string, { sha256, bytes }: ListedClip): boolean {
    const { now } = this.#store.figures()
    const coming = [...this.#coming]
    const fresh = new Map(coming.map(({ clip }) => [clip.sha256, clip.bytes] as const)).set(sha256, bytes)
    let more = 0
    for (const [content, size] of fresh) more += this.#store.has(content) ? 0 : size
    if (now.sizeBytes + more > now.maxBytes || now.items + coming.length >= now.maxItems) return false
    const { quotas, quotaDefault } = this.#settings.limits
    const quota = quotas.get(skill) ?? quotaDefault
    if (quota === Number.POSITIVE_INFINITY) return true
    const its = coming.reduce((sum, it) => sum + (it.skill === skill ? it.clip.bytes : 0), bytes)
    return this.#bytesOf(skill) + its <= quota
  }

  #bytesOf(skill: string): number {
    for (const it of this.#store.skillFigures()) if (it.id === skill) return it.bytes
    return 0
  }

  stats(): ClipStats {
    const { now, life } = this.#store.figures()
    const { hits, misses } = life
    return {
      ...now,
      ...life,
      hitRate: hits + misses === 0 ? 0 : hits / (hits + misses),
      memoryBytes: this.#memory.bytes,
      memoryHits: this.#serving.memoryHits,
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
    this.#prefetch.goOn()
    this.#sync.linkUp()
    this.#settle()
  }

  giveWay(bytes: number): Promise<number> {
    return this.#store.giveWay(bytes)
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const cancel of this.#timers) cancel()
    this.#prefetch.close()
    await this.#sync.close()
    await this.#fetcher.close()
    await this.#sharing?.close()
    await this.#store.tidy(this.#settings.staleMs).catch((caught: unknown) => this.#failed('clips', caught))
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

/** A clip of a list that nobody has asked for. */
interface Ahead {
  readonly skill: string
  readonly clip: ListedClip
}

function checkName(what: string, name: string): void {
  if (!safeName.test(name))
    raise('EB-CLIP-NAME', `${JSON.stringify(name.slice(0, 80))} is no name of a ${what}`)
}
