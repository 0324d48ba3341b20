/**
 * What the kernel kept of a crash: the files of /sys/fs/pstore, and where systemd-pstore has moved them.
 * Promise: bounded in files and bytes; a directory or file that cannot be read is as good as not there; removed is
 * only what is named and unchanged.
 * Leaves to others: the text (report/crash-entries.ts), when it may go (report/reporter.ts).
 */
import type { Dirent } from 'node:fs'
import { open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { crashLimits } from '../../core/service-limits.ts'
import { type CrashEntry, crashText, entriesIn } from '../report/crash-entries.ts'

export interface CrashStore {
  read(): Promise<string | null>
  forget(text: string): Promise<void>
}

export function pstore(directories: readonly string[]): CrashStore {
  const newest = async (): Promise<readonly CrashEntry[]> => {
    const found = await Promise.all(directories.map((it) => entriesBelow(it, 0)))
    return found
      .flat()
      .sort((a, b) => b.atMs - a.atMs)
      .slice(0, crashLimits.entriesMax)
  }
  return {
    async read() {
      const entries = await newest()
      return crashText(await Promise.all(entries.map(async (it) => ({ ...it, text: await endOf(it) }))))
    },
    async forget(text) {
      for (const it of entriesIn(text, await newest())) await rm(it.path, { force: true })
    },
  }
}

async function entriesBelow(directory: string, depth: number): Promise<readonly CrashEntry[]> {
  const all: readonly Dirent[] = await readdir(directory, { withFileTypes: true }).catch(() => [])
  const found = await Promise.all(
    all.slice(0, crashLimits.scannedMax).map(async (it): Promise<readonly CrashEntry[]> => {
      const path = join(directory, it.name)
      if (it.isDirectory()) return depth < crashLimits.depthMax ? entriesBelow(path, depth + 1) : []
      // The kernel could not expand it; nobody can read it.
      if (!it.isFile() || it.name.endsWith('.enc.z')) return []
      const kind = await stat(path).catch(() => null)
      return kind === null ? [] : [{ path, bytes: kind.size, atMs: Math.floor(kind.mtimeMs) }]
    }),
  )
  return found.flat()
}

async function endOf({ path, bytes }: CrashEntry): Promise<string> {
  const handle = await open(path).catch(() => null)
  if (handle === null) return ''
  try {
    const wanted = Math.min(bytes, crashLimits.entryBytesMax)
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(wanted), 0, wanted, bytes - wanted)
    return buffer.subarray(0, bytesRead).toString('latin1')
  } catch {
    return ''
  } finally {
    await handle.close()
  }
}
