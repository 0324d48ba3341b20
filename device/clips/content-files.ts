/**
 * The files of contents that lie in the directory of a clip cache, packed: 16 bytes each instead of a name.
 * Promise: a file is found by the nonce that its name is made of; what nobody asked for is known in the end.
 */
import { contentFilePrefix, fileOfNonce } from './contents.ts'
import { NumberTable } from './number-table.ts'
import { none } from './ring.ts'
import { fileNonceBytes } from './xchacha.ts'

/** A nonce is that many numbers of 32 bits. */
const wordsEach = fileNonceBytes / 4
const digitsEach = 8
const prefixCode = contentFilePrefix.charCodeAt(0)

export class ContentFiles {
  readonly #nonces: Int32Array
  /** 1: somebody asked for it. */
  readonly #asked: Uint8Array
  /** Files by the first four bytes of their nonces; behind each the next that begins alike. */
  readonly #starts: NumberTable
  readonly #first: Int32Array
  readonly #next: Int32Array
  #size = 0

  /** @param names of files; those that are of no content are passed over */
  constructor(names: readonly string[]) {
    this.#nonces = new Int32Array(names.length * wordsEach)
    this.#asked = new Uint8Array(names.length)
    this.#starts = new NumberTable(names.length)
    this.#first = new Int32Array(names.length).fill(none)
    this.#next = new Int32Array(names.length)
    for (const name of names) if (this.#read(name)) this.#add()
  }

  /** @param bytes in which the 16 of a nonce begin at `at` */
  has(bytes: Buffer, at: number): boolean {
    const one = bytes.readInt32BE(at)
    const two = bytes.readInt32BE(at + 4)
    const three = bytes.readInt32BE(at + 8)
    const four = bytes.readInt32BE(at + 12)
    const nonces = this.#nonces
    for (let file = this.#firstOf(one); file !== none; file = this.#next[file] ?? none) {
      const from = file * wordsEach
      if (nonces[from + 1] !== two || nonces[from + 2] !== three || nonces[from + 3] !== four) continue
      this.#asked[file] = 1
      return true
    }
    return false
  }

  /** Names of files that were not asked for. */
  *unknown(): Generator<string> {
    for (let file = 0; file < this.#size; file += 1) {
      if (this.#asked[file] === 0) yield this.#nameOf(file)
    }
  }

  #firstOf(start: number): number {
    const row = this.#starts.find(start)
    return row === none ? none : (this.#first[row] ?? none)
  }

  /** Puts the nonce of a name behind those there are. @returns false when it is not the name of a content */
  #read(name: string): boolean {
    const digits = wordsEach * digitsEach
    if (name.length !== 1 + digits || name.charCodeAt(0) !== prefixCode) return false
    let word = 0
    for (let place = 1; place <= digits; place += 1) {
      const digit = digitOf(name.charCodeAt(place))
      if (digit === none) return false
      word = (word << 4) | digit
      if (place % digitsEach === 0) this.#nonces[this.#size * wordsEach + place / digitsEach - 1] = word
    }
    return true
  }

  #add(): void {
    const file = this.#size
    this.#size += 1
    const row = this.#starts.enter(this.#nonces[file * wordsEach] ?? 0)
    this.#next[file] = this.#first[row] ?? none
    this.#first[row] = file
  }

  #nameOf(file: number): string {
    const nonce = Buffer.alloc(fileNonceBytes)
    for (let word = 0; word < wordsEach; word += 1) {
      nonce.writeInt32BE(this.#nonces[file * wordsEach + word] ?? 0, 4 * word)
    }
    return fileOfNonce(nonce.toString('hex'))
  }
}

/** What a digit of hex stands for, or `none`: of names there are small ones only. */
function digitOf(code: number): number {
  if (code >= 48 && code <= 57) return code - 48
  return code >= 97 && code <= 102 ? code - 87 : none
}
