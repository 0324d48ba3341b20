/**
 * The files of contents that lie in the directory of a clip cache, packed: 16 bytes each instead of a name.
 * Promise: a file is found by the nonce that its name is made of; what nobody asked for is known in the end.
 */
import { fileOfNonce, isContentFile } from './contents.ts'
import { NumberTable } from './number-table.ts'
import { none } from './ring.ts'
import { fileNonceBytes } from './xchacha.ts'

export class ContentFiles {
  readonly #nonces: Buffer
  /** 1: somebody asked for it. */
  readonly #asked: Uint8Array
  /** Files by the first four bytes of their nonces; behind each the next that begins alike. */
  readonly #starts = new NumberTable()
  readonly #first: Int32Array
  readonly #next: Int32Array
  #size = 0

  /** @param names of files; those that are of no content are passed over */
  constructor(names: readonly string[]) {
    this.#nonces = Buffer.from(new ArrayBuffer(names.length * fileNonceBytes))
    this.#asked = new Uint8Array(names.length)
    this.#first = new Int32Array(names.length).fill(none)
    this.#next = new Int32Array(names.length)
    for (const name of names) if (isContentFile(name)) this.#add(name)
  }

  /** @param nonce 16 bytes as latin1 text */
  has(nonce: string): boolean {
    const start = this.#starts.find(startOf(nonce))
    for (let file = this.#first[start] ?? none; file !== none; file = this.#next[file] ?? none) {
      if (this.#nonceOf(file, 'latin1') !== nonce) continue
      this.#asked[file] = 1
      return true
    }
    return false
  }

  /** Names of files that were not asked for. */
  *unknown(): Generator<string> {
    for (let file = 0; file < this.#size; file += 1) {
      if (this.#asked[file] === 0) yield fileOfNonce(this.#nonceOf(file, 'hex'))
    }
  }

  #add(name: string): void {
    const file = this.#size
    this.#size += 1
    const at = file * fileNonceBytes
    this.#nonces.write(name.slice(-2 * fileNonceBytes), at, 'hex')
    const start = this.#starts.enter(this.#nonces.readUInt32BE(at))
    this.#next[file] = this.#first[start] ?? none
    this.#first[start] = file
  }

  #nonceOf(file: number, form: 'latin1' | 'hex'): string {
    const at = file * fileNonceBytes
    return this.#nonces.toString(form, at, at + fileNonceBytes)
  }
}

function startOf(nonce: string): number {
  let start = 0
  for (let byte = 0; byte < 4; byte += 1) start = (start << 8) | nonce.charCodeAt(byte)
  return start
}
