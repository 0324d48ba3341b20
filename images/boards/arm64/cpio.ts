/**
 * An archive for the kernel's initramfs: the "newc" form of cpio.
 * Promise: same entries, same bytes; all belongs to root and carries no time. Source: Linux
 * Documentation/driver-api/early-userspace/buffer-format.rst.
 * Leaves to others: what is in it, compressing it.
 */
import { assert } from '../../../core/assert.ts'

export type CpioEntry = { readonly path: string } & (
  | { readonly kind: 'directory' }
  | { readonly kind: 'file'; readonly mode: number; readonly content: Uint8Array }
  | { readonly kind: 'link'; readonly to: string }
  | { readonly kind: 'character device'; readonly major: number; readonly minor: number }
)

const modes = { directory: 0o40755, file: 0o100000, link: 0o120777, 'character device': 0o20600 } as const

/** @param entries each directory before what is in it; paths without a leading slash */
export function cpio(entries: readonly CpioEntry[]): Uint8Array {
  const parts = entries.flatMap((entry, index) => record(entry, index + 1))
  return Buffer.concat([
    ...parts,
    ...record({ path: 'TRAILER!!!', kind: 'file', mode: 0, content: new Uint8Array() }, 0),
  ])
}

function record(entry: CpioEntry, inode: number): readonly Uint8Array[] {
  assert(!entry.path.startsWith('/'), `${entry.path} starts with a slash`)
  const content = contentOf(entry)
  const name = Buffer.from(`${entry.path}\0`)
  const [major, minor] = entry.kind === 'character device' ? [entry.major, entry.minor] : [0, 0]
  const mode = entry.kind === 'file' ? modes.file | entry.mode : modes[entry.kind]
  // Inode, mode, owner, group, links, time, size, device, its own device, length of the name, checksum.
  const fields = [inode, mode, 0, 0, 1, 0, content.length, 0, 0, major, minor, name.length, 0]
  const head = Buffer.from(`070701${fields.map((it) => it.toString(16).padStart(8, '0')).join('')}`)
  return [head, name, padding(head.length + name.length), content, padding(content.length)]
}

function contentOf(entry: CpioEntry): Uint8Array {
  if (entry.kind === 'file') return entry.content
  return entry.kind === 'link' ? Buffer.from(entry.to) : new Uint8Array()
}

function padding(length: number): Uint8Array {
  return new Uint8Array((4 - (length % 4)) % 4)
}
