/**
 * A part of a file in memory, so that what is small does not cost a read each; the part behind it is read while this one is
 * used.
 * Promise: bytes are those of the file, whichever way they are asked for; a failure to read ahead is one only when those
 * bytes are asked for.
 */
import type { ClipFiles } from '../../core/ports.ts'

const partBytes = 256 * 1024
/** What is asked for may begin so far before the end of one part and end in the next: most frames are shorter. */
const joinedBytes = 128 * 1024

/** A part that was read ahead, behind room for the end of the part before it. */
interface Ahead {
  readonly room: Buffer
  readonly read: number
}

export class FileWindow {
  readonly #files: ClipFiles
  readonly #name: string
  #from = 0
  #bytes: Buffer = Buffer.alloc(0)
  /** Where `#bytes` lie, and where the next part goes. */
  #room: Buffer = Buffer.alloc(0)
  #spare: Buffer = Buffer.alloc(0)
  #ahead: Promise<Ahead | null> | null = null

  constructor(files: ClipFiles, name: string) {
    this.#files = files
    this.#name = name
  }

  /** Good until the next call. Shorter only at the end of the file. */
  async at(offset: number, length: number): Promise<Buffer> {
    const inside = offset >= this.#from && offset + length <= this.#from + this.#bytes.length
    if (!inside && !(await this.#goOn(offset, length))) await this.#read(offset, length)
    const start = offset - this.#from
    return this.#bytes.subarray(start, start + length)
  }

  /** Takes the part that was read ahead. @returns false: it is not there, or not what is asked for */
  async #goOn(offset: number, length: number): Promise<boolean> {
    // Nothing is under way into the spare room afterwards.
    const ahead = await this.#ahead
    this.#ahead = null
    if (ahead === null) return false
    const tail = this.#from + this.#bytes.length - offset
    const isThere = length <= tail + ahead.read || ahead.read < partBytes
    if (offset < this.#from || tail < 0 || tail > joinedBytes || !isThere) return false
    const start = joinedBytes - tail
    this.#bytes.copy(ahead.room, start, offset - this.#from)
    this.#spare = this.#room
    this.#room = ahead.room
    this.#from = offset
    this.#bytes = ahead.room.subarray(start, joinedBytes + ahead.read)
    if (ahead.read === partBytes) this.#readAhead()
    return true
  }

  async #read(offset: number, length: number): Promise<void> {
    const wanted = Math.max(length, joinedBytes + partBytes)
    if (this.#room.length !== wanted) this.#room = Buffer.allocUnsafe(wanted)
    const read = (await this.#files.readAt(this.#name, offset, this.#room)) ?? 0
    this.#from = offset
    this.#bytes = this.#room.subarray(0, read)
    if (read === wanted) this.#readAhead()
  }

  #readAhead(): void {
    const wanted = joinedBytes + partBytes
    const room = this.#spare.length === wanted ? this.#spare : Buffer.allocUnsafe(wanted)
    this.#spare = room
    const into = room.subarray(joinedBytes)
    this.#ahead = this.#files.readAt(this.#name, this.#from + this.#bytes.length, into).then(
      (read) => ({ room, read: read ?? 0 }),
      () => null,
    )
  }
}
