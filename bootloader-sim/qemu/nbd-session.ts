/**
 * The server's side of one NBD connection as a state machine: fed with bytes at any split, it says what to
 * send, which requests came, and when the connection ends.
 * Promise: the same bytes give the same events however they are cut; a request that is passed on lies inside
 * the export, in whole sectors; nothing that a client sends throws, and none of it is held beyond its limit.
 * Leaves to others: sockets and deadlines (adapters/nbd-server.ts), what a request does (nbd-disk.ts).
 */
import { diskServerLimits } from '../../core/limits.ts'
import { blockBytes } from '../../core/units.ts'
import {
  blockSizeInformation,
  command,
  commandFlag,
  exportInformation,
  exportNameAnswer,
  greeting,
  handshakeFlag,
  information,
  listedName,
  magic,
  type NbdError,
  nameInformation,
  option,
  optionReply,
  optionReplyFrame,
  replyHead,
  requestBytes,
} from './nbd-wire.ts'

/** What is served. */
export interface NbdExport {
  readonly name: string
  readonly sizeBytes: number
}

/** The least unit of a request. */
export const nbdSectorBytes = 512

export interface NbdRequest {
  readonly kind: 'read' | 'write' | 'flush' | 'trim' | 'zeroes'
  readonly cookie: bigint
  /** 0 for a flush, as the length. */
  readonly offset: number
  readonly length: number
  /** Of a write. The receiver's to keep. */
  readonly bytes: Uint8Array | null
  /** Durable before it is answered. */
  readonly fua: boolean
}

export type NbdEvent =
  | { readonly kind: 'send'; readonly bytes: Uint8Array }
  | { readonly kind: 'request'; readonly request: NbdRequest }
  /** Send what is to be sent, then close. Nothing comes after it. */
  | { readonly kind: 'end'; readonly why: string }

export interface NbdSession {
  /** Requests may come from now on. */
  transmitting(): boolean
  /** @returns what the bytes bring about, in order. The bytes are not kept. */
  feed(bytes: Uint8Array): readonly NbdEvent[]
}

/** Asks for that many bytes and goes on with them. */
type Talk<T> = Generator<number, T, Buffer>
type Emit = (event: NbdEvent) => void

/** @param it what every client of the session is offered; the first `feed` also gives the greeting */
export function nbdSession(it: NbdExport): NbdSession {
  let events: NbdEvent[] = [{ kind: 'send', bytes: greeting() }]
  let transmitting = false
  const talk = wholeTalk(
    it,
    (event) => events.push(event),
    () => {
      transmitting = true
    },
  )
  let wanted: Buffer | null = buffer(talk.next())
  let have = 0
  const advance = (): void => {
    while (wanted !== null && have === wanted.length) {
      const next = talk.next(wanted)
      if (next.done === true) events.push({ kind: 'end', why: next.value })
      wanted = buffer(next)
      have = 0
    }
  }
  return {
    transmitting: () => transmitting,
    feed(bytes) {
      for (let at = 0; at < bytes.length && wanted !== null; advance()) {
        const part = bytes.subarray(at, at + wanted.length - have)
        wanted.set(part, have)
        have += part.length
        at += part.length
      }
      const result = events
      events = []
      return result
    },
  }
}

/** A buffer of its own: a write keeps it, and part of a pool would keep the pool. */
function buffer(next: IteratorResult<number, string>): Buffer | null {
  return next.done === true ? null : Buffer.allocUnsafeSlow(next.value)
}

function* wholeTalk(it: NbdExport, emit: Emit, begin: () => void): Talk<string> {
  const flags = (yield 4).readUInt32BE()
  const known = handshakeFlag.fixedNewstyle | handshakeFlag.noZeroes
  if ((flags & ~known) !== 0) return `unknown client flags ${flags}`
  if ((flags & handshakeFlag.fixedNewstyle) === 0) return 'the client does not speak fixed newstyle'
  const refused = yield* options(it, (flags & handshakeFlag.noZeroes) === 0, emit)
  if (refused !== null) return refused
  begin()
  for (;;) {
    const ended = yield* oneRequest(it.sizeBytes, emit)
    if (ended !== null) return ended
  }
}

/** @returns why the connection ends, or null when transmission begins */
function* options(it: NbdExport, zeroes: boolean, emit: Emit): Talk<string | null> {
  for (let count = 0; count < diskServerLimits.optionsMax; count += 1) {
    const head = yield 16
    if (head.readBigUInt64BE() !== magic.option) return 'an option without its magic number'
    const kind = head.readUInt32BE(8)
    const length = head.readUInt32BE(12)
    const reply = (type: number, data?: Uint8Array): void =>
      emit({ kind: 'send', bytes: optionReplyFrame(kind, type, data) })
    if (length > diskServerLimits.optionBytesMax) {
      reply(optionReply.tooBig)
      return `an option of ${length} bytes, at most ${diskServerLimits.optionBytesMax}`
    }
    const data = yield length
    if (kind === option.exportName) {
      if (!names(data, it)) return 'an export that does not exist'
      emit({ kind: 'send', bytes: exportNameAnswer(it.sizeBytes, zeroes) })
      return null
    }
    if (kind === option.abort) {
      reply(optionReply.ack)
      return 'the client leaves'
    }
    if (kind === option.list) list(it, data, reply)
    else if (kind === option.info || kind === option.go) {
      if (inform(it, data, reply) && kind === option.go) return null
    } else reply(optionReply.unsupported)
  }
  return `more than ${diskServerLimits.optionsMax} options`
}

type Reply = (type: number, data?: Uint8Array) => void

/** The empty name is the default export. */
function names(name: Uint8Array, it: NbdExport): boolean {
  const text = Buffer.from(name).toString()
  return text === '' || text === it.name
}

function list(it: NbdExport, data: Uint8Array, reply: Reply): void {
  if (data.length === 0) reply(optionReply.server, listedName(it.name))
  reply(data.length === 0 ? optionReply.ack : optionReply.invalid)
}

/** INFO and GO. @returns whether the export was found */
function inform(it: NbdExport, data: Buffer, reply: Reply): boolean {
  const nameLength = data.length < 6 ? -1 : data.readUInt32BE()
  const wishes = nameLength >= 0 && nameLength <= data.length - 6 ? data.readUInt16BE(4 + nameLength) : -1
  const whole = wishes >= 0 && data.length === 6 + nameLength + 2 * wishes
  if (!whole || wishes > diskServerLimits.wishesMax) {
    reply(optionReply.invalid)
    return false
  }
  if (!names(data.subarray(4, 4 + nameLength), it)) {
    reply(optionReply.unknown)
    return false
  }
  reply(optionReply.info, exportInformation(it.sizeBytes))
  const wished = new Set<number>()
  for (let n = 0; n < wishes; n += 1) wished.add(data.readUInt16BE(6 + nameLength + 2 * n))
  if (wished.has(information.name)) reply(optionReply.info, nameInformation(it.name))
  if (wished.has(information.blockSize)) {
    const sizes = blockSizeInformation(nbdSectorBytes, blockBytes, diskServerLimits.requestBytesMax)
    reply(optionReply.info, sizes)
  }
  reply(optionReply.ack)
  return true
}

const kinds: ReadonlyMap<number, NbdRequest['kind']> = new Map([
  [command.read, 'read'],
  [command.write, 'write'],
  [command.flush, 'flush'],
  [command.trim, 'trim'],
  [command.zeroes, 'zeroes'],
])

/** @returns why the connection ends, or null to go on */
function* oneRequest(sizeBytes: number, emit: Emit): Talk<string | null> {
  const head = yield requestBytes
  if (head.readUInt32BE() !== magic.request) return 'a request without its magic number'
  const flags = head.readUInt16BE(4)
  const number = head.readUInt16BE(6)
  const cookie = head.readBigUInt64BE(8)
  const offset = head.readBigUInt64BE(16)
  const length = head.readUInt32BE(24)
  if (number === command.disconnect) return 'the client is done'
  const kind = kinds.get(number)
  const carries = kind === 'write'
  if (carries && length > diskServerLimits.requestBytesMax) {
    return `a write of ${length} bytes, at most ${diskServerLimits.requestBytesMax}`
  }
  const error = kind === undefined ? 'EINVAL' : refusal(kind, flags, offset, length, sizeBytes)
  if (kind === undefined || error !== null) {
    if (carries) yield* passOver(length)
    emit({ kind: 'send', bytes: replyHead(cookie, error) })
    return null
  }
  const bytes = carries ? yield length : null
  const fua = (flags & commandFlag.fua) !== 0
  emit({ kind: 'request', request: { kind, cookie, offset: Number(offset), length, bytes, fua } })
  return null
}

function refusal(
  kind: NbdRequest['kind'],
  flags: number,
  offset: bigint,
  length: number,
  sizeBytes: number,
): NbdError | null {
  const allowed = commandFlag.fua | (kind === 'zeroes' ? commandFlag.noHole : 0)
  if ((flags & ~allowed) !== 0) return 'EINVAL'
  if (kind === 'flush') return offset === 0n && length === 0 ? null : 'EINVAL'
  if (offset + BigInt(length) > BigInt(sizeBytes)) return kind === 'read' ? 'EINVAL' : 'ENOSPC'
  const sector = BigInt(nbdSectorBytes)
  if (length === 0 || offset % sector !== 0n || BigInt(length) % sector !== 0n) return 'EINVAL'
  return kind === 'read' && length > diskServerLimits.requestBytesMax ? 'EOVERFLOW' : null
}

function* passOver(bytes: number): Talk<void> {
  for (let left = bytes; left > 0; ) left -= (yield Math.min(left, diskServerLimits.optionBytesMax)).length
}
