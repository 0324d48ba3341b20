/**
 * The server's side of an NBD connection: frames as the protocol has them, any chunking, any nonsense.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type NbdEvent, nbdSession } from '../../../bootloader-sim/qemu/nbd-session.ts'
import { command, nbdError, option, optionReply } from '../../../bootloader-sim/qemu/nbd-wire.ts'
import { diskServerLimits } from '../../../core/limits.ts'
import { MiB } from '../../../core/units.ts'
import { type Asked, clientFlags, optionFrame, requestFrame, wholeTalk, wishFor } from './nbd-client.ts'

const disk = { name: 'disk', sizeBytes: 4 * MiB }

/** Events of a talk that comes in these pieces. */
function heard(...pieces: readonly Uint8Array[]): readonly NbdEvent[] {
  const session = nbdSession(disk)
  return pieces.flatMap((it) => session.feed(it))
}

/** Without the greeting. */
function answers(...pieces: readonly Uint8Array[]): readonly NbdEvent[] {
  return heard(Buffer.concat(pieces)).slice(1)
}

const opened = [clientFlags(), optionFrame(option.go, wishFor('disk'))]
const afterOpening = (...asked: readonly Asked[]): readonly NbdEvent[] =>
  answers(...opened, ...asked.map(requestFrame)).slice(2)

function replyKinds(events: readonly NbdEvent[]): readonly number[] {
  return events.flatMap((it) => (it.kind === 'send' ? [Buffer.from(it.bytes).readUInt32BE(12)] : []))
}

function hexOf(events: readonly NbdEvent[]): readonly string[] {
  return events.map((it) => (it.kind === 'send' ? Buffer.from(it.bytes).toString('hex') : it.kind))
}

describe('the talk', () => {
  it('begins with the greeting of the protocol', () => {
    expect(hexOf(heard(new Uint8Array()))).toEqual(['4e42444d4147494349484156454f50540003'])
  })

  it('tells the size, the flags and the block sizes that the protocol has', () => {
    const events = answers(clientFlags(), optionFrame(option.go, wishFor('disk', 3)))
    expect(hexOf(events)).toEqual([
      '0003e889045565a90000000700000003' + '0000000c' + '0000' + '0000000000400000' + '006d',
      '0003e889045565a90000000700000003' + '0000000e' + '0003' + '00000200' + '00001000' + '02000000',
      '0003e889045565a90000000700000001' + '00000000',
    ])
  })

  it('passes on each request with what belongs to it', () => {
    const requests = answers(wholeTalk()).flatMap((it) => (it.kind === 'request' ? [it.request] : []))
    expect(requests.map((it) => [it.kind, it.cookie, it.offset, it.length, it.fua])).toEqual([
      ['write', 7n, 512, 1024, true],
      ['read', 8n, 512, 512, false],
      ['flush', 9n, 0, 0, false],
      ['trim', 10n, 0, 4096, false],
      ['zeroes', 11n, 0, 512, false],
    ])
    expect(requests[0]?.bytes).toEqual(Buffer.alloc(1024, 0x5a))
  })

  it('gives the same events however the bytes are cut', () => {
    const talk = wholeTalk()
    const whole = heard(talk)
    fc.assert(
      fc.property(fc.array(fc.nat({ max: talk.length }), { maxLength: 40 }), (cuts) => {
        const edges = [0, ...cuts.toSorted((one, other) => one - other), talk.length]
        const pieces = edges.slice(1).map((end, n) => talk.subarray(edges[n], end))
        expect(heard(...pieces)).toEqual(whole)
      }),
    )
    expect(heard(...[...talk].map((byte) => Uint8Array.of(byte)))).toEqual(whole)
  })

  it('keeps nothing of the memory that it is fed from', () => {
    const talk = wholeTalk()
    const events = heard(talk)
    talk.fill(0)
    const write = events.find((it) => it.kind === 'request')
    expect(write?.kind === 'request' && write.request.bytes?.[0]).toBe(0x5a)
  })

  it('answers the old EXPORT_NAME with and without padding', () => {
    const flags = [3, 1].map((it) => answers(clientFlags(it), optionFrame(option.exportName)))
    expect(flags.map(hexOf)).toEqual([['0000000000400000006d'], [`0000000000400000006d${'00'.repeat(124)}`]])
  })

  it('lists the export and takes its leave', () => {
    expect(replyKinds(answers(clientFlags(), optionFrame(option.list)))).toEqual([
      optionReply.server,
      optionReply.ack,
    ])
    const leaving = answers(clientFlags(), optionFrame(option.abort))
    expect(replyKinds(leaving)).toEqual([optionReply.ack])
    expect(leaving.at(-1)?.kind).toBe('end')
  })
})

describe('what is not understood', () => {
  it.each([
    ['structured replies', optionFrame(8), optionReply.unsupported],
    ['TLS', optionFrame(5), optionReply.unsupported],
    ['another export', optionFrame(option.go, wishFor('other')), optionReply.unknown],
    ['a list with data', optionFrame(option.list, Buffer.alloc(1)), optionReply.invalid],
    ['no name', optionFrame(option.info), optionReply.invalid],
    ['a name longer than its data', optionFrame(option.info, Buffer.alloc(6, 0xff)), optionReply.invalid],
    [
      'fewer wishes than said',
      optionFrame(option.go, Buffer.from([0, 0, 0, 0, 0, 2, 0, 3])),
      optionReply.invalid,
    ],
  ])('%s is refused and the talk goes on', (_, frame, kind) => {
    const events = answers(clientFlags(), frame, optionFrame(option.go, wishFor('')))
    expect(replyKinds(events)).toEqual([kind, optionReply.info, optionReply.ack])
  })

  it.each([
    ['an old client', [clientFlags(0)]],
    ['an unknown client flag', [clientFlags(7)]],
    ['an option without magic', [clientFlags(), Buffer.alloc(16)]],
    [
      'an option that is too long',
      [clientFlags(), optionFrame(1, Buffer.alloc(diskServerLimits.optionBytesMax + 1))],
    ],
    ['an unknown export by EXPORT_NAME', [clientFlags(), optionFrame(option.exportName, Buffer.from('x'))]],
    ['a request without magic', [...opened, Buffer.alloc(28)]],
    ['a write of 4 GiB', [...opened, requestFrame({ number: command.write, length: 0xffff_fe00 })]],
    [
      'endless options',
      [clientFlags(), ...Array.from({ length: diskServerLimits.optionsMax }, () => optionFrame(8))],
    ],
  ])('%s ends the connection', (_, pieces) => {
    const events = answers(...pieces, requestFrame({ number: command.flush }))
    expect(events.at(-1)?.kind).toBe('end')
    expect(events.filter((it) => it.kind === 'request')).toEqual([])
  })

  const outside = BigInt(disk.sizeBytes)
  it.each<readonly [string, Asked, keyof typeof nbdError]>([
    ['a read past the end', { number: command.read, offset: outside, length: 512 }, 'EINVAL'],
    ['a read over the end', { number: command.read, offset: outside - 512n, length: 1024 }, 'EINVAL'],
    ['a read at 2^64-512', { number: command.read, offset: 2n ** 64n - 512n, length: 512 }, 'EINVAL'],
    ['a write over the end', { number: command.write, offset: outside, bytes: Buffer.alloc(512) }, 'ENOSPC'],
    ['a trim over the end', { number: command.trim, offset: 512n, length: disk.sizeBytes }, 'ENOSPC'],
    ['zeroes over the end', { number: command.zeroes, offset: outside, length: 512 }, 'ENOSPC'],
    ['a read of nothing', { number: command.read }, 'EINVAL'],
    ['a write of nothing', { number: command.write }, 'EINVAL'],
    ['part of a sector', { number: command.read, length: 100 }, 'EINVAL'],
    ['a write between sectors', { number: command.write, offset: 1n, bytes: Buffer.alloc(512) }, 'EINVAL'],
    ['a flush with a range', { number: command.flush, length: 512 }, 'EINVAL'],
    ['an unknown command', { number: 77, length: 512 }, 'EINVAL'],
    ['an unknown flag', { number: command.read, flags: 4, length: 512 }, 'EINVAL'],
    ['a fast zero', { number: command.zeroes, flags: 16, length: 512 }, 'EINVAL'],
  ])('%s is answered with an error and the talk goes on', (_, asked, error) => {
    const events = afterOpening({ ...asked, cookie: 5n }, { number: command.flush, cookie: 6n })
    const [reply, next, ...rest] = events
    const cookie = '0000000000000005'
    const value = nbdError[error].toString(16).padStart(8, '0')
    expect(hexOf(reply === undefined ? [] : [reply])).toEqual([`67446698${value}${cookie}`])
    expect(next?.kind === 'request' && next.request.cookie).toBe(6n)
    expect(rest).toEqual([])
  })

  it('a read longer than the limit is an error of its own', () => {
    const session = nbdSession({ name: 'disk', sizeBytes: 2 ** 40 })
    session.feed(Buffer.concat(opened))
    const asked = { number: command.read, length: diskServerLimits.requestBytesMax + 512 }
    expect(hexOf(session.feed(requestFrame(asked)))).toEqual(['674466980000004b0000000000000001'])
  })

  it('whatever comes, nothing throws, and requests lie inside the export', () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 64 }),
      fc.constantFrom(...opened, wholeTalk()),
      fc
        .record({
          number: fc.nat({ max: 8 }),
          flags: fc.nat({ max: 31 }),
          offset: fc.oneof(
            fc.nat({ max: 8192 }).map((n) => BigInt(n * 512)),
            fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
          ),
          length: fc.oneof(
            fc.nat({ max: 16 }).map((n) => n * 512),
            fc.nat(),
          ),
        })
        .map(requestFrame),
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const events = heard(...opened, ...pieces)
        for (const it of events) {
          if (it.kind !== 'request') continue
          const { offset, length, bytes } = it.request
          expect(offset % 512 === 0 && length % 512 === 0 && offset + length <= disk.sizeBytes).toBe(true)
          expect(bytes?.length ?? length).toBe(length)
        }
        expect(events.findIndex((it) => it.kind === 'end')).toBeOneOf([-1, events.length - 1])
      }),
    )
  })

  it('every flipped bit of a talk ends it or leaves requests inside the export', () => {
    const talk = wholeTalk()
    for (let bit = 0; bit < 400 * 8; bit += 1) {
      const changed = Buffer.from(talk)
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      for (const it of heard(changed)) {
        if (it.kind === 'request')
          expect(it.request.offset + it.request.length).toBeLessThanOrEqual(disk.sizeBytes)
      }
    }
  })

  it('no part of a talk gives anything but the first of its events', () => {
    const talk = wholeTalk()
    const whole = heard(talk)
    for (let bytes = 0; bytes < talk.length; bytes += 1) {
      const part = heard(talk.subarray(0, bytes))
      expect(part).toEqual(whole.slice(0, part.length))
    }
  })
})
