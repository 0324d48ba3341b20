/**
 * Putting clips into the cache on the disk: policy, content and index hear of it together.
 * Promise: a clip that is refused changes nothing; one that the index could not be told of is not there, and its draft
 * still is; a clip that is put again keeps what is known of it, and the index hears of what changed.
 * Leaves to others: one piece of work after the other (clip-store.ts).
 */
import { present } from '../../core/assert.ts'
import { raise } from '../../core/errors.ts'
import type { PutRefusal, PutResult } from './cache-types.ts'
import type { Finished } from './content-file.ts'
import { type Draft, latin1 } from './contents.ts'
import type { IndexKeeper } from './index-keeper.ts'
import type { ClipRecord, ContentRecord } from './index-record.ts'
import type { Description, Placed, StoreState } from './store-types.ts'

/** Makes files and their names durable. */
export interface Sync {
  file(name: string): Promise<void>
  directory(): Promise<void>
}

export class Placing {
  readonly #state: StoreState
  readonly #index: IndexKeeper
  readonly #sync: Sync
  #next: number

  /** @param highest number of a clip so far */
  constructor(state: StoreState, index: IndexKeeper, sync: Sync, highest: number) {
    this.#state = state
    this.#index = index
    this.#sync = sync
    this.#next = highest + 1
  }

  /** A clip whose bytes were written to a draft. @throws as ClipStore.place */
  async place(draft: Draft, { sha256, bytes }: Finished, about: Description): Promise<Placed> {
    const { contents } = this.#state
    // A private content coincides with no other, whatever its bytes are.
    const key = draft.ownKey === null ? latin1(sha256) : latin1(draft.nonce) + latin1(draft.nonce)
    if (contents.has(key)) {
      const placed = await this.put(key, about, null, bytes)
      // Where it cannot be removed now, it is an orphan.
      await contents.abandon(draft).catch(() => {})
      return placed
    }
    await this.#sync.file(draft.file)
    await this.#sync.directory()
    return this.put(key, about, contents.recordOf(draft, key, bytes, about.audio), bytes)
  }

  /** @param fresh the content, when it is not known yet */
  async put(key: string, about: Description, fresh: ContentRecord | null, bytes: number): Promise<Placed> {
    const { cache, contents, clips } = this.#state
    const { id } = about
    // The policy may drop a content for this one: it must know it first.
    if (fresh !== null) contents.add(fresh)
    const before = clips.get(id)
    const how = this.#enter(key, about, bytes)
    if (isRefusal(how)) {
      if (fresh !== null) contents.take(key)
      return refused(how, about, bytes)
    }
    if (fresh !== null) contents.settle(key)
    const record = this.#recordOf(about, how === 'same' ? before : undefined)
    if (how === 'same' && before !== undefined) {
      if (saysTheSame(before, record)) return how
      this.#index.note({ kind: 'gone', clip: before.number })
    }
    this.#next += 1
    clips.set(id, record)
    let orphans: readonly string[]
    try {
      orphans = await this.#index.tell(fresh === null ? [record] : [fresh, record])
    } catch (caught) {
      cache.remove(id)
      if (fresh !== null) contents.spare(fresh)
      throw caught
    }
    // The clip is there, whatever becomes of the files of others.
    await contents.sweep(orphans).catch(() => {})
    return how
  }

  /** A list may pin more than there is room for: then the clip is there without its pin. */
  #enter(key: string, { id, skill, pinned, listed, ttlMs }: Description, bytes: number): PutResult {
    const { cache, age } = this.#state
    const it = { skill, content: key, bytes, ttlMs: ttlMs ?? undefined }
    const nowMs = age.nowMs()
    const how = cache.put(id, { ...it, pinned }, nowMs)
    return how === 'full' && pinned && listed ? cache.put(id, { ...it, pinned: false }, nowMs) : how
  }

  /** Of a clip that the policy has. @param same the record that it has already, with the same content */
  #recordOf({ id, skill, language, listed }: Description, same: ClipRecord | undefined): ClipRecord {
    const { cache, contents, age } = this.#state
    const entry = present(cache.peek(id), 'a clip that was put')
    const { pinned, addedMs, accesses, accessedMs } = entry
    return {
      kind: 'clip',
      number: this.#next,
      ...{ id, skill, language, pinned, listed, addedMs, accesses },
      content: present(contents.get(entry.content), 'its content').number,
      shared: same?.shared ?? false,
      createdMs: same?.createdMs ?? age.trustedWallMs(),
      expiresMs: entry.expiresMs ?? 0,
      lastAccessMs: accesses === 0 ? 0 : accessedMs,
    }
  }
}

export function isRefusal(how: PutResult): how is PutRefusal {
  return how === 'too-large' || how === 'full' || how === 'foreign' || how === 'expired'
}

/** Whether a clip that was put again is as it was, so that the index need not hear of it. */
function saysTheSame(one: ClipRecord, other: ClipRecord): boolean {
  const { language, listed, pinned, expiresMs } = other
  return (
    one.language === language && one.listed === listed && one.pinned === pinned && one.expiresMs === expiresMs
  )
}

function refused(how: PutRefusal, { id, skill }: Description, bytes: number): never {
  const size = `clip ${id} has ${bytes} bytes`
  switch (how) {
    case 'foreign':
      return raise('EB-CONFLICT', `clip ${id} belongs to another skill than ${skill}`)
    case 'too-large':
      return raise('EB-CLIP-SIZE', `${size}, more than the cache or its skill may hold`)
    case 'full':
      return raise('EB-CLIP-FULL', `${size}, and nothing else may give way`)
    case 'expired':
      return raise('EB-CLIP-MISSING', `clip ${id} would have expired already`)
  }
}
