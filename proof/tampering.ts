/**
 * What somebody with access to the hub's disk can do to a file of a release.
 * Promise: an exact thing, no chance in it.
 * Leaves to others: serving the file (wiring.ts).
 */
import { sealedBytes } from './answers.ts'

export const tamperings = [
  'a bit in the middle is flipped',
  'the first two pieces change places',
  'the first piece comes twice',
  'the second piece is of the factory release',
  'the last byte is missing',
  'a byte is added',
  'everything is replaced',
] as const
export type Tampering = (typeof tamperings)[number]

/** @param other the same file of the factory release */
export function tampered(bytes: Uint8Array, how: Tampering, other: Uint8Array): Uint8Array {
  const whole = Buffer.from(bytes)
  const piece = (of: Uint8Array, number: number): Uint8Array =>
    of.subarray(number * sealedBytes, (number + 1) * sealedBytes)
  switch (how) {
    case 'a bit in the middle is flipped': {
      const middle = whole.length >> 1
      return whole.map((byte, at) => (at === middle ? byte ^ 1 : byte))
    }
    case 'the first two pieces change places':
      return Buffer.concat([piece(bytes, 1), piece(bytes, 0), bytes.subarray(2 * sealedBytes)])
    case 'the first piece comes twice':
      return Buffer.concat([piece(bytes, 0), piece(bytes, 0), bytes.subarray(2 * sealedBytes)])
    case 'the second piece is of the factory release':
      return Buffer.concat([piece(bytes, 0), piece(other, 1), bytes.subarray(2 * sealedBytes)])
    case 'the last byte is missing':
      return whole.subarray(0, -1)
    case 'a byte is added':
      return Buffer.concat([bytes, Buffer.alloc(1)])
    case 'everything is replaced':
      return Buffer.alloc(whole.length, 5)
  }
}
