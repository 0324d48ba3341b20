/**
 * A terminal as the far end of a console: keys go to the device as they are typed, bytes come back as they are.
 * Promise: the terminal is given back as it was; Ctrl-] is heard though the device takes nothing; what waits for
 * the device is bounded.
 */
import type { ReadStream } from 'node:tty'
import { consoleLimits } from '../../core/limits.ts'
import type { Transport } from '../transport.ts'

/** Ctrl-] */
const endKey = 0x1d

export type KeyInput = Pick<ReadStream, 'setRawMode' | 'on' | 'off' | 'pause' | 'resume'>

/** @param end called at Ctrl-]. @returns gives the terminal back */
export function takeKeys(input: KeyInput, transport: Transport, end: () => void): () => void {
  let waiting = 0
  let over = false
  const typed = (bytes: Buffer): void => {
    const last = bytes.indexOf(endKey)
    const keys = last < 0 ? bytes : bytes.subarray(0, last)
    if (keys.length > 0) send(keys)
    if (last >= 0) end()
  }
  const send = (keys: Buffer): void => {
    waiting += keys.length
    if (waiting > consoleLimits.keysBytesMax) input.pause()
    const taken = (): void => {
      waiting -= keys.length
      if (!over && waiting <= consoleLimits.keysBytesMax) input.resume()
    }
    // A write that fails ends the console by itself.
    transport.write(keys).then(taken, () => {})
  }
  input.setRawMode(true)
  input.on('data', typed)
  input.resume()
  return () => {
    over = true
    input.off('data', typed)
    input.setRawMode(false)
    input.pause()
  }
}
