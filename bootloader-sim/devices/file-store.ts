/**
 * A file store in memory that forgets what was not synced, as real file systems do (ALICE, OSDI 2014): the
 * content, the size and each name are facts of their own, and each may be lost or kept by itself.
 * Promise: a content is safe after `syncFile`, a name after `syncDir`, and neither before.
 * Leaves to others: when the power goes (power.ts), which fates (fate.ts).
 */
import { raise } from '../../core/errors.ts'
import type { ClipFiles } from '../../core/ports.ts'
import type { Fate, Pending } from './fate.ts'
import { createPower, type Power } from './power.ts'

export interface SimFiles extends ClipFiles {
  /** Room of the medium: what would go beyond it fails as on a full partition. */
  capacityBytes: number
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

export type FileOperation = 'read' | 'write' | 'append' | 'rename' | 'remove' | 'syncFile' | 'syncDir'

/** Everything that a crash leaves to fate. A value: it never changes. */
export interface FilesImage {
  readonly inodes: ReadonlyMap<number, Inode>
  /** Names as a reader sees them and as they are on the medium, with the number of the inode. */
  readonly names: ReadonlyMap<string, number>
  readonly durable: ReadonlyMap<string, number>
  /** Changes of names since the directory was synced. */
  readonly changes: readonly NameChange[]
}

interface Inode {
  readonly bytes: Uint8Array
  /** What is on the medium; empty before the first sync. */
  readonly synced: Uint8Array
  /** It has only grown since it was synced: what was there before is not at risk. */
  readonly grown: boolean
}

/** A name is bound to an inode, or to nothing. */
interface NameChange {
  readonly name: string
  readonly inode: number | null
  /** The name that a rename takes away in the same step. */
  readonly from: string | null
}

const nothing = new Uint8Array(0)
const empty: FilesImage = { inodes: new Map(), names: new Map(), durable: new Map(), changes: [] }

export function simFiles(power: Power = createPower()): SimFiles {
  let now = empty
  const changing = <T>(operation: FileOperation, name: string, effect: () => T): Promise<T> =>
    power.step(`files ${operation} ${name}`.trimEnd(), () => {
      it.fault(operation, name)
      return effect()
    })
  const inodeOf = (name: string): Inode | undefined => now.inodes.get(now.names.get(name) ?? -1)
  const rename = (change: NameChange): void => {
    now = { ...now, names: bound(now.names, change), changes: [...now.changes, change] }
  }
  const replace = (name: string, content: Uint8Array, grown: boolean): void => {
    const number = now.names.get(name) ?? free(now)
    const old = now.inodes.get(number)
    const more = content.length - (old?.bytes.length ?? 0)
    if (more > it.capacityBytes - used(now)) raise('EB-DATA-FULL', `${name}: ENOSPC`)
    const synced = old?.synced ?? nothing
    const inode = { bytes: content, synced, grown: grown && (old?.grown ?? true) }
    now = { ...now, inodes: new Map(now.inodes).set(number, inode) }
    if (!now.names.has(name)) rename({ name, inode: number, from: null })
    it.onWrite(name, content)
  }
  const it: SimFiles = {
    capacityBytes: Number.MAX_SAFE_INTEGER,
    fault: () => {},
    onWrite: () => {},
    content: (name) => inodeOf(name)?.bytes ?? null,
    put(name, bytes) {
      const number = free(now)
      now = {
        inodes: new Map(now.inodes).set(number, { bytes, synced: bytes, grown: true }),
        names: new Map(now.names).set(name, number),
        durable: new Map(now.durable).set(name, number),
        changes: now.changes,
      }
    },
    async read(name) {
      it.fault('read', name)
      const inode = inodeOf(name)
      return inode === undefined ? null : new Uint8Array(inode.bytes)
    },
    write: (name, bytes) => changing('write', name, () => replace(name, new Uint8Array(bytes), false)),
    append: (name, bytes) =>
      changing('append', name, () => replace(name, joined(inodeOf(name)?.bytes ?? nothing, bytes), true)),
    async readAt(name, offset, into) {
      it.fault('read', name)
      const inode = inodeOf(name)
      if (inode === undefined) return null
      const part = inode.bytes.subarray(offset, offset + into.length)
      into.set(part)
      return part.length
    },
    freeBytes: async () => Math.max(0, it.capacityBytes - used(now)),
    rename: (from, to) =>
      changing('rename', from, () => {
        const inode = now.names.get(from)
        if (inode !== undefined) rename({ name: to, inode, from })
      }),
    remove: (name) =>
      changing('remove', name, () => {
        if (now.names.has(name)) rename({ name, inode: null, from: null })
      }),
    list: async () => [...now.names.keys()],
    syncFile: (name) =>
      changing('syncFile', name, () => {
        const number = now.names.get(name)
        const inode = inodeOf(name)
        if (number === undefined || inode === undefined) return
        const settledInode = { bytes: inode.bytes, synced: inode.bytes, grown: true }
        now = { ...now, inodes: new Map(now.inodes).set(number, settledInode) }
      }),
    syncDir: () =>
      changing('syncDir', '', () => {
        now = settled(now.names, now.inodes)
      }),
    pending: () => pendingOfFiles(now),
    image: () => now,
    restore(image) {
      now = image
    },
    crash(fates) {
      now = crashedFiles(now, fates)
    },
  }
  return it
}

/** Contents that are not on the medium, then names that are not. */
function pendingOfFiles(image: FilesImage): readonly Pending[] {
  const contents = unsynced(image).map((number) => image.inodes.get(number)?.bytes.length ?? 0)
  return [
    ...contents.map((bytes) => ({ what: `content of ${bytes}`, tearable: bytes > 1 })),
    ...image.changes.map(({ name, from }) => ({
      what: from === null ? `name ${name}` : `rename ${from} ${name}`,
      tearable: false,
    })),
  ]
}

/** What a crash leaves of the files. Fates in the order of `pending`. */
export function crashedFiles(image: FilesImage, fates: readonly Fate[]): FilesImage {
  const contents = unsynced(image)
  const inodes = new Map(image.inodes)
  for (const [number, inode] of image.inodes) {
    const at = contents.indexOf(number)
    const left = at < 0 ? inode.synced : leftOf(inode, fates[at] ?? 'lost')
    inodes.set(number, { bytes: left, synced: left, grown: true })
  }
  let names = image.durable
  image.changes.forEach((change, index) => {
    if (fates[contents.length + index] === 'kept') names = bound(names, change)
  })
  return settled(names, inodes)
}

/** All names durable; inodes without a name are gone. */
function settled(names: ReadonlyMap<string, number>, inodes: ReadonlyMap<number, Inode>): FilesImage {
  const named = new Set(names.values())
  return {
    inodes: new Map([...inodes].filter(([number]) => named.has(number))),
    names,
    durable: names,
    changes: [],
  }
}

function unsynced({ inodes }: FilesImage): number[] {
  return [...inodes].flatMap(([number, { bytes, synced }]) => (bytes === synced ? [] : [number]))
}

function free({ inodes }: FilesImage): number {
  return Math.max(0, ...inodes.keys()) + 1
}

function bound(names: ReadonlyMap<string, number>, { name, inode, from }: NameChange): Map<string, number> {
  const after = new Map(names)
  if (from !== null) after.delete(from)
  if (inode === null) after.delete(name)
  else after.set(name, inode)
  return after
}

function used({ inodes }: FilesImage): number {
  let sum = 0
  for (const { bytes } of inodes.values()) sum += bytes.length
  return sum
}

function joined(one: Uint8Array, other: Uint8Array): Uint8Array {
  const both = new Uint8Array(one.length + other.length)
  both.set(one)
  both.set(other, one.length)
  return both
}

/** Of a file that has grown: without its last half of what was added, or with a gap in it. */
function leftOfGrown(bytes: Uint8Array, synced: Uint8Array, fate: Fate): Uint8Array {
  const half = synced.length + ((bytes.length - synced.length) >> 1)
  if (fate === 'front') return bytes.slice(0, half)
  const left = new Uint8Array(bytes)
  left.fill(0, synced.length, half)
  return left
}

function leftOf({ bytes, synced, grown }: Inode, fate: Fate): Uint8Array {
  if (fate === 'kept') return bytes
  if (fate === 'lost') return synced
  if (grown) return leftOfGrown(bytes, synced, fate)
  const left = new Uint8Array(bytes.length)
  const half = bytes.length >> 1
  if (fate === 'back') left.set(bytes.subarray(half), half)
  return left
}
