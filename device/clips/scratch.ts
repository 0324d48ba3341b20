/**
 * Memory for what is read from a file and not kept: mostly the same again, or given back at once, since memory of
 * that size is what the garbage collector is called for, and whoever plays a clip then waits for it.
 * Promise: nobody else has it until the work is over.
 */
import { clipLimits } from '../../core/clip-limits.ts'

export class Scratch {
  #free: Buffer | null = null

  /** @param work is over when it has settled; what it gives back must not lie in `room` */
  async lend<T>(bytes: number, work: (room: Buffer) => Promise<T>): Promise<T> {
    const free = this.#free
    const room = free !== null && free.length >= bytes ? free : Buffer.allocUnsafeSlow(bytes)
    this.#free = null
    try {
      return await work(room.subarray(0, bytes))
    } finally {
      if (room.length <= clipLimits.scratchBytes) this.#free = room
    }
  }
}

/** Gives memory back now. Nobody must use it any more; memory that it has only a part in stays. */
export function letGo(bytes: Uint8Array): void {
  const { buffer } = bytes
  if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes.length) buffer.transfer(0)
}
