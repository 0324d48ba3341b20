/**
 * The files of the clip cache: a file store whose files grow at their end and are read in parts.
 * Promise: one program at a time (EB-CLIP-LOCKED), until `close` or its end; nothing is read or written after `close`.
 * A few files stay open after they were read, which halves the time of the next read; never one whose name has gone
 * or belongs to another file now.
 * Leaves to others: what the bytes mean, and when they are durable.
 */
import { appendFile, type FileHandle, open, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { servingLimits } from '../../../core/clip-limits.ts'
import { EverbootError, fault } from '../../../core/errors.ts'
import type { ClipFiles } from '../../../core/ports.ts'
import { openFileStore, storageFailed } from '../../adapters/file-store.ts'
import { lockInstance } from '../../adapters/instance-lock.ts'

/** The files of one cache. */
export interface OpenClipFiles extends ClipFiles {
  /** Waits for what is under way, then leaves the directory to others. */
  close(): Promise<void>
}

/** @throws EverbootError EB-DATA-IO; EB-CLIP-LOCKED when a program, this one too, uses the directory already */
export async function openClipFiles(directory: string): Promise<OpenClipFiles> {
  const store = await openFileStore(directory)
  const unlock = await lockInstance(directory, 'clips')
  const readers = new OpenFiles(directory, servingLimits.filesOpenMax)
  const { guard, end } = gate(directory)
  const at = (name: string): string => join(directory, name)
  return {
    read: guard(store.read),
    write: guard(store.write),
    list: guard(store.list),
    syncFile: guard(store.syncFile),
    syncDir: guard(store.syncDir),
    rename: guard(async (from, to) => {
      await store.rename(from, to).finally(() => Promise.all([readers.drop(from), readers.drop(to)]))
    }),
    remove: guard((name) => store.remove(name).finally(() => readers.drop(name))),
    append: guard((name, bytes) =>
      appendFile(at(name), bytes, { mode: 0o600 }).catch((caught: unknown) =>
        storageFailed(at(name), caught),
      ),
    ),
    readAt: guard((name, offset, into) =>
      readers
        .use(name, (handle) => fill(handle, offset, into))
        .catch((caught: unknown) => storageFailed(at(name), caught)),
    ),
    freeBytes: guard(() =>
      statfs(directory).then(
        ({ bavail, bsize }) => bavail * bsize,
        (caught: unknown) => storageFailed(directory, caught),
      ),
    ),
    async close() {
      await end()
      await readers.close()
      unlock()
    },
  }
}

/** Lets operations through until it is closed. */
function gate(directory: string) {
  const running = new Set<Promise<unknown>>()
  let closed = false
  return {
    guard<A extends unknown[], T>(work: (...args: A) => Promise<T>): (...args: A) => Promise<T> {
      return async (...args) => {
        if (closed) throw new EverbootError(fault('EB-DATA-IO', `${directory} has been closed`))
        const own = work(...args)
        running.add(own)
        try {
          return await own
        } finally {
          running.delete(own)
        }
      }
    },
    async end() {
      closed = true
      await Promise.allSettled(running)
    },
  }
}

/** @returns bytes read, fewer only at the end of the file */
async function fill(handle: FileHandle, offset: number, into: Uint8Array): Promise<number> {
  for (let filled = 0; ; ) {
    if (filled === into.length) return filled
    const { bytesRead } = await handle.read(into, filled, into.length - filled, offset + filled)
    if (bytesRead === 0) return filled
    filled += bytesRead
  }
}

interface OpenFile {
  readonly handle: FileHandle
  users: number
  /** Stays open when nobody uses it. */
  kept: boolean
}

/** Files that are open for reading: those in use, and the last few. */
class OpenFiles {
  readonly #directory: string
  readonly #keptMax: number
  /** By name, the least recently used first. */
  readonly #kept = new Map<string, OpenFile>()
  /** Counts what names have lost their files. */
  #dropped = 0

  constructor(directory: string, keptMax: number) {
    this.#directory = directory
    this.#keptMax = keptMax
  }

  /** @returns what the work returns; null when there is no such file */
  async use<T>(name: string, work: (handle: FileHandle) => Promise<T>): Promise<T | null> {
    const file = this.#find(name) ?? (await this.#open(name))
    if (file === null) return null
    file.users += 1
    try {
      return await work(file.handle)
    } finally {
      file.users -= 1
      await this.#closeUnused(file)
    }
  }

  /** The name has gone, or belongs to another file. */
  async drop(name: string): Promise<void> {
    this.#dropped += 1
    const file = this.#kept.get(name)
    this.#kept.delete(name)
    if (file !== undefined) await this.#letGo(file)
  }

  async close(): Promise<void> {
    const files = [...this.#kept.values()]
    this.#kept.clear()
    await Promise.all(files.map((file) => this.#letGo(file)))
  }

  #find(name: string): OpenFile | null {
    const file = this.#kept.get(name)
    if (file === undefined) return null
    this.#kept.delete(name)
    this.#kept.set(name, file)
    return file
  }

  async #open(name: string): Promise<OpenFile | null> {
    const dropped = this.#dropped
    let handle: FileHandle
    try {
      handle = await open(join(this.#directory, name), 'r')
    } catch (caught) {
      if ((caught as NodeJS.ErrnoException).code === 'ENOENT') return null
      throw caught
    }
    // A name may have lost its file since: what was opened is read once. So is what another has opened meanwhile.
    const kept = dropped === this.#dropped && !this.#kept.has(name)
    const file = { handle, users: 0, kept }
    if (kept) this.#keep(name, file)
    return file
  }

  #keep(name: string, file: OpenFile): void {
    this.#kept.set(name, file)
    for (const [oldest, it] of this.#kept) {
      if (this.#kept.size <= this.#keptMax) return
      this.#kept.delete(oldest)
      void this.#letGo(it)
    }
  }

  async #letGo(file: OpenFile): Promise<void> {
    file.kept = false
    await this.#closeUnused(file)
  }

  async #closeUnused(file: OpenFile): Promise<void> {
    // Nothing was written through it: a failure to close it means nothing.
    if (!file.kept && file.users === 0) await file.handle.close().catch(() => {})
  }
}
