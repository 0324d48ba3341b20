/**
 * The lists of clips of skills, as the hub announced them: on the disk, sealed, and in memory by clip.
 * Promise: a list is replaced in one step; one that cannot be read is as none, and is fetched again when the hub
 * announces it; of two skills that list one clip the first keeps it.
 * Leaves to others: signatures and hashes, checked before `keep` (skill-sync.ts).
 */
import type { Entropy, FileStore } from '../../core/ports.ts'
import type { ListedClip } from '../../core/wire/skills.ts'
import { chunkSeal, fileNonceBytes } from './xchacha.ts'

/** A skill that is not withdrawn. */
export interface SkillList {
  readonly skill: string
  readonly seq: number
  readonly version: string
  readonly clips: readonly ListedClip[]
  /** Of a list of own clips: those that the hub has still to hear are gone (sharing.ts). */
  readonly forgotten?: readonly string[] | undefined
}

export interface CatalogParts {
  readonly files: FileStore
  readonly entropy: Entropy
  readonly lists: { readonly key: Uint8Array; nameOf(skill: string): string }
}

const form = Buffer.from('EBL1')
const prefix = 's'

export class Catalog {
  readonly #parts: CatalogParts
  readonly #skills = new Map<string, SkillList>()
  readonly #clips = new Map<string, { readonly skill: string; readonly clip: ListedClip }>()

  constructor(parts: CatalogParts) {
    this.#parts = parts
  }

  /** Reads what is kept. @returns how many files were unreadable; they are removed */
  async load(): Promise<number> {
    const { files } = this.#parts
    let lost = 0
    for (const name of await files.list()) {
      if (!name.startsWith(prefix)) continue
      const list = name.endsWith('.new') ? null : this.#read(await files.read(name))
      if (list === null) {
        await files.remove(name)
        if (!name.endsWith('.new')) lost += 1
      } else this.#add(list)
    }
    return lost
  }

  get(skill: string): SkillList | null {
    return this.#skills.get(skill) ?? null
  }

  find(clip: string): { readonly skill: string; readonly clip: ListedClip } | null {
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
    this.#remove(list.skill)
    this.#add(list)
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

  #add(list: SkillList): void {
    this.#skills.set(list.skill, list)
    for (const clip of list.clips) {
      if (!this.#clips.has(clip.id)) this.#clips.set(clip.id, { skill: list.skill, clip })
    }
  }

  #remove(skill: string): void {
    for (const { id } of this.#skills.get(skill)?.clips ?? []) {
      if (this.#clips.get(id)?.skill === skill) this.#clips.delete(id)
    }
    this.#skills.delete(skill)
  }
}
