/**
 * A file store in memory that forgets what was not synced, as real file systems do (ALICE, OSDI 2014): a
 * content without `syncFile` and a name without `syncDir` may be lost, each for itself.
 * Promise: at a crash `lost` keeps synced content under synced names; `kept` keeps all; `torn` keeps new
 * names, but not the content that was not synced.
 * Leaves to others: when the power goes (power.ts).
 */
import type { FileStore } from '../../core/ports.ts'
import { createPower, type Leftover, type Power } from './power.ts'

export interface MemoryFiles extends FileStore {
  /** Content of a file as a reader sees it, or null. */
  content(name: string): Uint8Array | null
  put(name: string, bytes: Uint8Array): void
  crash(leftover: Leftover): void
  /** A check before each operation that may throw what the adapter would throw. */
  fault: (operation: FileOperation, name: string) => void
}

export type FileOperation = 'read' | 'write' | 'rename' | 'remove' | 'syncFile' | 'syncDir'

interface Inode {
  bytes: Uint8Array
  /** What is on the medium; empty before the first sync. */
  synced: Uint8Array
}

export function memoryFiles(power: Power = createPower()): MemoryFiles {
  let names = new Map<string, Inode>()
  let durable = new Map<string, Inode>()
  const changing = <T>(operation: FileOperation, name: string, effect: () => T): Promise<T> =>
    power.step(`files ${operation} ${name}`.trimEnd(), () => {
      it.fault(operation, name)
      return effect()
    })
  const it: MemoryFiles = {
    fault: () => {},
    content: (name) => names.get(name)?.bytes ?? null,
    put(name, bytes) {
      const inode = { bytes, synced: bytes }
      names.set(name, inode)
      durable.set(name, inode)
    },
    async read(name) {
      it.fault('read', name)
      const inode = names.get(name)
      return inode === undefined ? null : new Uint8Array(inode.bytes)
    },
    write: (name, bytes) =>
      changing('write', name, () => {
        const inode = names.get(name) ?? { bytes, synced: new Uint8Array(0) }
        inode.bytes = new Uint8Array(bytes)
        names.set(name, inode)
      }),
    rename: (from, to) =>
      changing('rename', from, () => {
        const inode = names.get(from)
        if (inode !== undefined) names.set(to, inode)
        names.delete(from)
      }),
    remove: (name) => changing('remove', name, () => void names.delete(name)),
    list: async () => [...names.keys()],
    syncFile: (name) =>
      changing('syncFile', name, () => {
        const inode = names.get(name)
        if (inode !== undefined) inode.synced = inode.bytes
      }),
    syncDir: () =>
      changing('syncDir', '', () => {
        durable = new Map(names)
      }),
    crash(leftover) {
      const left = leftover === 'lost' ? durable : names
      names = new Map()
      for (const [name, inode] of left) {
        const bytes = leftover === 'kept' ? inode.bytes : inode.synced
        names.set(name, { bytes, synced: bytes })
      }
      durable = new Map(names)
    },
  }
  return it
}
