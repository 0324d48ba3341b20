/**
 * A file store in memory; everything is durable at once.
 */
import type { FileStore } from '../../core/ports.ts'

export interface MemoryFiles extends FileStore {
  readonly files: Map<string, Uint8Array>
  /** From now on writes throw this, or work again. */
  failWrites(error: Error | null): void
}

export function memoryFiles(): MemoryFiles {
  const files = new Map<string, Uint8Array>()
  let failing: Error | null = null
  return {
    files,
    failWrites: (error) => {
      failing = error
    },
    read: async (name) => files.get(name) ?? null,
    async write(name, bytes) {
      if (failing !== null) throw failing
      files.set(name, bytes.slice())
    },
    async rename(from, to) {
      const bytes = files.get(from)
      if (bytes !== undefined) files.set(to, bytes)
      files.delete(from)
    },
    remove: async (name) => void files.delete(name),
    list: async () => [...files.keys()],
    syncFile: async () => {},
    syncDir: async () => {},
  }
}
