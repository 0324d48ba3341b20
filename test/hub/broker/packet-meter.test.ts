/**
 * The meter that looks at MQTT bytes before the broker does.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hubLimits } from '../../../core/limits.ts'
import { createPacketMeter } from '../../../hub/broker/packet-meter.ts'
import { connectPacket, packet, publishPacket } from './clients.ts'

const connect = connectPacket('dev1', 'token')
const trusted = () => {
  const meter = createPacketMeter()
  expect(meter.take(connect)).toBeNull()
  meter.authenticated()
  return meter
}

describe('the packet meter', () => {
  it('lets good packets pass however the stream is cut', () => {
    const packets = fc.array(
      fc.uint8Array({ maxLength: 3_000 }).map((it) => publishPacket('t', it)),
      { maxLength: 8 },
    )
    fc.assert(
      fc.property(packets, fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1 }), (list, cuts) => {
        const meter = trusted()
        const stream = Buffer.concat(list)
        for (let at = 0, turn = 0; at < stream.length; turn += 1) {
          const step = cuts[turn % cuts.length] ?? 1
          expect(meter.take(stream.subarray(at, at + step))).toBeNull()
          at += step
        }
      }),
    )
  })

  it.each([0x00, 0x20, 0x30, 0x82, 0xc0, 0xe0, 0xf0])(
    'ends a connection whose first packet is 0x%s',
    (first) => {
      expect(createPacketMeter().take(Buffer.from([first, 0]))).toMatch('not CONNECT')
    },
  )

  it('ends a connection that claims more than 4 KiB before authentication, at the header', () => {
    const meter = createPacketMeter()
    expect(meter.take(Buffer.from([0x10, 0x80, 0x20]))).toBeNull()
    expect(createPacketMeter().take(Buffer.from([0x10, 0x81, 0x20]))).toMatch('claims 4097 bytes')
    expect(createPacketMeter().take(Buffer.from([0x10, 0xff, 0xff, 0xff, 0x7f]))).toMatch(
      'claims 268435455 bytes',
    )
  })

  it('ends a connection that sends on and on before authentication', () => {
    const meter = createPacketMeter()
    meter.take(connect)
    let refusal: string | null = null
    let sent = connect.length
    while (refusal === null && sent < 10 * hubLimits.unauthenticatedBytesMax) {
      const next = publishPacket('t', Buffer.alloc(1_000))
      sent += next.length
      refusal = meter.take(next)
    }
    expect(refusal).toMatch('before authentication')
    expect(sent).toBeLessThan(hubLimits.unauthenticatedBytesMax + 2_000)
  })

  it('ends a connection whose length has a fifth byte', () => {
    expect(trusted().take(Buffer.from([0x30, 0x80, 0x80, 0x80, 0x80]))).toMatch('malformed')
  })

  it('lets a device send up to 256 KiB and not a byte more', () => {
    expect(trusted().take(packet(0x30, [Buffer.alloc(hubLimits.packetBytesMax)]))).toBeNull()
    expect(trusted().take(packet(0x30, [Buffer.alloc(hubLimits.packetBytesMax + 1)]))).toMatch('limit 262144')
  })

  it('never throws and keeps its word for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const whole = createPacketMeter().take(bytes)
        const meter = createPacketMeter()
        let refusal: string | null = null
        for (const byte of bytes) refusal ??= meter.take(Buffer.from([byte]))
        expect(refusal === null).toBe(whole === null)
      }),
      { numRuns: 1_000 },
    )
  })
})
