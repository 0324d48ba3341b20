/**
 * The checksums inside sound files, all of the kind that takes the highest bit first and begins with zero.
 * Leaves to others: which bytes they go over.
 */

/** Ogg pages. */
const ogg = table(32, 0x04c1_1db7)
/** Headers of FLAC frames. */
const flacHeader = table(8, 0x07)
/** FLAC frames. */
const flacFrame = table(16, 0x8005)

/** @param crc of what came before; 0 at the start */
export function oggCrc(bytes: Uint8Array, from: number, to: number, crc: number): number {
  let value = crc
  for (let at = from; at < to; at += 1) {
    value = (value << 8) ^ (ogg[((value >>> 24) ^ (bytes[at] ?? 0)) & 0xff] ?? 0)
  }
  return value >>> 0
}

export function flacHeaderCrc(bytes: Uint8Array, from: number, to: number): number {
  let value = 0
  for (let at = from; at < to; at += 1) value = flacHeader[value ^ (bytes[at] ?? 0)] ?? 0
  return value
}

/** The checksum of a frame with one byte more. */
export function flacFrameCrc(crc: number, byte: number): number {
  return ((crc << 8) ^ (flacFrame[((crc >>> 8) ^ byte) & 0xff] ?? 0)) & 0xffff
}

function table(bits: 8 | 16 | 32, polynomial: number): Uint32Array {
  const top = bits === 32 ? 0x8000_0000 : 1 << (bits - 1)
  const mask = bits === 32 ? 0xffff_ffff : (1 << bits) - 1
  return Uint32Array.from({ length: 256 }, (_, byte) => {
    let value = bits === 8 ? byte : byte << (bits - 8)
    for (let bit = 0; bit < 8; bit += 1) {
      value = (value & top) !== 0 ? (value << 1) ^ polynomial : value << 1
    }
    return (value & mask) >>> 0
  })
}
