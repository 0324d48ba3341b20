/**
 * The lists of clips of skills, as the hub announced them: on the disk, sealed, and in memory by clip.
 * Promise: a list is replaced in one step; one that cannot be read is as none, and is fetched again when the hub
 * announces it; of two skills that list one clip the first keeps it, until it does not list it any more.
 * Leaves to others: signatures and hashes, checked before `keep` (skill-sync.ts).
 */
import type { Entropy, FileStore } from '../../core/ports.ts'
import type { ListedClip } from '../../core/wire/skills.ts'
import { chunkSeal, fileNonceBytes } from './xchacha.ts'

/** What a skill lists; nothing when it is withdrawn. */
export interface SkillList {
  readonly skill: string
  readonly seq: number
  readonly version: string
  readonly clips: readonly ListedClip[]
  /** Of a list of own clips: those that the hub has still to hear are gone (sharing.ts). */
  readonly forgotten?: readonly string[] | undefined
}

/** A clip, and the skill whose list it is of. */
export interface Listing {
  readonly skill: string
  readonly clip: ListedClip
}

export interface CatalogParts {
  readonly files: FileStore
  readonly entropy: Entropy
  readonly lists: { readonly key: Uint8Array; nameOf(skill: string): string }
}

const form = Buffer.from('EBL1')

/** Of a list, or of one that was not finished. */
export function isListFile(name: string): boolean {
  return /^s[0-9a-f]{32}(\.new)?$/.test(name)
}

export class Catalog {
  readonly #parts: CatalogParts
  readonly #skills = new Map<string, SkillList>()
  readonly #clips = new Map<string, Listing>()
  /** By clip: who lists it besides the one that has it, the first first. */
  readonly #others = new Map<string, readonly Listing[]>()

  constructor(parts: CatalogParts) {
    this.#parts = parts
  }

  /** Reads what is kept. @returns how many files were unreadable; they are removed */
  async load(): Promise<number> {
    const { files } = this.#parts
    const lists: SkillList[] = []
    let lost = 0
    for (const name of await files.list()) {
      if (!isListFile(name)) continue
      const list = name.endsWith('.new') ? null : this.#read(await files.read(name))
      if (list !== null) {
        lists.push(list)
        continue
      }
      await files.remove(name)
      if (!name.endsWith('.new')) lost += 1
    }
    // Who was first is not known any more: the older list, whatever the order of the files.
    lists.sort((one, other) => one.seq - other.seq || (one.skill < other.skill ? -1 : 1))
    for (const list of lists) this.#take(list)
    return lost
  }

  get(skill: string): SkillList | null {
    return this.#skills.get(skill) ?? null
  }

  find(clip: string): Listing | null {
    return this.#clips.get(clip) ?? null
  }

  skills(): Iterable<SkillList> {
    return this.#skills.values()
  }

  /** Durable when it returns. */
  async keep(list: SkillList): Promise<void> {
    const { files, entropy, lists } = this.#parts
    const name = lists.nameOf(list.skill)
    const nonce = entropy.bytes(fileNonceBytes)
    const sealed = chunkSeal(lists.key, nonce).seal(0, true, Buffer.from(JSON.stringify(list)))
    await files.write(`${name}.new`, Buffer.concat([form, nonce, sealed]))
    await files.syncFile(`${name}.new`)
    await files.rename(`${name}.new`, name)
    await files.syncDir()
    this.#take(list)
  }

  #read(bytes: Uint8Array | null): SkillList | null {
    if (bytes === null) return null
    const file = Buffer.from(bytes)
    const nonce = file.subarray(form.length, form.length + fileNonceBytes)
    if (!file.subarray(0, form.length).equals(form) || nonce.length < fileNonceBytes) return null
    const clear = chunkSeal(this.#parts.lists.key, nonce).open(
      0,
      true,
      file.subarray(form.length + fileNonceBytes),
    )
    // Only `keep` seals with this key: what opens is what it was given.
    return clear === null ? null : (JSON.parse(clear.toString('utf8')) as SkillList)
  }

  #take(list: SkillList): void {
    const { skill, clips } = list
    const ids = new Set(clips.map(({ id }) => id))
    for (const { id } of this.#skills.get(skill)?.clips ?? []) {
      if (!ids.has(id)) this.#leave(id, skill)
    }
    for (const clip of clips) this.#enter({ skill, clip })
    this.#skills.delete(skill)
    this.#skills.set(skill, list)
  }

  #enter(it: Listing): void {
    const { id } = it.clip
    const has = this.#clips.get(id)
    if (has === undefined || has.skill === it.skill) {
      this.#clips.set(id, it)
      return
    }
    const others = this.#others.get(id) ?? []
    const at = others.findIndex(({ skill }) => skill === it.skill)
    this.#others.set(id, at < 0 ? [...others, it] : others.with(at, it))
  }

  #leave(id: string, skill: string): void {
    const others = (this.#others.get(id) ?? []).filter((it) => it.skill !== skill)
    if (this.#clips.get(id)?.skill === skill) {
      const next = others.shift()
      if (next === undefined) this.#clips.delete(id)
      else this.#clips.set(id, next)
    }
    if (others.length === 0) this.#others.delete(id)
    else this.#others.set(id, others)
  }
}
