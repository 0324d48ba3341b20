/**
 * A terminal as the far end of a console: keys go to the device as they are typed, bytes come back as they are.
 * Promise: the terminal is given back as it was; keys wait for the device, without a queue.
 */
import type { ReadStream } from 'node:tty'
import type { Transport } from '../transport.ts'

/** Ctrl-] */
const endKey = 0x1d

export type KeyInput = Pick<ReadStream, 'setRawMode' | 'on' | 'off' | 'pause' | 'resume'>

/** @param end called at Ctrl-]. @returns gives the terminal back */
export function takeKeys(input: KeyInput, transport: Transport, end: () => void): () => void {
  const typed = (bytes: Buffer): void => {
    const last = bytes.indexOf(endKey)
    const keys = last < 0 ? bytes : bytes.subarray(0, last)
    if (keys.length > 0) {
      input.pause()
      // A write that fails ends the console by itself.
      transport.write(keys).then(
        () => input.resume(),
        () => {},
      )
    }
    if (last >= 0) end()
  }
  input.setRawMode(true)
  input.on('data', typed)
  input.resume()
  return () => {
    input.off('data', typed)
    input.setRawMode(false)
    input.pause()
  }
}
