/**
 * The monitor's messages: as QEMU writes them, any chunking, any nonsense.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { qmpDecoder } from '../../../bootloader-sim/qemu/qmp-messages.ts'
import { machineLimits } from '../../../core/limits.ts'

/** As QEMU 7.2 writes it. */
const talk = Buffer.from(
  [
    '{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "Debian"}, "capabilities": ["oob"]}}',
    '{"return": {}, "id": 1}',
    '{"timestamp": {"seconds": 1700000000, "microseconds": 5}, "event": "RESET", "data": {"guest": true, "reason": "guest-reset"}}',
    '{"timestamp": {"seconds": 1700000000, "microseconds": 6}, "event": "STOP"}',
    '{"id": 2, "error": {"class": "CommandNotFound", "desc": "The command schön has not been found"}}',
    '{"error": {"class": "GenericError", "desc": "JSON parse error"}}',
    '{"return": {"status": "running", "singlestep": false, "running": true}, "id": 3}',
    '',
  ].join('\r\n'),
)

function decoded(...pieces: readonly Uint8Array[]) {
  const decoder = qmpDecoder()
  return pieces.flatMap((it) => decoder.feed(it))
}

const text = (line: string) => decoded(Buffer.from(line))

describe('the monitor of QEMU', () => {
  it('is understood as it talks', () => {
    expect(decoded(talk)).toEqual([
      { kind: 'greeting', version: [7, 2, 22] },
      { kind: 'return', id: 1, value: {} },
      { kind: 'event', name: 'RESET', data: { guest: true, reason: 'guest-reset' } },
      { kind: 'event', name: 'STOP', data: undefined },
      { kind: 'error', id: 2, text: 'CommandNotFound: The command schön has not been found' },
      { kind: 'error', id: null, text: 'GenericError: JSON parse error' },
      { kind: 'return', id: 3, value: { status: 'running', singlestep: false, running: true } },
    ])
  })

  it('says the same however its bytes are cut', () => {
    const whole = decoded(talk)
    fc.assert(
      fc.property(fc.array(fc.nat({ max: talk.length }), { maxLength: 30 }), (cuts) => {
        const edges = [0, ...cuts.toSorted((one, other) => one - other), talk.length]
        expect(decoded(...edges.slice(1).map((end, n) => talk.subarray(edges[n], end)))).toEqual(whole)
      }),
    )
    expect(decoded(...[...talk].map((byte) => Uint8Array.of(byte)))).toEqual(whole)
  })

  it.each(['nonsense', '[]', '{}', 'null', '7', '{"return": 1}', '{"error": 5, "id": 1}', '{"QMP": {}}'])(
    '%j is nonsense, and nothing is heard after it',
    (line) => {
      const messages = text(`${line}\n{"return": {}, "id": 1}\n`)
      expect(messages.map((it) => it.kind)).toEqual(['nonsense'])
    },
  )

  it('a line that does not end is not kept beyond its limit', () => {
    const decoder = qmpDecoder()
    const part = Buffer.alloc(machineLimits.monitorLineBytesMax / 4, 0x20)
    const kinds = Array.from({ length: 6 }, () => decoder.feed(part).map((it) => it.kind)).flat()
    expect(kinds).toEqual(['nonsense'])
  })

  it('whatever comes, nothing throws', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(
            fc.uint8Array(),
            fc.json().map((it) => Buffer.from(`${it}\n`)),
          ),
        ),
        (pieces) => {
          const messages = decoded(...pieces)
          expect(messages.findIndex((it) => it.kind === 'nonsense')).toBeOneOf([-1, messages.length - 1])
        },
      ),
    )
  })

  it('every flipped bit changes a message or makes it nonsense, and throws nothing', () => {
    for (let bit = 0; bit < talk.length * 8; bit += 1) {
      const changed = Buffer.from(talk)
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(decoded(changed).length).toBeLessThanOrEqual(8)
    }
  })
})
