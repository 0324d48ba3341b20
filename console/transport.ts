/**
 * The wire to a device, as the console sees it: a serial device or a socket.
 * Promise: after `ended` nothing more comes; a write that fails is followed by `ended`; failures are coded.
 */
import type { Fault } from '../core/errors.ts'

export type ControlLine = 'dtr' | 'rts'

export interface TransportListener {
  data(bytes: Uint8Array): void
  /** The wire is gone: EB-CONSOLE-GONE. Called once; not after `close`. */
  ended(reason: Fault): void
}

export interface Transport {
  /** For people: path, and speed where it has one. */
  readonly name: string
  /** From here on bytes are handed over; called once. */
  listen(listener: TransportListener): void
  /** Resolves when the bytes were taken. */
  write(bytes: Uint8Array): Promise<void>
  /** Drops a control line and raises it again. @throws EverbootError EB-CONSOLE-RESET when there is none */
  reset(line: ControlLine): Promise<void>
  close(): Promise<void>
}
