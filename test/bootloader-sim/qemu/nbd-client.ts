/**
 * What an NBD client puts on the wire, byte by byte, for tests.
 * Leaves to others: the server's frames (bootloader-sim/qemu/nbd-wire.ts).
 */
import { command, commandFlag, magic, option } from '../../../bootloader-sim/qemu/nbd-wire.ts'

export interface Asked {
  readonly number: number
  readonly flags?: number
  readonly cookie?: bigint
  readonly offset?: bigint
  readonly length?: number
  readonly bytes?: Uint8Array
}

export function clientFlags(flags = 3): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(flags)
  return bytes
}

export function optionFrame(kind: number, data: Uint8Array = new Uint8Array()): Buffer {
  const head = Buffer.alloc(16)
  head.writeBigUInt64BE(magic.option)
  head.writeUInt32BE(kind, 8)
  head.writeUInt32BE(data.length, 12)
  return Buffer.concat([head, data])
}

/** Data of INFO and GO. */
export function wishFor(name: string, ...wishes: readonly number[]): Buffer {
  const text = Buffer.from(name)
  const bytes = Buffer.alloc(4 + text.length + 2 + 2 * wishes.length)
  bytes.writeUInt32BE(text.length)
  bytes.set(text, 4)
  bytes.writeUInt16BE(wishes.length, 4 + text.length)
  wishes.forEach((wish, n) => void bytes.writeUInt16BE(wish, 6 + text.length + 2 * n))
  return bytes
}

export function requestFrame(asked: Asked): Buffer {
  const head = Buffer.alloc(28)
  head.writeUInt32BE(magic.request)
  head.writeUInt16BE(asked.flags ?? 0, 4)
  head.writeUInt16BE(asked.number, 6)
  head.writeBigUInt64BE(asked.cookie ?? 1n, 8)
  head.writeBigUInt64BE(asked.offset ?? 0n, 16)
  head.writeUInt32BE(asked.length ?? asked.bytes?.length ?? 0, 24)
  return Buffer.concat([head, asked.bytes ?? new Uint8Array()])
}

/** A whole talk: two requests for information, then one of each command. */
export function wholeTalk(): Buffer {
  const bytes = Buffer.alloc(1024, 0x5a)
  return Buffer.concat([
    ...[clientFlags(), optionFrame(option.list), optionFrame(99, Buffer.alloc(3))],
    ...[optionFrame(option.info, wishFor('disk', 1, 3)), optionFrame(option.go, wishFor(''))],
    requestFrame({ number: command.write, flags: commandFlag.fua, cookie: 7n, offset: 512n, bytes }),
    requestFrame({ number: command.read, cookie: 8n, offset: 512n, length: 512 }),
    requestFrame({ number: command.flush, cookie: 9n }),
    requestFrame({ number: command.trim, cookie: 10n, length: 4096 }),
    requestFrame({ number: command.zeroes, flags: commandFlag.noHole, cookie: 11n, length: 512 }),
    requestFrame({ number: command.disconnect }),
  ])
}
