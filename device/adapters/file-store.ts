/**
 * The file store over a directory of the data partition.
 * Promise: files are 0600, the directory 0700; a full or broken partition has its code.
 */
import { constants } from 'node:fs'
import { mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { raise } from '../../core/errors.ts'
import type { FileStore } from '../../core/ports.ts'

/** @throws EverbootError EB-DATA-IO when the directory cannot be made */
export async function openFileStore(directory: string): Promise<FileStore> {
  await mkdir(directory, { recursive: true, mode: 0o700 }).catch((caught: unknown) =>
    storageFailed(directory, caught),
  )
  const at = (name: string): string => join(directory, name)
  const sync = async (path: string, flags: number): Promise<void> => {
    const handle = await open(path, flags)
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  }
  const guarded = <T>(name: string, work: Promise<T>): Promise<T> =>
    work.catch((caught: unknown) => storageFailed(at(name), caught))
  return {
    read: (name) =>
      readFile(at(name)).catch((caught: NodeJS.ErrnoException) =>
        caught.code === 'ENOENT' ? null : storageFailed(at(name), caught),
      ),
    write: (name, bytes) => guarded(name, writeFile(at(name), bytes, { mode: 0o600 })),
    rename: (from, to) => guarded(from, rename(at(from), at(to))),
    remove: (name) => guarded(name, rm(at(name), { force: true })),
    list: () => guarded('', readdir(directory)),
    syncFile: (name) => guarded(name, sync(at(name), constants.O_RDWR)),
    syncDir: () => guarded('', sync(directory, constants.O_RDONLY)),
  }
}

/** @param cause what the file system said. @throws EverbootError EB-DATA-FULL, EB-DATA-IO */
export function storageFailed(path: string, cause: unknown): never {
  const { code = 'unknown error' } = cause as NodeJS.ErrnoException
  const full = code === 'ENOSPC' || code === 'EDQUOT'
  raise(full ? 'EB-DATA-FULL' : 'EB-DATA-IO', `${path}: ${code}`, { cause })
}
