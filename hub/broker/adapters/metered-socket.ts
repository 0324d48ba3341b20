/**
 * A socket whose incoming bytes pass a packet meter first.
 * Promise: bytes reach the broker only after the meter let them pass; a connection that breaks a limit is
 * destroyed; back-pressure holds in both directions.
 * Leaves to others: the limits themselves (../packet-meter.ts), peers that do not read (embedded.ts).
 */
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { createPacketMeter, type PacketMeter } from '../packet-meter.ts'

export class MeteredSocket extends Duplex {
  readonly #socket: Socket
  readonly #meter: PacketMeter = createPacketMeter()

  constructor(socket: Socket) {
    super({ allowHalfOpen: false, emitClose: true })
    this.#socket = socket
    socket.on('data', (bytes) => this.#take(bytes))
    socket.on('end', () => this.push(null))
    socket.on('error', (error) => this.destroy(error))
    socket.on('close', () => this.destroy())
  }

  authenticated(): void {
    this.#meter.authenticated()
  }

  /** Bytes that the peer has not taken yet. */
  get backlogBytes(): number {
    return this.#socket.writableLength + this.writableLength
  }

  #take(bytes: Buffer): void {
    const refusal = this.#meter.take(bytes)
    if (refusal !== null) this.destroy(new Error(refusal))
    else if (!this.push(bytes)) this.#socket.pause()
  }

  override _read(): void {
    if (this.#socket.isPaused()) this.#socket.resume()
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(bytes, (error) => done(error ?? null))
  }

  /** The many small writes of one packet leave as one. */
  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#socket.write(Buffer.concat(chunks.map((it) => it.chunk)), (error) => done(error ?? null))
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.end(() => done())
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy()
    done(error)
  }
}
