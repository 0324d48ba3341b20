/**
 * One page of an Ogg file.
 * Promise: a page whose checksum does not come out is none.
 * Source: RFC 3533 section 6.
 * Leaves to others: pages in a row and what is in them (ogg.ts).
 */
import { fail, ok, type Result } from '../../core/result.ts'
import { oggCrc } from './crc.ts'

export interface Page {
  readonly continued: boolean
  readonly first: boolean
  readonly last: boolean
  /** Samples up to the last packet that ends here; null: none ends here. */
  readonly granule: number | null
  readonly serial: number
  readonly sequence: number
  /** Lengths of the parts of packets, each 255 at most; a part of 255 is followed by more of the same packet. */
  readonly lacing: Uint8Array
  readonly bodyAt: number
  readonly end: number
}

const headBytes = 27
const crcAt = 22
const crcBytes = 4
const noCrc = new Uint8Array(crcBytes)

export function pageAt(bytes: Buffer, at: number): Result<Page, string> {
  if (bytes.toString('latin1', at, at + 4) !== 'OggS') return fail(`no page begins at byte ${at}`)
  if (at + headBytes > bytes.length) return fail(cutOff(at))
  const bodyAt = at + headBytes + bytes.readUInt8(at + 26)
  if (bodyAt > bytes.length) return fail(cutOff(at))
  const lacing = bytes.subarray(at + headBytes, bodyAt)
  const end = lacing.reduce((sum, length) => sum + length, bodyAt)
  if (end > bytes.length) return fail(cutOff(at))
  if (bytes.readUInt8(at + 4) !== 0 || crcOf(bytes, at, end) !== bytes.readUInt32LE(at + crcAt)) {
    return fail(`the page at byte ${at} is damaged`)
  }
  const flags = bytes.readUInt8(at + 5)
  const granule = bytes.readBigUInt64LE(at + 6)
  return ok({
    continued: (flags & 1) !== 0,
    first: (flags & 2) !== 0,
    last: (flags & 4) !== 0,
    granule: granule === 0xffff_ffff_ffff_ffffn ? null : Number(granule),
    serial: bytes.readUInt32LE(at + 14),
    sequence: bytes.readUInt32LE(at + 18),
    lacing,
    bodyAt,
    end,
  })
}

function cutOff(at: number): string {
  return `it ends in the middle of the page at byte ${at}`
}

/** The place of the checksum counts as zero. */
function crcOf(bytes: Buffer, at: number, end: number): number {
  const head = oggCrc(bytes, at, at + crcAt, 0)
  return oggCrc(bytes, at + crcAt + crcBytes, end, oggCrc(noCrc, 0, crcBytes, head))
}
