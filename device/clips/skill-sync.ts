/**
 * Follows what the hub announces about skills: what changed is dropped, what is new is fetched ahead.
 * Promise: nothing of an announcement counts before its signature holds, nothing of a list before its hash does; an older or
 * repeated one changes nothing; list and drop are each one durable step, and a stop between them is made good at the next start.
 * Leaves to others: bytes of clips (clip-fetcher.ts), the list on the disk (catalog.ts).
 */
import { createHash } from 'node:crypto'
import { servingLimits } from '../../core/clip-limits.ts'
import { EverbootError, type Fault, fault, faultOf } from '../../core/errors.ts'
import { wireLimits } from '../../core/limits.ts'
import type { Clock, Events, Fetch } from '../../core/ports.ts'
import { fail, ok, type Result } from '../../core/result.ts'
import {
  type Announcement,
  decodeAnnouncement,
  decodeClipList,
  type ListedClip,
} from '../../core/wire/skills.ts'
import { openEnvelope } from '../../keys/envelope.ts'
import type { KeyRing, Verify } from '../../keys/public-key.ts'
import { fetchRange } from '../download/range-fetch.ts'
import type { TransferFault } from '../download/transfer-fault.ts'
import type { Catalog } from './catalog.ts'
import { type ClipStore, keyOf } from './clip-store.ts'
import { isOwnList } from './sharing.ts'
import { turns } from './turns.ts'

export interface SyncPorts {
  readonly fetch: Fetch
  readonly clock: Clock
  readonly events: Events
}

export interface SyncSettings {
  readonly hubUrl: string
  /** Keys that announcements are signed by. */
  readonly ring: KeyRing
  readonly verify: Verify
  /** Skills of this device; null: all. */
  readonly skills: ReadonlySet<string> | null
}

export interface SyncHost {
  /** These are the clips of the skill now; those that are not here are to be fetched some time. */
  changed(skill: string, clips: readonly ListedClip[]): void
}

export class SkillSync {
  readonly #ports: SyncPorts
  readonly #settings: SyncSettings
  readonly #store: ClipStore
  readonly #catalog: Catalog
  readonly #host: SyncHost
  readonly #oneByOne = turns()
  /** The newest announcement of each skill whose list could not be fetched yet. */
  readonly #pending = new Map<string, Announcement>()
  #cancelAgain: () => void = () => {}
  readonly #stopped = new AbortController()

  constructor(ports: SyncPorts, settings: SyncSettings, store: ClipStore, catalog: Catalog, host: SyncHost) {
    this.#ports = ports
    this.#settings = settings
    this.#store = store
    this.#catalog = catalog
    this.#host = host
  }

  /** Carries out lists that were kept and not carried out, and wants what is missing. */
  async begin(): Promise<void> {
    for (const { skill, seq, clips } of this.#catalog.skills()) {
      if (isOwnList(skill)) continue
      if (this.#store.skillSeq(skill) === seq) this.#host.changed(skill, clips)
      else await this.#tried(skill, () => this.#carryOut(skill, seq, clips))
    }
  }

  /** @param payload of the retained message of that skill; empty: there is none any more, which says nothing. */
  announced(skill: string, payload: Uint8Array): Promise<void> {
    return this.#oneByOne(async () => {
      if (payload.length === 0 || this.#stopped.signal.aborted) return
      if (this.#settings.skills?.has(skill) === false) return
      const opened = this.#open(skill, payload)
      if (!opened.ok) return this.#refuse(skill, opened.error)
      const { seq } = opened.value
      if (seq <= this.#known(skill)) return
      this.#pending.delete(skill)
      this.#pending.set(skill, opened.value)
      // Not all that waits: many are announced at once when a hub comes back.
      await this.#work([opened.value])
    })
  }

  /** The hub can be reached again. */
  linkUp(): void {
    void this.#oneByOne(() => this.#work([...this.#pending.values()]))
  }

  /** Returns when nothing is under way any more. */
  close(): Promise<void> {
    this.#stopped.abort()
    this.#cancelAgain()
    return this.#oneByOne(async () => {})
  }

  /** A list that was lost is taken again, but none that is older than what was carried out. */
  #known(skill: string): number {
    const kept = this.#catalog.get(skill)?.seq ?? this.#store.skillSeq(skill) - 1
    return Math.max(kept, this.#pending.get(skill)?.seq ?? 0)
  }

  #open(skill: string, payload: Uint8Array): Result<Announcement, Fault> {
    const { ring, verify } = this.#settings
    const what = `announcement of skill ${skill}`
    const signed = openEnvelope(payload, wireLimits.messageBytesMax, ring, verify, what)
    if (!signed.ok) return signed
    const announcement = decodeAnnouncement(signed.value)
    if (!announcement.ok) return announcement
    if (announcement.value.id === skill) return announcement
    return fail(fault('EB-MESSAGE', `${what} is that of skill ${announcement.value.id}`))
  }

  #refuse(skill: string, { code, what }: Fault): void {
    this.#ports.events.emit({ event: 'skill refused', skill, code, what })
  }

  /** What could not be carried out now is tried again in a while; a hub that is away is not asked for the rest. */
  async #work(announcements: readonly Announcement[]): Promise<void> {
    this.#cancelAgain()
    for (const announcement of announcements) {
      const skill = announcement.id
      if (this.#stopped.signal.aborted) return
      if (this.#pending.get(skill) !== announcement) continue
      this.#pending.delete(skill)
      const away = await this.#tried(skill, () => this.#take(announcement))
      if (away === null) continue
      // Next time it is the turn of others first.
      this.#pending.set(skill, announcement)
      if (away) break
    }
    if (this.#pending.size === 0 || this.#stopped.signal.aborted) return
    this.#cancelAgain = this.#ports.clock.timer(servingLimits.breakerMs, () => this.linkUp())
  }

  /** @returns null: it is done, or will never be; else it is to be done again, true: the hub is away */
  async #tried(skill: string, work: () => Promise<Result<true, TransferFault>>): Promise<boolean | null> {
    try {
      const done = await work()
      if (done.ok) return null
      this.#refuse(skill, done.error.fault)
      return done.error.class === 'network' ? true : null
    } catch (caught) {
      if (!(caught instanceof EverbootError)) throw caught
      this.#refuse(skill, faultOf(caught))
      return false
    }
  }

  async #take(announcement: Announcement): Promise<Result<true, TransferFault>> {
    const { id: skill, seq, version, list } = announcement
    const clips = list === null ? ok([]) : await this.#fetchList(skill, list)
    if (!clips.ok) return clips
    if (this.#stopped.signal.aborted) return ok(true)
    await this.#catalog.keep({ skill, seq, version, clips: clips.value })
    const done = await this.#carryOut(skill, seq, clips.value)
    this.#ports.events.emit({ event: 'skill', skill, seq, version, clips: clips.value.length })
    return done
  }

  /** What the list does not say any more goes; what it says and is not here is wanted. */
  async #carryOut(skill: string, seq: number, clips: readonly ListedClip[]): Promise<Result<true, never>> {
    const listed = new Map(clips.map((it) => [it.id, it]))
    await this.#store.applySkill(skill, seq, (clip) => {
      const now = listed.get(clip.id)
      // What was made on the device stays while the list does not say otherwise.
      return now === undefined ? clip.listed : keyOf(now.sha256) !== clip.content.key
    })
    this.#host.changed(skill, clips)
    return ok(true)
  }

  async #fetchList(
    skill: string,
    list: { readonly bytes: number; readonly sha256: string },
  ): Promise<Result<readonly ListedClip[], TransferFault>> {
    const { fetch, clock } = this.#ports
    const url = `${this.#settings.hubUrl}/clips/${list.sha256}`
    const range = { start: 0, endExclusive: list.bytes, fileBytes: list.bytes }
    const body = await fetchRange({ url, ...range, etag: null }, fetch, clock, this.#stopped.signal)
    if (!body.ok) return body
    const parts: Uint8Array[] = []
    for (;;) {
      const part = await body.value.read()
      if (!part.ok) return part
      if (part.value === null) break
      parts.push(part.value)
    }
    const bytes = Buffer.concat(parts)
    const final = (it: Fault): Result<never, TransferFault> =>
      fail({ class: 'final', fault: it, retryAfterMs: null })
    if (createHash('sha256').update(bytes).digest('hex') !== list.sha256) {
      return final(fault('EB-PIECE', `the list of skill ${skill} is not what was announced`))
    }
    const decoded = decodeClipList(bytes)
    return decoded.ok ? ok(decoded.value.clips) : final(decoded.error)
  }
}
