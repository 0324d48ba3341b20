/**
 * A file store in memory that forgets what was not synced, as real file systems do (ALICE, OSDI 2014): the
 * content, the size and each name are facts of their own, and each may be lost or kept by itself.
 * Promise: a content is safe after `syncFile`, a name after `syncDir`, and neither before.
 * Leaves to others: when the power goes (power.ts), which fates (fate.ts).
 */
import type { FileStore } from '../../core/ports.ts'
import type { Fate, Pending } from './fate.ts'
import { createPower, type Power } from './power.ts'

export interface SimFiles extends FileStore {
  /** Content of a file as a reader sees it, or null. */
  content(name: string): Uint8Array | null
  /** Puts a file past every check, durably. */
  put(name: string, bytes: Uint8Array): void
  pending(): readonly Pending[]
  image(): FilesImage
  restore(image: FilesImage): void
  /** Power came back. Fates in the order of `pending`. */
  crash(fates: readonly Fate[]): void
  /** A check before each operation that may throw what the adapter would throw. */
  fault: (operation: FileOperation, name: string) => void
  /** Told of each content that is written. */
  onWrite: (name: string, bytes: Uint8Array) => void
}

export type FileOperation = 'read' | 'write' | 'rename' | 'remove' | 'syncFile' | 'syncDir'

/** Contents are never changed in place. */
export interface FilesImage {
  readonly inodes: readonly { readonly bytes: Uint8Array; readonly synced: Uint8Array }[]
  /** Names as a reader sees them and as they are on the medium, by number of the inode. */
  readonly names: readonly (readonly [string, number])[]
  readonly durable: readonly (readonly [string, number])[]
  readonly changes: readonly {
    readonly name: string
    readonly inode: number | null
    readonly from: string | null
  }[]
}

interface Inode {
  bytes: Uint8Array
  /** What is on the medium; empty before the first sync. */
  synced: Uint8Array
}

/** One change of a name that the directory has not synced: it is bound to an inode, or to nothing. */
interface NameChange {
  readonly name: string
  readonly inode: Inode | null
  /** The name that a rename takes away in the same step. */
  readonly from: string | null
}

const nothing = new Uint8Array(0)

export function simFiles(power: Power = createPower()): SimFiles {
  let names = new Map<string, Inode>()
  let durable = new Map<string, Inode>()
  let changes: NameChange[] = []
  const changing = <T>(operation: FileOperation, name: string, effect: () => T): Promise<T> =>
    power.step(`files ${operation} ${name}`.trimEnd(), () => {
      it.fault(operation, name)
      return effect()
    })
  const change = (it: NameChange): void => {
    bind(names, it)
    changes.push(it)
  }
  /** Files whose content is not on the medium, in the order of their names. */
  const unsynced = (): Inode[] => {
    const found = new Set([
      ...names.values(),
      ...durable.values(),
      ...changes.flatMap((it) => it.inode ?? []),
    ])
    return [...found].filter((inode) => inode.bytes !== inode.synced)
  }
  const it: SimFiles = {
    fault: () => {},
    onWrite: () => {},
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
        const content = new Uint8Array(bytes)
        const inode = names.get(name)
        if (inode === undefined) change({ name, inode: { bytes: content, synced: nothing }, from: null })
        else inode.bytes = content
        it.onWrite(name, content)
      }),
    rename: (from, to) =>
      changing('rename', from, () => {
        const inode = names.get(from)
        if (inode !== undefined) change({ name: to, inode, from })
      }),
    remove: (name) =>
      changing('remove', name, () => {
        if (names.has(name)) change({ name, inode: null, from: null })
      }),
    list: async () => [...names.keys()],
    syncFile: (name) =>
      changing('syncFile', name, () => {
        const inode = names.get(name)
        if (inode !== undefined) inode.synced = inode.bytes
      }),
    syncDir: () =>
      changing('syncDir', '', () => {
        durable = new Map(names)
        changes = []
      }),
    pending: () => [
      ...unsynced().map(({ bytes }) => ({ what: `content of ${bytes.length}`, tearable: bytes.length > 1 })),
      ...changes.map(({ name, from }) => ({
        what: from === null ? `name ${name}` : `rename ${from} ${name}`,
        tearable: false,
      })),
    ],
    image() {
      const inodes = [
        ...new Set([...names.values(), ...durable.values(), ...changes.flatMap((it) => it.inode ?? [])]),
      ]
      const numbered = (map: ReadonlyMap<string, Inode>) =>
        [...map].map(([name, inode]) => [name, inodes.indexOf(inode)] as const)
      return {
        inodes: inodes.map(({ bytes, synced }) => ({ bytes, synced })),
        names: numbered(names),
        durable: numbered(durable),
        changes: changes.map(({ name, inode, from }) => ({
          name,
          from,
          inode: inode === null ? null : inodes.indexOf(inode),
        })),
      }
    },
    restore(image) {
      const inodes = image.inodes.map(({ bytes, synced }) => ({ bytes, synced }))
      const known = (number: number): Inode => inodes[number] ?? { bytes: nothing, synced: nothing }
      names = new Map(image.names.map(([name, number]) => [name, known(number)]))
      durable = new Map(image.durable.map(([name, number]) => [name, known(number)]))
      changes = image.changes.map(({ name, from, inode }) => ({
        name,
        from,
        inode: inode === null ? null : known(inode),
      }))
    },
    crash(fates) {
      const contents = unsynced()
      contents.forEach((inode, index) => {
        inode.synced = leftOf(inode, fates[index] ?? 'lost')
      })
      changes.forEach((it, index) => {
        if (fates[contents.length + index] === 'kept') bind(durable, it)
      })
      for (const inode of new Set(durable.values())) inode.bytes = inode.synced
      names = new Map(durable)
      changes = []
    },
  }
  return it
}

function bind(names: Map<string, Inode>, { name, inode, from }: NameChange): void {
  if (from !== null) names.delete(from)
  if (inode === null) names.delete(name)
  else names.set(name, inode)
}

function leftOf({ bytes, synced }: Inode, fate: Fate): Uint8Array {
  if (fate === 'kept') return bytes
  if (fate === 'lost') return synced
  const left = new Uint8Array(bytes.length)
  const half = bytes.length >> 1
  if (fate === 'back') left.set(bytes.subarray(half), half)
  return left
}
