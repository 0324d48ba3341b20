/**
 * Clips of this device that the hub keeps too: stored there when they are shared, fetched back when they had to give way.
 * Promise: the hub is asked whether it has a content before a byte of it is sent, and a device that only knows a hash gets
 * nothing by it: it proves that it holds the bytes; private clips never leave the device.
 * Leaves to others: the requests (adapters/hub-uplink.ts), fetching back (clip-fetcher.ts).
 */
import { createHash } from 'node:crypto'
import { listEntry } from '../../audio/list-entry.ts'
import { raise } from '../../core/errors.ts'
import { hex } from '../../core/units.ts'
import type { Catalog, SkillList } from './catalog.ts'
import type { ClipStore } from './clip-store.ts'
import type { StoredClip } from './store-types.ts'
import { turns } from './turns.ts'

/** The hub, as a device that has something to store there sees it. Every call may throw a coded network fault. */
export interface ClipUplink {
  /** @returns a challenge (hex) when the hub has the content, null when it has not */
  have(sha256: string): Promise<string | null>
  /** @returns false when the hub does not believe it. @param proof hex of SHA-256(challenge ‖ content) */
  claim(sha256: string, clip: string, challenge: string, proof: string): Promise<boolean>
  upload(sha256: string, clip: string, content: Uint8Array): Promise<void>
  /** The hub may forget it. */
  drop(clip: string): Promise<void>
}

/** Own clips are listed under the name of their skill with this before it, which no skill can have. */
const ownMark = '~'

export function isOwnList(skill: string): boolean {
  return skill.startsWith(ownMark)
}

/** The skill that a list belongs to, own or announced. */
export function skillOfList(skill: string): string {
  return isOwnList(skill) ? skill.slice(ownMark.length) : skill
}

export class Sharing {
  readonly #store: ClipStore
  readonly #catalog: Catalog
  readonly #uplink: ClipUplink
  /** Lists and hub hear of one thing after the other. */
  readonly #lists = turns()
  readonly #hub = turns()
  #closed = false

  constructor(store: ClipStore, catalog: Catalog, uplink: ClipUplink) {
    this.#store = store
    this.#catalog = catalog
    this.#uplink = uplink
  }

  /** @returns bytes that were sent. @throws EverbootError EB-CLIP-MISSING, EB-CLIP-PRIVATE, EB-CLIP-DAMAGED, a fault of the network */
  share(id: string): Promise<number> {
    return this.#hub(async () => {
      const clip = this.#store.peek(id) ?? raise('EB-CLIP-MISSING', `there is no clip ${id}`)
      if (clip.private) raise('EB-CLIP-PRIVATE', `clip ${id} is private`)
      const sha256 = hex(Buffer.from(clip.content.key, 'latin1'))
      if (clip.shared && this.#ownLists(id).some((it) => it.sha256 === sha256)) return 0
      const content = await this.#contentOf(clip)
      const sent = await this.#give(sha256, id, content)
      const { audio } = clip.content
      const entry = listEntry(id, content, audio, { language: clip.language, pinned: clip.pinned })
      await this.#list(clip.skill, ({ clips, forgotten }) => ({
        clips: [...clips.filter((it) => it.id !== id), entry],
        forgotten: forgotten?.filter((it) => it !== id),
      }))
      if (this.#store.peek(id)?.content.number === clip.content.number) await this.#store.markShared(id)
      else await this.forget(id)
      return sent
    })
  }

  /**
   * The clip is not to come back from the hub, which hears of it by `settle`.
   * @param now SHA-256 of the content that it has now, in hex; with that it may come back
   */
  async forget(id: string, now: string | null = null): Promise<void> {
    for (const { skill, sha256 } of this.#ownLists(id)) {
      if (sha256 === now) continue
      await this.#list(skill, ({ clips, forgotten = [] }) => ({
        clips: clips.filter((it) => it.id !== id),
        forgotten: [...forgotten, id],
      }))
    }
  }

  /** The hub can be reached: it hears what was forgotten here meanwhile. */
  settle(): Promise<void> {
    return this.#hub(async () => {
      for (const { skill, forgotten = [] } of [...this.#catalog.skills()]) {
        if (!isOwnList(skill) || forgotten.length === 0) continue
        for (const id of forgotten) {
          if (this.#closed) return
          await this.#uplink.drop(id)
        }
        if (this.#closed) return
        await this.#list(skillOfList(skill), (own) => ({
          clips: own.clips,
          forgotten: own.forgotten?.filter((it) => !forgotten.includes(it)),
        }))
      }
    })
  }

  /** Nothing is written any more when it returns; what the hub has not heard it hears another time. */
  close(): Promise<void> {
    this.#closed = true
    return this.#lists(async () => {})
  }

  async #give(sha256: string, id: string, content: Uint8Array): Promise<number> {
    const challenge = await this.#uplink.have(sha256)
    if (challenge !== null) {
      const proof = createHash('sha256').update(Buffer.from(challenge, 'hex')).update(content).digest('hex')
      if (await this.#uplink.claim(sha256, id, challenge, proof)) return 0
    }
    await this.#uplink.upload(sha256, id, content)
    return content.length
  }

  async #contentOf(clip: StoredClip): Promise<Buffer> {
    const open = this.#store.lease(clip.content.key)
    const bytes = open === null ? null : await open.whole().finally(() => open.done())
    return bytes ?? raise('EB-CLIP-DAMAGED', `clip ${clip.id} cannot be read`)
  }

  /** Own lists that name a clip; an announced list may name it, too. */
  #ownLists(id: string): readonly { readonly skill: string; readonly sha256: string }[] {
    return [...this.#catalog.skills()].flatMap(({ skill, clips }) => {
      const clip = isOwnList(skill) ? clips.find((it) => it.id === id) : undefined
      return clip === undefined ? [] : [{ skill: skillOfList(skill), sha256: clip.sha256 }]
    })
  }

  #list(skill: string, change: (own: Own) => Own): Promise<void> {
    return this.#lists(async () => {
      if (this.#closed) raise('EB-CANCELLED', 'the clip cache is being closed', { todo: 'do it again' })
      const name = ownMark + skill
      const before = this.#catalog.get(name)
      const own = change(before ?? { clips: [] })
      await this.#catalog.keep({ skill: name, seq: (before?.seq ?? 0) + 1, version: 'own', ...own })
    })
  }
}

type Own = Pick<SkillList, 'clips' | 'forgotten'>
