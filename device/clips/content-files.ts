/**
 * The files of contents that lie in the directory of a clip cache, packed: 16 bytes each instead of a name.
 * Promise: a file is found by the nonce that its name is made of; what nobody asked for is known in the end.
 */
import { contentFilePrefix, fileOfNonce } from './contents.ts'
import { none } from './ring.ts'
import { fileNonceBytes } from './xchacha.ts'

/** A nonce is that many numbers of 32 bits. */
const wordsEach = fileNonceBytes / 4
const nameLength = contentFilePrefix.length + 2 * fileNonceBytes
/** Names are looked at so many at a time, as bytes: a text is asked for its letters far more slowly. */
const namesAtOnce = 1_024

export class ContentFiles {
  readonly #digits = hexDigits()
  readonly #nonces: Uint8Array<ArrayBuffer>
  /** The same as numbers. */
  readonly #words: Int32Array
  /** 1: somebody asked for it. */
  readonly #asked: Uint8Array
  /** The first file of each chain, by some bits of its nonce, which is random; and the next one of each file. */
  readonly #chains: Int32Array<ArrayBuffer>
  readonly #next: Int32Array<ArrayBuffer>
  #size = 0

  /** @param names of files; those that are of no content are passed over */
  constructor(names: readonly string[]) {
    const likely = names.filter((it) => it.length === nameLength && it.startsWith(contentFilePrefix))
    this.#nonces = new Uint8Array(likely.length * fileNonceBytes)
    this.#words = new Int32Array(this.#nonces.buffer)
    this.#asked = new Uint8Array(likely.length)
    this.#chains = new Int32Array(2 ** Math.ceil(Math.log2(likely.length + 1))).fill(none)
    this.#next = new Int32Array(likely.length)
    for (let from = 0; from < likely.length; from += namesAtOnce) {
      const some = likely.slice(from, from + namesAtOnce)
      const bytes = Buffer.from(some.join(''), 'latin1')
      for (let at = 0; at < bytes.length; at += nameLength) if (this.#read(bytes, at)) this.#add()
    }
  }

  /** @param words in which the numbers of a nonce begin at `at` */
  has(words: Int32Array, at: number): boolean {
    const own = this.#words
    let file = this.#chains[this.#chainOf(words[at] ?? 0)] ?? none
    for (; file !== none; file = this.#next[file] ?? none) {
      const from = file * wordsEach
      if (own[from] !== words[at] || own[from + 1] !== words[at + 1]) continue
      if (own[from + 2] !== words[at + 2] || own[from + 3] !== words[at + 3]) continue
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

  /** Gives its memory back at once; it must not be asked again. */
  free(): void {
    for (const { buffer } of [this.#nonces, this.#chains, this.#next]) buffer.transfer(0)
    this.#size = 0
  }

  #chainOf(word: number): number {
    return word & (this.#chains.length - 1)
  }

  /** Puts the nonce of a name behind those there are. @returns false when it is not the name of a content */
  #read(bytes: Buffer, name: number): boolean {
    const to = this.#size * fileNonceBytes
    const digits = this.#digits
    let at = name + contentFilePrefix.length
    let wrong = 0
    for (let byte = 0; byte < fileNonceBytes; byte += 1) {
      const value = ((digits[bytes[at] ?? 0] ?? none) << 4) | (digits[bytes[at + 1] ?? 0] ?? none)
      this.#nonces[to + byte] = value
      wrong |= value
      at += 2
    }
    return wrong >= 0
  }

  #add(): void {
    const file = this.#size
    this.#size += 1
    const chain = this.#chainOf(this.#words[file * wordsEach] ?? 0)
    this.#next[file] = this.#chains[chain] ?? none
    this.#chains[chain] = file
  }

  #nameOf(file: number): string {
    const { buffer } = this.#nonces
    return fileOfNonce(Buffer.from(buffer, file * fileNonceBytes, fileNonceBytes).toString('hex'))
  }
}

/** What each byte stands for as a digit of hex, or `none`: of names there are small ones only. */
function hexDigits(): Int8Array {
  const digits = new Int8Array(256).fill(none)
  for (const [digit, letter] of [...'0123456789abcdef'].entries()) digits[letter.charCodeAt(0)] = digit
  return digits
}
