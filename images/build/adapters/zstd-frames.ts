/**
 * Expands a `.zst` of any number of frames. Node's decoder alone stops after the first one and, when the next
 * begins in the same chunk, drops it without an error.
 * Promise: every byte of the input is taken by some frame, or it is an error; output waits for its taker.
 * Leaves to others: reading the file, naming it in the error.
 */
import { once } from 'node:events'
import { createZstdDecompress } from 'node:zlib'
import { KiB } from '../../../core/units.ts'

type Decoder = ReturnType<typeof createZstdDecompress>

interface Frame {
  readonly decoder: Decoder
  /** Settles when all output of the decoder is taken. */
  readonly drained: Promise<void>
  /** Settles when the decoder is done or destroyed. */
  readonly closed: Promise<unknown>
}

/** @throws Error when the input is damaged or ends inside a frame */
export async function expandFrames(
  chunks: AsyncIterable<Uint8Array>,
  take: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  let frame = begin(take)
  try {
    for await (const chunk of chunks) {
      let rest = chunk
      while (rest.length > 0) {
        const taken = await feed(frame, rest)
        if (taken === rest.length) break
        if (taken === 0) throw new Error('a frame takes nothing')
        // The frame has ended inside the chunk; its decoder will take no more.
        await frame.drained
        rest = rest.subarray(taken)
        frame = begin(take)
      }
    }
    frame.decoder.end()
    await frame.drained
  } finally {
    frame.decoder.destroy()
  }
}

function begin(take: (bytes: Uint8Array) => Promise<void>): Frame {
  const decoder = createZstdDecompress({ chunkSize: 256 * KiB })
  const drain = async (): Promise<void> => {
    for await (const bytes of decoder) await take(bytes as Buffer)
  }
  const drained = drain()
  // Whoever waits for it sees the error; until then it must not count as unhandled.
  drained.catch(() => {})
  const closed = once(decoder, 'close').catch(() => {})
  return { decoder, drained, closed }
}

/** @returns how many bytes the decoder took */
async function feed({ decoder, drained, closed }: Frame, bytes: Uint8Array): Promise<number> {
  const before = decoder.bytesWritten
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  decoder.write(bytes, (error) => (error ? reject(error) : resolve()))
  // A decoder that was destroyed by its taker's failure never calls back.
  await Promise.race([promise, drained, closed])
  await (decoder.errored === null ? undefined : drained)
  return decoder.bytesWritten - before
}
