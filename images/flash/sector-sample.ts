/**
 * Keeps of an image that passes by what is needed to find its FAT partition: its beginning, and every sector that
 * ends in the signature of boot sectors and partition tables.
 * Promise: memory is bounded; with more such sectors than that it says nothing rather than something wrong.
 */
import { flashLimits } from '../../core/limits.ts'
import type { ByteSource } from '../release/byte-source.ts'

const sector = 512

export interface SectorSample {
  /** The next bytes of the image. */
  add(bytes: Uint8Array): void
  /** The image with zeros for what was not kept; null when there was too much to keep. */
  source(name: string): ByteSource | null
}

export function sectorSample(): SectorSample {
  const head = new Uint8Array(flashLimits.sampleHeadBytes)
  const kept = new Map<number, Uint8Array>()
  const partial = new Uint8Array(sector)
  let total = 0
  const look = (bytes: Uint8Array, at: number, offset: number): void => {
    if (bytes[at + 510] !== 0x55 || bytes[at + 511] !== 0xaa) return
    if (kept.size <= flashLimits.sampleSectorsMax) kept.set(offset, bytes.slice(at, at + sector))
  }
  return {
    add(bytes) {
      if (total < head.length) head.set(bytes.subarray(0, head.length - total), total)
      for (let at = 0; at < bytes.length; ) {
        const inside = total % sector
        const step = Math.min(sector - inside, bytes.length - at)
        if (step === sector) look(bytes, at, total)
        else {
          partial.set(bytes.subarray(at, at + step), inside)
          if (inside + step === sector) look(partial, 0, total - inside)
        }
        total += step
        at += step
      }
    },
    source: (name) => (kept.size > flashLimits.sampleSectorsMax ? null : sourceOf(name, total, head, kept)),
  }
}

function sourceOf(
  name: string,
  bytes: number,
  head: Uint8Array,
  kept: ReadonlyMap<number, Uint8Array>,
): ByteSource {
  return {
    name,
    bytes,
    async read(offset, into) {
      const room = into.subarray(0, Math.max(0, bytes - offset))
      room.fill(0)
      for (let at = 0; at < room.length; at += sector) {
        const known = kept.get(offset + at)
        if (known !== undefined) room.set(known.subarray(0, room.length - at), at)
      }
      room.set(head.subarray(offset, offset + room.length))
      return room.length
    },
  }
}
