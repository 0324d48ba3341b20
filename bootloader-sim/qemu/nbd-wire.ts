/**
 * Numbers and frames of the network block device protocol, fixed newstyle, as a server sends them.
 * Promise: frames are encoded in one place; all numbers on the wire are big-endian.
 * Leaves to others: the talk itself (nbd-session.ts).
 * Source: the protocol document of the NBD project, "Handshake", "Option types", "Transmission phase", "Error values".
 */
export const magic = {
  greeting: 0x4e42_444d_4147_4943n,
  option: 0x4948_4156_454f_5054n,
  optionReply: 0x0003_e889_0455_65a9n,
  request: 0x2560_9513,
  reply: 0x6744_6698,
} as const

/** Of the handshake, from server and from client. */
export const handshakeFlag = { fixedNewstyle: 1, noZeroes: 2 } as const

export const option = { exportName: 1, abort: 2, list: 3, info: 6, go: 7 } as const

export const optionReply = {
  ack: 1,
  server: 2,
  info: 3,
  unsupported: 0x8000_0001,
  invalid: 0x8000_0003,
  unknown: 0x8000_0006,
  tooBig: 0x8000_0009,
} as const

export const information = { export: 0, name: 1, blockSize: 3 } as const

/** Has flags, and takes FLUSH, FUA, TRIM and WRITE_ZEROES. */
export const transmissionFlags = 1 | 4 | 8 | 32 | 64

export const command = { read: 0, write: 1, disconnect: 2, flush: 3, trim: 4, zeroes: 6 } as const

export const commandFlag = { fua: 1, noHole: 2 } as const

/** Error values of replies, by the name of the system's. */
export const nbdError = {
  EPERM: 1,
  EIO: 5,
  ENOMEM: 12,
  EINVAL: 22,
  ENOSPC: 28,
  EOVERFLOW: 75,
} as const
export type NbdError = keyof typeof nbdError

/** Bytes of a request without its payload. */
export const requestBytes = 28

/** The first words of a server. */
export function greeting(): Uint8Array {
  const bytes = Buffer.alloc(18)
  bytes.writeBigUInt64BE(magic.greeting, 0)
  bytes.writeBigUInt64BE(magic.option, 8)
  bytes.writeUInt16BE(handshakeFlag.fixedNewstyle | handshakeFlag.noZeroes, 16)
  return bytes
}

export function optionReplyFrame(to: number, kind: number, data: Uint8Array = new Uint8Array()): Uint8Array {
  const bytes = Buffer.alloc(20 + data.length)
  bytes.writeBigUInt64BE(magic.optionReply, 0)
  bytes.writeUInt32BE(to, 8)
  bytes.writeUInt32BE(kind, 12)
  bytes.writeUInt32BE(data.length, 16)
  bytes.set(data, 20)
  return bytes
}

/** Data of NBD_REP_INFO about the export. */
export function exportInformation(sizeBytes: number): Uint8Array {
  const bytes = Buffer.alloc(12)
  bytes.writeUInt16BE(information.export, 0)
  bytes.writeBigUInt64BE(BigInt(sizeBytes), 2)
  bytes.writeUInt16BE(transmissionFlags, 10)
  return bytes
}

/** Data of NBD_REP_INFO about block sizes, in bytes. */
export function blockSizeInformation(min: number, preferred: number, max: number): Uint8Array {
  const bytes = Buffer.alloc(14)
  bytes.writeUInt16BE(information.blockSize, 0)
  bytes.writeUInt32BE(min, 2)
  bytes.writeUInt32BE(preferred, 6)
  bytes.writeUInt32BE(max, 10)
  return bytes
}

/** Data of NBD_REP_INFO about the name of the export. */
export function nameInformation(name: string): Uint8Array {
  return Buffer.concat([Buffer.from([0, information.name]), Buffer.from(name)])
}

/** Data of NBD_REP_SERVER. */
export function listedName(name: string): Uint8Array {
  const text = Buffer.from(name)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(text.length)
  return Buffer.concat([length, text])
}

/** The answer to NBD_OPT_EXPORT_NAME, which has no frame of its own. */
export function exportNameAnswer(sizeBytes: number, zeroes: boolean): Uint8Array {
  const bytes = Buffer.alloc(zeroes ? 134 : 10)
  bytes.writeBigUInt64BE(BigInt(sizeBytes), 0)
  bytes.writeUInt16BE(transmissionFlags, 8)
  return bytes
}

/** Head of a simple reply; the bytes of a successful read follow it. */
export function replyHead(cookie: bigint, error: NbdError | null): Uint8Array {
  const bytes = Buffer.alloc(16)
  bytes.writeUInt32BE(magic.reply, 0)
  bytes.writeUInt32BE(error === null ? 0 : nbdError[error], 4)
  bytes.writeBigUInt64BE(cookie, 8)
  return bytes
}
