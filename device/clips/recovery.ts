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
import { ContentFiles } from './content-files.ts'
import { Contents, isContentFile } from './contents.ts'
import { deviceAge } from './device-age.ts'
import { Found } from './found.ts'
import { IndexKeeper } from './index-keeper.ts'
import { indexFile, nextIndexFile, openIndex } from './index-log.ts'
import { PackedClips } from './packed-clips.ts'
import { Placing } from './placing.ts'
import { restore } from './restore.ts'

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
  // Both take their time where there are many clips.
  const [{ directory, unfinished }, { found: index, log }] = await Promise.all([
    lookAt(files),
    openIndex({ files, entropy, key: keys.index }, found),
  ])
  found.meet(directory)
  const unknown = [...directory.unknown()]
  directory.free()
  const gone = index.state === 'missing' && unknown.length > 0
  if (gone || index.state === 'foreign' || index.damage === 'inside') {
    lost.push(fault('EB-CLIP-INDEX', `the index of the clip cache is ${gone ? 'missing' : 'damaged'}`))
  }
  let store: ClipStore | null = null
  const cache = createClipCache(limits, {
    left: (...it) => store?.left(...it),
    contentLeft: (...it) => store?.contentLeft(...it),
    full: (bytes) => store?.full(bytes),
  })
  const contents = new Contents(files, entropy, keys.contents, found.highestContent, (key) =>
    cache.contentRow(key),
  )
  const age = deviceAge(clock, parts.earliestWallMs, found.age)
  const { skills, figures } = found
  const clips = new PackedClips(cache)
  const state = { cache, contents, clips, skills, figures, age, log }
  const keeper = new IndexKeeper(state)
  const sync = { file: files.syncFile, directory: files.syncDir }
  store = new ClipStore(state, keeper, new Placing(state, keeper, sync, found.highest))
  const { missing, strays } = restore(state, keeper, found)
  if (missing > 0) lost.push(fault('EB-CLIP-INDEX', `${missing} clips of the cache have lost their files`))
  // First, since they take room that the index may need.
  await removeStrays(files, [...unknown, ...unfinished, ...strays], contents)
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

/** @returns what lies in the directory: files of contents, and files that were not finished */
async function lookAt(
  files: ClipFiles,
): Promise<{ readonly directory: ContentFiles; readonly unfinished: readonly string[] }> {
  const names = await files.list()
  const unfinished = names.filter((it) => it === nextIndexFile || it === nextKeyFile)
  return { directory: new ContentFiles(names), unfinished }
}

/** Removes files that nothing knows, and those of contents that no clip refers to any more. */
async function removeStrays(files: ClipFiles, strays: readonly string[], contents: Contents): Promise<void> {
  // What left just now goes once the index has forgotten it.
  const leaving = contents.orphans()
  contents.keepOrphans(leaving)
  const stays = new Set(leaving)
  for (const name of strays) if (!stays.has(name)) await files.remove(name)
}
