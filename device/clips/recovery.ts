/**
 * Opens the clip cache after a start, whatever a loss of power or the medium has left of it.
 * Promise: what comes out agrees with itself: every clip has a content, every content a file, every file a content;
 * what cannot be trusted any more is forgotten, never guessed. A lost key costs everything, a damaged frame of changes
 * costs what was known before it, anything else costs itself.
 * Leaves to others: bytes inside the files, which are checked when they are read (content-file.ts).
 */
import { type Fault, fault } from '../../core/errors.ts'
import type { ClipFiles, Clock, Entropy } from '../../core/ports.ts'
import type { CacheLimits } from './cache-types.ts'
import { isListFile } from './catalog.ts'
import { createClipCache } from './clip-cache.ts'
import { cacheKeys, keyFile, makeClipKey, nextKeyFile, openClipKey } from './clip-key.ts'
import { ClipStore } from './clip-store.ts'
import { Contents, fileOf, isContentFile } from './contents.ts'
import { type AgeMark, deviceAge } from './device-age.ts'
import { type Figures, figuresOf } from './figures.ts'
import { IndexKeeper } from './index-keeper.ts'
import { indexFile, nextIndexFile, openIndex } from './index-log.ts'
import type { ClipRecord, ContentRecord, IndexRecord } from './index-record.ts'
import { Placing } from './placing.ts'
import { type Row, restore } from './restore.ts'

export interface StoreParts {
  readonly files: ClipFiles
  readonly entropy: Entropy
  readonly clock: Pick<Clock, 'monotonicMs' | 'wallMs'>
  /** 32 bytes, of the device. */
  readonly wrappingKey: Uint8Array
  /** A wall clock before that is wrong. */
  readonly earliestWallMs: number
}

export interface OpenedStore {
  readonly store: ClipStore
  /** Key of the lists of skills, which lie beside the clips. */
  readonly lists: { readonly key: Uint8Array; nameOf(skill: string): string }
  /** What was lost, for the log and the hub; empty after an orderly start. */
  readonly lost: readonly Fault[]
}

/** @throws EverbootError EB-DATA-IO, EB-DATA-FULL */
export async function openClipStore(parts: StoreParts, limits: CacheLimits): Promise<OpenedStore> {
  const { files, entropy, clock } = parts
  const lost: Fault[] = []
  const keys = cacheKeys(await keyOf(parts, lost))
  const found = new Found()
  const { found: index, log } = await openIndex({ files, entropy, key: keys.index }, found)
  const names = new Set(await files.list())
  const gone = index.state === 'missing' && [...names].some(isContentFile)
  if (gone || index.state === 'foreign' || index.damage === 'inside') {
    lost.push(fault('EB-CLIP-INDEX', `the index of the clip cache is ${gone ? 'missing' : 'damaged'}`))
  }
  const contents = new Contents(files, entropy, keys.contents, found.highestContent)
  let store: ClipStore | null = null
  const cache = createClipCache(limits, {
    left: (...it) => store?.left(...it),
    contentLeft: (content) => store?.contentLeft(content),
    full: (bytes) => store?.full(bytes),
  })
  const age = deviceAge(clock, parts.earliestWallMs, found.age)
  const { skills, figures } = found
  const state = { cache, contents, clips: new Map(), skills, figures, age, log }
  const keeper = new IndexKeeper(state)
  const sync = { file: files.syncFile, directory: files.syncDir }
  store = new ClipStore(state, keeper, new Placing(state, keeper, sync, found.highest))
  const missing = restore(state, keeper, found.rows(names))
  if (missing > 0) lost.push(fault('EB-CLIP-INDEX', `${missing} clips of the cache have lost their files`))
  // First, since they take room that the index may need.
  await removeStrays(files, names, contents)
  const whole = index.state === 'read' && index.damage === 'none'
  await store.begin(!whole || missing > 0)
  return {
    store,
    lists: { key: keys.lists, nameOf: (skill) => keys.nameOf('s', Buffer.from(skill)) },
    lost,
  }
}

/** The key of the cache. Without it nothing that lies there says anything: it goes. */
async function keyOf({ files, entropy, wrappingKey }: StoreParts, lost: Fault[]): Promise<Uint8Array> {
  const opened = await openClipKey(files, wrappingKey)
  if ('key' in opened) return opened.key
  const names = (await files.list()).filter(isOfCache)
  // A key that was not finished leaves nothing but itself.
  if (opened.lost === 'unreadable' || names.some((it) => it !== nextKeyFile)) {
    lost.push(fault('EB-CLIP-KEY', `the key of the clip cache is ${opened.lost}`))
  }
  // The index first: without it the files are strays, whenever the power goes.
  for (const name of [indexFile, ...names]) await files.remove(name)
  await files.syncDir()
  return makeClipKey(files, wrappingKey, entropy)
}

const ownFiles: ReadonlySet<string> = new Set([indexFile, nextIndexFile, keyFile, nextKeyFile])

/** Something else may lie in the directory, such as a lock. */
function isOfCache(name: string): boolean {
  return ownFiles.has(name) || isContentFile(name) || isListFile(name)
}

/** Files that nothing knows: of drafts, of contents that left, of an index that was not finished. */
async function removeStrays(files: ClipFiles, names: ReadonlySet<string>, contents: Contents): Promise<void> {
  // What left just now goes once the index has forgotten it.
  const leaving = contents.orphans()
  contents.keepOrphans(leaving)
  const known = new Set(leaving)
  for (const record of contents.records()) known.add(fileOf(record))
  for (const name of names) {
    const stray = isContentFile(name) ? !known.has(name) : name === nextIndexFile || name === nextKeyFile
    if (stray) await files.remove(name)
  }
}

/** What the index said, record by record. */
class Found {
  age: AgeMark | null = null
  figures: Figures = figuresOf([])
  readonly skills = new Map<string, number>()
  /** Highest numbers of a clip and a content that were ever seen. */
  highest = 0
  highestContent = 0
  readonly #contents = new Map<number, ContentRecord>()
  /** By number, the least recently used first. */
  readonly #clips = new Map<number, ClipRecord>()

  record(it: IndexRecord): void {
    switch (it.kind) {
      case 'content':
        this.highestContent = Math.max(this.highestContent, it.number)
        this.#contents.set(it.number, it)
        break
      case 'clip':
        this.highest = Math.max(this.highest, it.number)
        this.#clips.set(it.number, it)
        break
      case 'gone':
        this.#clips.delete(it.clip)
        break
      case 'used':
        this.#use(it.clip, it.accesses, it.lastAccessMs)
        break
      case 'pinned':
        this.#edit(it.clip, { pinned: it.pinned })
        break
      case 'shared':
        this.#edit(it.clip, { shared: true })
        break
      case 'skill':
        this.skills.set(it.skill, it.seq)
        break
      case 'age':
        this.age = it
        break
      case 'figures':
        this.figures = figuresOf(it.figures)
    }
  }

  /** Clips may have been forgotten, lists carried out: what is known from before is not to be trusted. */
  changesLost(): void {
    this.#clips.clear()
    this.skills.clear()
  }

  /** @param names files that are there */
  *rows(names: ReadonlySet<string>): IterableIterator<Row> {
    for (const clip of this.#clips.values()) {
      const content = this.#contents.get(clip.content)
      yield { clip, content: content !== undefined && names.has(fileOf(content)) ? content : null }
    }
  }

  #use(number: number, accesses: number, lastAccessMs: number): void {
    const clip = this.#clips.get(number)
    if (clip === undefined) return
    this.#clips.delete(number)
    this.#clips.set(number, { ...clip, accesses, lastAccessMs })
  }

  #edit(number: number, change: Partial<ClipRecord>): void {
    const clip = this.#clips.get(number)
    if (clip !== undefined) this.#clips.set(number, { ...clip, ...change })
  }
}
