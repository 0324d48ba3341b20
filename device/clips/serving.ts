/**
 * A clip by its id, from memory, disk or the hub.
 * Promise: every byte handed out was checked, by its seal or by the signed list; what is damaged is dropped, fetched again
 * and never played; each get of a clip that is there or listed counts once, as a hit or a miss.
 * Leaves to others: room and order of what is fetched (clip-fetcher.ts), figures of the cache (clip-store.ts).
 */
import { EverbootError, faultOf, raise } from '../../core/errors.ts'
import type { Events } from '../../core/ports.ts'
import { hex } from '../../core/units.ts'
import type { ListedClip } from '../../core/wire/skills.ts'
import type { Catalog } from './catalog.ts'
import type { ClipFetcher } from './clip-fetcher.ts'
import type { Playable } from './clip-service.ts'
import { type ClipStore, keyOf } from './clip-store.ts'
import type { Reading } from './contents.ts'
import type { ContentRecord } from './index-record.ts'
import type { MemoryTier } from './memory-tier.ts'
import { isOwnList, skillOfList } from './sharing.ts'
import type { Description, OpenClip } from './store-types.ts'

export interface ServingParts {
  readonly store: ClipStore
  readonly catalog: Catalog
  readonly fetcher: ClipFetcher
  readonly memory: MemoryTier
  readonly events: Events
  /** An expired clip may be served for so long while it is renewed; 0: never. */
  readonly staleMs: number
}

type About = Omit<Playable, 'read' | 'done' | 'from'>

export class Serving {
  readonly #parts: ServingParts
  readonly #renewing = new Set<string>()
  #memoryHits = 0

  constructor(parts: ServingParts) {
    this.#parts = parts
  }

  get memoryHits(): number {
    return this.#memoryHits
  }

  /** @throws EverbootError EB-CLIP-MISSING, EB-CLIP-DAMAGED, EB-HUB-UNREACHABLE, … */
  async get(id: string): Promise<Playable> {
    const { store, catalog } = this.#parts
    const open = this.#stale(id) ?? store.open(id)
    if (open !== null) return this.#fromDisk(aboutOf(id, open.clip.skill, open.content), open)
    const listed = catalog.find(id)
    if (listed !== null) store.missed(skillOfList(listed.skill))
    return this.#fromHub(id)
  }

  /** What a skill lists may be served when it has expired, while the hub is asked whether it still has it. */
  #stale(id: string): OpenClip | null {
    const { store, catalog, staleMs } = this.#parts
    const listed = staleMs > 0 ? catalog.find(id) : null
    if (listed === null || store.peek(id)?.content.key !== keyOf(listed.clip.sha256)) return null
    const stale = store.stale(id, staleMs)
    if (stale !== null) void this.#renew(listed.clip)
    return stale
  }

  async #renew(clip: ListedClip): Promise<void> {
    const { store, fetcher, events } = this.#parts
    const { id, sha256 } = clip
    if (this.#renewing.has(id)) return
    this.#renewing.add(id)
    try {
      const there = await fetcher.ask(sha256)
      if (there === true) await store.renew(id, keyOf(sha256), ttlOf(clip))
      else if (there === false && store.peek(id)?.content.key === keyOf(sha256)) await store.remove(id)
    } catch (caught) {
      const { code, what } = faultOf(caught)
      events.emit({ event: 'clip not renewed', clip: id, code, what })
    } finally {
      this.#renewing.delete(id)
    }
  }

  /** When the file is damaged, every clip that referred to it leaves, and the hub is asked. */
  async #fromDisk(about: About, reading: Reading): Promise<Playable> {
    const { store, memory } = this.#parts
    const { content } = reading
    const kept = memory.get(content.key)
    if (kept !== null) {
      this.#memoryHits += 1
      reading.done()
      return inMemory(about, kept, 'memory')
    }
    if (!memory.takes(content.bytes)) return this.#streamed(about, reading)
    const bytes = await this.#whole(about, reading).finally(() => reading.done())
    if (bytes === null) {
      await this.#damaged(about, content)
      return this.#again(about)
    }
    // It may have been forgotten meanwhile.
    if (store.peek(about.id)?.content.number === content.number) memory.put(content.key, bytes)
    return inMemory(about, bytes, 'disk')
  }

  async #whole(about: About, reading: Reading): Promise<Buffer | null> {
    try {
      return await reading.whole()
    } catch (caught) {
      if (this.#isReplaceable(about, caught)) return null
      throw caught
    }
  }

  /** A medium that cannot read what can be fetched again is as one that has damaged it. */
  #isReplaceable({ id, tag }: About, caught: unknown): boolean {
    if (!(caught instanceof EverbootError) || caught.fault.code !== 'EB-DATA-IO') return false
    return this.#parts.catalog.find(id)?.clip.sha256 === tag
  }

  #streamed(about: About, reading: Reading): Playable {
    const stream = (start: number, endExclusive: number) => this.#stream(about, reading, start, endExclusive)
    return { ...about, from: 'disk', read: stream, done: () => reading.done() }
  }

  /** What turns out to be damaged on the way comes from the hub from there on. */
  async *#stream(
    about: About,
    reading: Reading,
    start: number,
    endExclusive: number,
  ): AsyncGenerator<Uint8Array> {
    let at = start
    try {
      for await (const part of reading.part(start, endExclusive)) {
        if (part === null) break
        at += part.length
        yield part
      }
    } catch (caught) {
      if (!this.#isReplaceable(about, caught)) throw caught
    }
    if (at === endExclusive) return
    await this.#damaged(about, reading.content)
    const again = await this.#again(about)
    try {
      if (again.tag !== about.tag) raiseDamaged(about)
      yield* again.read(at, endExclusive)
    } finally {
      again.done()
    }
  }

  async #damaged({ id }: About, content: ContentRecord): Promise<void> {
    this.#parts.events.emit({ event: 'clip damaged', clip: id })
    await this.#parts.store.damaged(content)
  }

  async #again(about: About): Promise<Playable> {
    return this.#parts.catalog.find(about.id) === null ? raiseDamaged(about) : this.#fromHub(about.id)
  }

  async #fromHub(id: string): Promise<Playable> {
    const { catalog, fetcher } = this.#parts
    const listed = catalog.find(id)
    if (listed === null) raise('EB-CLIP-MISSING', `there is no clip ${id}`)
    const { clip } = listed
    const described = descriptionOf(listed.skill, clip)
    const here = await this.#alias(clip, described)
    if (here !== null) return this.#fromDisk(aboutOf(id, described.skill, here.content), here)
    const wanted = (): boolean => {
      const now = catalog.find(id)
      return now?.skill === listed.skill && now.clip.sha256 === clip.sha256
    }
    const download = await fetcher.fetch({ clip, about: described, wanted }, 'now')
    // Whoever joins a download gets what it brings: of one content there is one length.
    const { bytes } = download.clip
    return {
      ...{ id, skill: described.skill, bytes, tag: clip.sha256, audio: clip.audio, from: 'network' },
      read: (start, endExclusive) => download.read(start, endExclusive),
      done: download.hold(),
    }
  }

  /** Another clip may have brought the content. One for which there is no room is heard all the same. */
  async #alias(clip: ListedClip, described: Description): Promise<Reading | null> {
    const { store, events } = this.#parts
    const reading = store.lease(keyOf(clip.sha256))
    if (reading === null) return null
    try {
      await store.alias(clip.sha256, described)
    } catch (caught) {
      const { code, what } = faultOf(caught)
      events.emit({ event: 'clip not kept', clip: clip.id, code, what })
    }
    return reading
  }
}

/** @param list as the catalog names it: own lists are of clips that were made on the device */
export function descriptionOf(list: string, clip: ListedClip): Description {
  const { id, audio, language, pinned = false } = clip
  const skill = skillOfList(list)
  return { id, skill, audio, language, pinned, ttlMs: ttlOf(clip), listed: !isOwnList(list) }
}

function ttlOf({ ttlSeconds }: ListedClip): number | null {
  return ttlSeconds === undefined ? null : ttlSeconds * 1000
}

function aboutOf(id: string, skill: string, { key, bytes, audio }: ContentRecord): About {
  return { id, skill, bytes, tag: hex(Buffer.from(key, 'latin1')), audio }
}

function inMemory(about: About, bytes: Buffer, from: 'memory' | 'disk'): Playable {
  return {
    ...about,
    from,
    async *read(start, endExclusive) {
      yield bytes.subarray(start, endExclusive)
    },
    done: () => {},
  }
}

function raiseDamaged({ id }: About): never {
  raise('EB-CLIP-DAMAGED', `clip ${id} is damaged on the medium, and nobody else has it`)
}
