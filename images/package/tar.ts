/**
 * Archives as bytes: tar in POSIX form (ustar) and the `ar` of Debian packages.
 * Promise: the same entries and time give the same bytes; everything belongs to root; directories above an entry come
 * before it, once.
 * Leaves to others: packing them (adapters/write-package.ts), what goes in (agent-package.ts).
 */
import { assert } from '../../core/assert.ts'
import { roundUp } from '../../core/units.ts'

export interface PackedFile {
  /** Without a slash at its start: `usr/bin/x`. */
  readonly path: string
  readonly mode: number
  readonly content: Uint8Array
}

const blockBytes = 512
const nameBytesMax = 100

/** @param atSeconds time of every entry, seconds since 1970 */
export function tarArchive(files: readonly PackedFile[], atSeconds: number): Uint8Array[] {
  const parts: Uint8Array[] = []
  const made = new Set<string>()
  const directory = (path: string): void => {
    if (made.has(path)) return
    if (path !== '.') directory(path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '.')
    made.add(path)
    parts.push(header(path === '.' ? './' : `./${path}/`, 0o755, 0, '5', atSeconds))
  }
  for (const it of [...files].sort((a, b) => (a.path < b.path ? -1 : 1))) {
    directory(it.path.includes('/') ? it.path.slice(0, it.path.lastIndexOf('/')) : '.')
    parts.push(header(`./${it.path}`, it.mode, it.content.length, '0', atSeconds), it.content)
    parts.push(new Uint8Array(roundUp(it.content.length, blockBytes) - it.content.length))
  }
  parts.push(new Uint8Array(2 * blockBytes))
  return parts
}

function header(name: string, mode: number, bytes: number, type: '0' | '5', atSeconds: number): Uint8Array {
  assert(Buffer.byteLength(name) <= nameBytesMax, `the name ${name} fits into a tar header`)
  const block = Buffer.alloc(blockBytes)
  const octal = (value: number, digits: number): string => `${value.toString(8).padStart(digits, '0')}\0`
  block.write(name, 0, 'utf8')
  block.write(octal(mode, 7), 100)
  block.write(octal(0, 7), 108)
  block.write(octal(0, 7), 116)
  block.write(octal(bytes, 11), 124)
  block.write(octal(atSeconds, 11), 136)
  block.write(' '.repeat(8), 148)
  block.write(type, 156)
  block.write('ustar\x0000', 257)
  block.write('root', 265)
  block.write('root', 297)
  block.write(
    `${block
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
  )
  return block
}

/** A Debian package: `debian-binary`, control, data, in this order. @param atSeconds as above */
export function debArchive(control: Uint8Array, data: Uint8Array, atSeconds: number): Uint8Array {
  const members = [
    ['debian-binary', Buffer.from('2.0\n')],
    ['control.tar.gz', control],
    ['data.tar.gz', data],
  ] as const
  const parts: Uint8Array[] = [Buffer.from('!<arch>\n')]
  for (const [name, content] of members) {
    const fields = [name.padEnd(16), String(atSeconds).padEnd(12), '0'.padEnd(6), '0'.padEnd(6)]
    parts.push(Buffer.from(`${fields.join('')}${'100644'.padEnd(8)}${String(content.length).padEnd(10)}\`\n`))
    parts.push(content)
    if (content.length % 2 === 1) parts.push(Buffer.from('\n'))
  }
  return Buffer.concat(parts)
}
