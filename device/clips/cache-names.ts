/**
 * The clips of the cache by id and its contents by name.
 * Promise: a number stays the same while its clip or content is there; numbers below 0 mean: there is none.
 * Contents are found by chains of equal hashes in their rows: a SHA-256 is a hash already, of which a few digits
 * will do, and a second Map would cost as much as all the rest of the cache.
 * Leaves to others: what refers to what (cache-books.ts).
 */
import { assert } from '../../core/assert.ts'
import { CacheRows, firstRow } from './cache-rows.ts'

/** A SHA-256 in hex; of it 24 bits are the hash. */
const hexLength = 64
const hexDigits = 6
/** A SHA-256 whose bytes are characters; of it 32 bits. */
const packedLength = 32
const packedBytes = 4
const chainsAtFirst = 256
/** There are at least so many chains for each content. */
const chainsEach = 2

const hashAtFirst = 0x811c_9dc5 | 0

function hashed(hash: number, byte: number): number {
  return Math.imul(hash ^ byte, 0x0100_0193)
}

function mixed(hash: number): number {
  const wide = Math.imul(hash ^ (hash >>> 15), 0x2c1b_3c6d)
  return wide ^ (wide >>> 13)
}

export class CacheNames extends CacheRows {
  /** How many. */
  contents = 0
  /** Of all contents, each once. */
  bytes = 0
  private readonly clips = new Map<string, number>()
  private ids = new Array<string>(firstRow).fill('')
  /** null: it is packed. */
  private names = new Array<string | null>(firstRow).fill('')
  /** Names of contents that were there from the beginning, by rows: half of what texts would take. */
  private packed: Buffer = Buffer.alloc(0)
  /** The first contents of the chains, 0: none. The count is a power of two. */
  private chains = new Int32Array(chainsAtFirst)

  /** Clips. */
  get items(): number {
    return this.clips.size
  }

  /** @returns the number of a clip, or -1 */
  findClip(id: string): number {
    return this.clips.get(id) ?? -1
  }

  id(clip: number): string {
    return this.ids[clip] ?? ''
  }

  /** Ids of the clips, in no order; they may change meanwhile. */
  *allIds(): Generator<string> {
    for (const id of this.ids) if (id !== '') yield id
  }

  /** @param usual as `takeClip` */
  enterClip(id: string, usual: number): number {
    const clip = this.takeClip(usual)
    this.ids[clip] = id
    this.clips.set(id, clip)
    return clip
  }

  /** Takes rows of clips and contents, where none is taken, before any is placed. As `KnownRows` has them. */
  takeRows(ids: readonly string[], names: Buffer, contents: number): void {
    this.takeFirst(ids.length, contents)
    this.ids = this.ids.concat(ids)
    for (let row = 0; row < contents; row += 1) this.names.push('')
    this.packed = names
    let chains = this.chains.length
    while (chains < chainsEach * contents) chains *= 2
    this.chains = new Int32Array(chains)
  }

  /** Of the rows that `takeRows` took, gives those back where nothing was placed. */
  giveRows(clips: number, contents: number): void {
    for (let row = firstRow + clips - 1; row >= firstRow; row -= 1) {
      if (this.ids[row] === '') this.giveClip(row)
    }
    for (let row = firstRow + contents - 1; row >= firstRow; row -= 1) {
      if (this.names[row] === '') this.giveContent(row)
    }
  }

  /** @param row that `takeRows` took. @returns false, with the ids in no order: there is one already */
  placeClip(row: number): boolean {
    const { size } = this.clips
    const clip = this.placeOf(row)
    this.clips.set(this.id(clip), clip)
    return this.clips.size > size
  }

  leaveClip(clip: number): void {
    this.clips.delete(this.id(clip))
    this.ids[clip] = ''
    this.giveClip(clip)
  }

  /** A name that is as long as a SHA-256 is taken for one; others are hashed whole (FNV-1a). */
  hash(name: string): number {
    const { length } = name
    const end = length === hexLength ? hexDigits : length === packedLength ? packedBytes : length
    let hash = hashAtFirst
    for (let at = 0; at < end; at += 1) hash = hashed(hash, name.charCodeAt(at))
    return mixed(hash)
  }

  /** The same of a packed name. */
  private packedHash(row: number): number {
    const from = row * packedLength
    let hash = hashAtFirst
    for (let at = 0; at < packedBytes; at += 1) hash = hashed(hash, this.packed[from + at] ?? 0)
    return mixed(hash)
  }

  private unpack(content: number): string {
    const from = this.shown(content) * packedLength
    return this.packed.toString('latin1', from, from + packedLength)
  }

  /** @param hash of the name. @returns the number of a content, or -1 */
  findContent(name: string, hash: number): number {
    let content = this.chains[hash & (this.chains.length - 1)] ?? 0
    while (content !== 0) {
      if (this.hashOf(content) === hash && this.name(content) === name) return content
      content = this.chained(content)
    }
    return -1
  }

  /** @returns the number of a content, or -1 */
  contentNamed(name: string): number {
    return this.findContent(name, this.hash(name))
  }

  name(content: number): string {
    const name = this.names[content]
    return name === null ? this.unpack(content) : (name ?? '')
  }

  /** A content that is not there, its rings void yet. @param usual as `takeContent` */
  enterContent(name: string, hash: number, bytes: number, usual: number): number {
    const content = this.takeContent(usual)
    this.nameContent(content, name, hash, bytes)
    return content
  }

  /** A content, as `enterContent`. @param row that `takeRows` took. @returns false: there is one of that name */
  placeContent(row: number, bytes: number): boolean {
    const content = this.placeOf(row)
    const hash = this.packedHash(row)
    for (
      let other = this.chains[hash & (this.chains.length - 1)] ?? 0;
      other !== 0;
      other = this.chained(other)
    ) {
      if (this.hashOf(other) === hash && this.name(other) === this.unpack(content)) return false
    }
    this.nameContent(content, null, hash, bytes)
    return true
  }

  leaveContent(content: number): void {
    this.unchain(content)
    this.bytes -= this.bytesOf(content)
    this.contents -= 1
    this.names[content] = ''
    this.giveContent(content)
  }

  private nameContent(content: number, name: string | null, hash: number, bytes: number): void {
    this.names[content] = name
    this.setBytes(content, bytes)
    this.setHash(content, hash)
    this.bytes += bytes
    this.contents += 1
    if (chainsEach * this.contents > this.chains.length) this.doubleChains()
    this.chain(this.chains, content)
  }

  private chain(chains: Int32Array, content: number): void {
    const chain = this.hashOf(content) & (chains.length - 1)
    this.setChained(content, chains[chain] ?? 0)
    chains[chain] = content
  }

  private unchain(content: number): void {
    const { chains } = this
    const chain = this.hashOf(content) & (chains.length - 1)
    const next = this.chained(content)
    let before = chains[chain] ?? 0
    if (before === content) {
      chains[chain] = next
      return
    }
    while (before !== 0 && this.chained(before) !== content) before = this.chained(before)
    assert(before !== 0, 'a content of the clip cache is in the chain of its hash')
    this.setChained(before, next)
  }

  private doubleChains(): void {
    const more = new Int32Array(2 * this.chains.length)
    for (const first of this.chains) {
      for (let content = first, next = 0; content !== 0; content = next) {
        next = this.chained(content)
        this.chain(more, content)
      }
    }
    this.chains = more
  }
}
