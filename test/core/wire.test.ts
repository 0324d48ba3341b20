/** Topics and messages: decoders take what encoders make, and nothing malformed. */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { wireLimits } from '../../core/limits.ts'
import type { Digest } from '../../core/units.ts'
import {
  type Ack,
  type Command,
  type Desired,
  decodeAck,
  decodeCommand,
  decodeDesired,
  decodePresence,
  decodeStatus,
  encodeMessage,
  type Presence,
  type Status,
} from '../../core/wire/messages.ts'
import { allDevices, deviceTopic, deviceTopics, parseDeviceTopic } from '../../core/wire/topics.ts'

test('a topic made for a device is read back as its own', () => {
  fc.assert(
    fc.property(
      fc.stringMatching(/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,60}$/),
      fc.constantFrom(...deviceTopics),
      (deviceId, kind) => {
        expect(parseDeviceTopic(deviceTopic(deviceId, kind))).toEqual({ deviceId, kind })
      },
    ),
  )
  expect(allDevices('status')).toBe('eb/1/d/+/status')
})

test.each([
  '',
  'eb/1/d/x',
  'eb/1/d/x/status/y',
  'eb/2/d/x/status',
  'eb/1/skills/x',
  'eb/1/d/../status',
  'eb/1/d/+/status',
  'eb/1/d//status',
  'eb/1/d/x/Status',
  'eb/1/d/x/__proto__',
  '/eb/1/d/x/status',
  'eb/1/d/a b/status',
  '/'.repeat(65_000),
])('the topic %j is no device topic', (topic) => {
  expect(parseDeviceTopic(topic)).toBeNull()
})

test('no topic is made for an unsafe device id', () => {
  for (const id of ['', '..', '+', '#', 'a/b', 'x'.repeat(65)])
    expect(() => deviceTopic(id, 'status')).toThrow()
})

const sha256 = 'ab'.repeat(32) as Digest
const desired: Desired = {
  v: 1,
  seq: 5,
  release: {
    id: 'demo-1-0',
    manifest: { path: '/blobs/x/manifest.json', bytes: 10, sha256 },
    keys: { rootfs: 'AA==' },
  },
}
const slotReport = { release: null, version: null, ok: true, tries: 3 }
const status: Status = {
  v: 1,
  bootId: 'boot-1',
  seq: 1,
  state: 'IDLE',
  slot: 'a',
  floor: 0,
  slots: { a: slotReport, b: { ...slotReport, release: 'demo-1-0', version: '1' } },
  hardware: ['sim'],
  attempt: { seq: 5, release: 'demo-1-0' },
  progress: { bytesDone: 1, bytesTotal: 2, bytesFetched: 3, bytesRefetched: 4 },
  finished: { seq: 4, result: 'ok' },
  report: {
    seq: 4,
    release: 'demo-1-0',
    result: 'failed',
    code: 'EB-HEALTH',
    what: 'x',
    evidence: { check: 'y' },
  },
  notice: { code: 'EB-FELL-BACK', what: 'z' },
}
const ack: Ack = { v: 1, bootId: 'boot-1', seq: 1 }
const presence: Presence = { v: 1, online: true, bootId: 'boot-1', connection: 2 }
const command: Command = { v: 1, id: 'c-1', command: 'refresh', expiresAtMs: 1 }

type Decode = (payload: Uint8Array) => { readonly ok: boolean }
const kinds: readonly (readonly [string, Decode, Desired | Status | Ack | Presence | Command])[] = [
  ['desired', decodeDesired, desired],
  ['status', decodeStatus, status],
  ['ack', decodeAck, ack],
  ['presence', decodePresence, presence],
  ['command', decodeCommand, command],
]
const bytes = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value))

describe.each(kinds)('%s', (_, decode, message) => {
  test('is read back as it was written; unknown fields are dropped', () => {
    expect(decode(encodeMessage(message))).toEqual({ ok: true, value: message })
    expect(decode(bytes({ ...message, later: 1 }))).toEqual({ ok: true, value: message })
  })

  test('is refused with any field missing, null or of another type', () => {
    const optional = new Set(['report', 'notice', 'throttle'])
    const nullable = new Set(['attempt', 'progress', 'finished'])
    for (const key of Object.keys(message)) {
      const without = Object.fromEntries(Object.entries(message).filter(([it]) => it !== key))
      expect(decode(bytes(without)).ok, `no ${key}`).toBe(optional.has(key))
      for (const wrong of [null, 'no such thing', -1, 1.5, [1], {}, 2 ** 53]) {
        const taken = decode(bytes({ ...message, [key]: wrong })).ok
        // Ids are free text of a safe form; a space makes this one unsafe.
        expect(taken, `${key} = ${JSON.stringify(wrong)}`).toBe(wrong === null && nullable.has(key))
      }
    }
  })

  test('is refused when truncated, empty, too long, no UTF-8 or no object', () => {
    const whole = encodeMessage(message)
    for (let length = 0; length < whole.length; length += 1)
      expect(decode(whole.subarray(0, length)).ok).toBe(false)
    expect(decode(new Uint8Array(wireLimits.messageBytesMax + 1).fill(0x20)).ok).toBe(false)
    expect(decode(Uint8Array.of(0xff)).ok).toBe(false)
    for (const it of ['null', '[]', '1', '"x"', 'true', '{}'])
      expect(decode(new TextEncoder().encode(it)).ok).toBe(false)
  })

  test('any bytes end in a fault, never in a throw', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (it) => decode(it).ok === false))
    fc.assert(fc.property(fc.json(), (it) => decode(new TextEncoder().encode(it)).ok === false))
  })
})

test('a desired state cannot name another host or climb out of the paths', () => {
  const withPath = (path: string): boolean =>
    decodeDesired(
      bytes({ ...desired, release: { ...desired.release, manifest: { ...desired.release.manifest, path } } }),
    ).ok
  expect(withPath('/blobs/x')).toBe(true)
  for (const path of ['', 'blobs/x', 'https://evil/x', `/${'x'.repeat(512)}`])
    expect(withPath(path), path).toBe(false)
})

test('a code of a newer version is taken by its form, anything else is no code', () => {
  const withCode = (code: string) => decodeStatus(bytes({ ...status, notice: { code, what: 'x' } })).ok
  expect(withCode('EB-OF-THE-FUTURE-2')).toBe(true)
  expect(['toString', 'EB-', 'eb-none', `EB-${'X'.repeat(41)}`, 'EB-A B'].some(withCode)).toBe(false)
})
