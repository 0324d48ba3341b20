/**
 * Clips of this device that the hub keeps too: stored there when they are shared, fetched back when they had to give way.
 * Promise: the hub is asked whether it has a content before a byte of it is sent, and a device that only knows a hash gets
 * nothing by it: it proves that it holds the bytes; private clips never leave the device.
 * Leaves to others: the requests (adapters/hub-uplink.ts), fetching back (clip-fetcher.ts).
 */
import { createHash } from 'node:crypto'
import { listEntry } from '../../audio/list-entry.ts'
import { EverbootError, raise } from '../../core/errors.ts'
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
  /** A list is changed by one at a time. */
  readonly #oneByOne = turns()

  constructor(store: ClipStore, catalog: Catalog, uplink: ClipUplink) {
    this.#store = store
    this.#catalog = catalog
    this.#uplink = uplink
  }

  /** @returns bytes that were sent. @throws EverbootError EB-CLIP-MISSING, EB-CLIP-PRIVATE, EB-CLIP-DAMAGED, a fault of the network */
  async share(id: string): Promise<number> {
    const clip = this.#store.peek(id) ?? raise('EB-CLIP-MISSING', `there is no clip ${id}`)
    if (clip.private) raise('EB-CLIP-PRIVATE', `clip ${id} is private`)
    if (clip.shared) return 0
    const content = await this.#contentOf(clip)
    const sha256 = hex(Buffer.from(clip.content.key, 'latin1'))
    const sent = await this.#give(sha256, id, content)
    const { audio } = clip.content
    const entry = listEntry(id, content, audio, { language: clip.language, pinned: clip.pinned })
    await this.#list(clip.skill, ({ clips, forgotten }) => ({
      clips: [...clips.filter((it) => it.id !== id), entry],
      forgotten: forgotten?.filter((it) => it !== id),
    }))
    await this.#store.markShared(id)
    return sent
  }

  /** The clip is not to come back from the hub; the hub hears of it now, or by `settle`. */
  async forget(id: string): Promise<void> {
    const found = this.#catalog.find(id)
    if (found === null || !isOwnList(found.skill)) return
    const skill = skillOfList(found.skill)
    await this.#list(skill, ({ clips, forgotten = [] }) => ({
      clips: clips.filter((it) => it.id !== id),
      forgotten: [...forgotten, id],
    }))
    await this.#tell(skill, [id]).catch((caught: unknown) => {
      if (!(caught instanceof EverbootError)) throw caught
    })
  }

  /** The hub can be reached: it hears what was forgotten here meanwhile. */
  async settle(): Promise<void> {
    for (const { skill, forgotten = [] } of [...this.#catalog.skills()]) {
      if (isOwnList(skill) && forgotten.length > 0) await this.#tell(skillOfList(skill), forgotten)
    }
  }

  async #tell(skill: string, forgotten: readonly string[]): Promise<void> {
    for (const id of forgotten) await this.#uplink.drop(id)
    await this.#list(skill, (own) => ({
      clips: own.clips,
      forgotten: own.forgotten?.filter((it) => !forgotten.includes(it)),
    }))
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

  #list(skill: string, change: (own: Own) => Own): Promise<void> {
    return this.#oneByOne(async () => {
      const name = ownMark + skill
      const before = this.#catalog.get(name)
      const own = change(before ?? { clips: [] })
      await this.#catalog.keep({ skill: name, seq: (before?.seq ?? 0) + 1, version: 'own', ...own })
    })
  }
}

type Own = Pick<SkillList, 'clips' | 'forgotten'>
