/**
 * What the headers of a sound file say, read by a library.
 * Promise: the library is loaded when it is first needed; it gets so many reads and no more, so that it ends whatever
 * the headers hold; whatever it throws is a finding, not a failure.
 * Leaves to others: whether it is true (read-audio.ts), keeping what it is given short (forms/).
 */
import { audioLimits } from '../core/clip-limits.ts'
import { fail, ok, type Result } from '../core/result.ts'

/** null: it does not say. */
export interface HeaderFacts {
  readonly channels: number | null
  /** Bits per second. */
  readonly bitRate: number | null
  readonly seconds: number | null
}

/** @param bytes not long: the library looks at much of it more than once */
export async function readHeaders(bytes: Uint8Array): Promise<Result<HeaderFacts, string>> {
  const { parseBuffer } = await import('music-metadata')
  try {
    const { format } = await parseBuffer(countedBytes(bytes), undefined, {
      duration: true,
      skipCovers: true,
      skipPostHeaders: true,
    })
    return ok({
      channels: format.numberOfChannels ?? null,
      bitRate: format.bitrate ?? null,
      seconds: format.duration ?? null,
    })
  } catch (caught) {
    return fail(caught instanceof Error ? caught.message : String(caught))
  }
}

/** Bytes that give out parts of themselves so many times only: the library takes each part this way. */
function countedBytes(bytes: Uint8Array): Uint8Array {
  let reads = 0
  const subarray = (begin?: number, end?: number): Uint8Array => {
    reads += 1
    if (reads > audioLimits.headerReadsMax) throw new Error('they lead nowhere')
    return bytes.subarray(begin, end)
  }
  const view = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
  return Object.defineProperty(view, 'subarray', { value: subarray })
}
