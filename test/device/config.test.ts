/**
 * The configuration of the agent: each key missing, unknown or of a wrong type, with its place named and no
 * secret shown; and the hand-over of the bootloader.
 */
import { describe, expect, it } from 'vitest'
import { EverbootError, orThrow } from '../../core/errors.ts'
import { parseHandOver } from '../../device/adapters/hand-over.ts'
import { decodeIdentity, decodeSystemConfig } from '../../device/config.ts'

const system = {
  v: 1,
  identity: '/data/everboot/device.json',
  trust: '/etc/everboot/trust.json',
  data: '/data/everboot/state',
  product: 'demo',
  hardware: ['sim'],
  handOver: '/proc/cmdline',
  socket: '/run/everboot/agent.sock',
  boot: { device: '/dev/everboot/boot', offset: 4096, bytes: 4_194_304 },
  slots: { a: { rootfs: { device: '/dev/a' } }, b: { rootfs: { device: '/dev/b' } } },
  watchdog: '/dev/watchdog',
  reboot: { command: ['reboot'] },
  lastConsole: null,
  bootTrace: '/run/trace',
  hooks: null,
  health: {
    deadlineMs: 1000,
    networkDeadlineMs: 2000,
    checks: [
      { name: 'web', probe: 'http://localhost:8080/health' },
      { name: 'unix', probe: 'unix:/run/service.sock:/health' },
      { name: 'app', program: ['/bin/check', '-v'] },
    ],
  },
  rebootDelayMs: 5000,
}

const secretToken = 'very-secret-token'
const secretKey = 'ab'.repeat(32)
const identity = {
  v: 1,
  deviceId: 'board-1',
  mqtt: 'mqtts://hub:8883',
  http: 'https://hub:8443',
  ca: '-----BEGIN CERTIFICATE-----',
  token: secretToken,
  wrappingKey: secretKey,
}

const bytes = (document: unknown): Uint8Array => Buffer.from(JSON.stringify(document))

function fault(decode: typeof decodeSystemConfig | typeof decodeIdentity, document: unknown): string {
  const decoded = decode(bytes(document), 'agent.json')
  if (decoded.ok) return 'taken'
  expect(decoded.error.code).toBe('EB-CONFIG')
  expect(decoded.error.what).toContain('agent.json')
  expect(decoded.error.what).not.toContain(secretToken)
  expect(decoded.error.what).not.toContain(secretKey)
  return decoded.error.what
}

type Path = readonly (string | number)[]

/** The paths of all values in a document, inner ones too. */
function pathsOf(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path]
  const inner = Object.entries(value).flatMap(([key, it]) =>
    pathsOf(it, [...path, Array.isArray(value) ? Number(key) : key]),
  )
  return path.length === 0 ? inner : [path, ...inner]
}

/** The document with the value at a path changed; `undefined` removes it. */
function changed(document: unknown, [first, ...rest]: Path, value: unknown): unknown {
  if (first === undefined) return value
  if (Array.isArray(document))
    return document.map((it, index) => (index === first ? changed(it, rest, value) : it))
  const { [first]: inner, ...others } = document as Record<string, unknown>
  const next = changed(inner, rest, value)
  return next === undefined ? others : { ...others, [first]: next }
}

describe('the configuration of the system', () => {
  it('is taken as it is documented', () => {
    expect(fault(decodeSystemConfig, system)).toBe('taken')
  })

  it('has deadlines when it names none', () => {
    const { rebootDelayMs: _, ...rest } = system
    const decoded = decodeSystemConfig(bytes({ ...rest, health: { checks: [] } }), 'agent.json')
    expect(decoded.ok && decoded.value).toMatchObject({
      health: { deadlineMs: 300_000, networkDeadlineMs: 900_000 },
      rebootDelayMs: 5_000,
    })
  })

  it('is refused with any value of another type, and the place is named', () => {
    for (const path of pathsOf(system)) {
      for (const wrong of [true, -1, 1.5, { no: 1 }, [[]]]) {
        const what = fault(decodeSystemConfig, changed(system, path, wrong))
        expect(what, `${path.join('.')} = ${JSON.stringify(wrong)}`).not.toBe('taken')
        if (path.length === 1) expect(what).toContain(String(path[0]))
      }
    }
  })

  it('is refused without any key but those that have a default', () => {
    const optional = new Set([
      'boot.offset',
      'boot.bytes',
      'health.deadlineMs',
      'health.networkDeadlineMs',
      'rebootDelayMs',
    ])
    for (const path of pathsOf(system)) {
      if (typeof path.at(-1) === 'number') continue
      const what = fault(decodeSystemConfig, changed(system, path, undefined))
      expect(what === 'taken', `without ${path.join('.')}: ${what}`).toBe(optional.has(path.join('.')))
    }
  })

  it('is refused with an unknown key anywhere, and the key is named', () => {
    const places: Path[] = [
      [],
      ['boot'],
      ['slots'],
      ['slots', 'a', 'rootfs'],
      ['reboot'],
      ['health'],
      ['health', 'checks', 0],
    ]
    for (const place of places) {
      const what = fault(decodeSystemConfig, changed(system, [...place, 'surprise'], 1))
      expect(what, place.join('.')).not.toBe('taken')
      if (!place.includes('checks') && place[0] !== 'reboot') expect(what).toContain('surprise')
    }
  })

  const tryboot = {
    autoboot: { device: '/dev/mmcblk0p1' },
    partitions: { a: 2, b: 3 },
    flags: '/proc/device-tree/chosen/bootloader',
  }
  const trial = { command: ['reboot'], trial: ['reboot', '0 tryboot'] }

  it('may be that of a board which is started by tryboot', () => {
    const config = { ...system, reboot: trial, tryboot }
    expect(orThrow(decodeSystemConfig(Buffer.from(JSON.stringify(config)), 'agent.json'))).toMatchObject({
      reboot: trial,
      tryboot,
    })
  })

  it.each([
    { reboot: { command: ['reboot'] }, tryboot },
    { reboot: { file: '/run/power' }, tryboot },
    { reboot: { command: ['reboot'], trial: [] }, tryboot },
    { reboot: trial, tryboot: { ...tryboot, partitions: { a: 2, b: 2 } } },
    { reboot: trial, tryboot: { ...tryboot, partitions: { a: 0, b: 3 } } },
    { reboot: trial, tryboot: { ...tryboot, partitions: { a: 2, b: 10 } } },
    { reboot: trial, tryboot: { ...tryboot, partitions: { a: 2 } } },
    { reboot: trial, tryboot: { ...tryboot, flags: 'relative' } },
    { reboot: trial, tryboot: { ...tryboot, surprise: 1 } },
  ])('is refused for tryboot with %j', (change) => {
    expect(fault(decodeSystemConfig, { ...system, ...change })).not.toBe('taken')
  })

  it('is refused with values that cannot be right', () => {
    const wrong: readonly (readonly [Path, unknown])[] = [
      [['v'], 2],
      [['identity'], 'relative/path'],
      [['product'], '../x'],
      [['hardware'], []],
      [['hardware'], ['a b']],
      [['boot', 'offset'], 100],
      [['boot', 'bytes'], 4095],
      [['slots', 'a'], {}],
      [['slots', 'b'], { other: { device: '/dev/b' } }],
      [['slots', 'b'], { rootfs: { device: '/dev/b' }, boot: { device: '/dev/c' } }],
      [['reboot'], { command: [] }],
      [['health', 'deadlineMs'], 86_400_001],
      [['health', 'checks', 0, 'probe'], 'ftp://x/'],
      [['health', 'checks', 0, 'probe'], 'https://localhost/'],
      [['health', 'checks', 0, 'probe'], 'http://'],
      [['health', 'checks', 0, 'probe'], 'unix:relative:/x'],
      [['health', 'checks', 2, 'program'], []],
      [['health', 'checks'], Array.from({ length: 33 }, () => ({ name: 'x', program: ['/x'] }))],
    ]
    for (const [path, value] of wrong) {
      expect(
        fault(decodeSystemConfig, changed(system, path, value)),
        `${path.join('.')} = ${JSON.stringify(value)}`,
      ).not.toBe('taken')
    }
  })

  it('is refused when it is not JSON', () => {
    for (const text of ['', '{', 'null', '[]', '"x"', '\ufeff{}']) {
      const decoded = decodeSystemConfig(Buffer.from(text), 'agent.json')
      expect(decoded.ok, JSON.stringify(text)).toBe(false)
    }
    expect(decodeSystemConfig(Buffer.from([0xff, 0xfe]), 'agent.json').ok).toBe(false)
  })
})

describe('the identity of the device', () => {
  it('is taken as it is documented', () => {
    expect(fault(decodeIdentity, identity)).toBe('taken')
    expect(fault(decodeIdentity, { ...identity, mqtt: 'mqtt://h:1883', http: 'http://h:80', ca: '' })).toBe(
      'taken',
    )
  })

  it('is refused with anything missing, unknown or of another type, and shows no secret', () => {
    for (const key of Object.keys(identity)) {
      expect(fault(decodeIdentity, changed(identity, [key], undefined)), `without ${key}`).toContain(key)
      for (const wrong of [1, null, {}, []]) {
        expect(fault(decodeIdentity, changed(identity, [key], wrong)), key).toBe(
          key === 'v' && wrong === 1 ? 'taken' : fault(decodeIdentity, changed(identity, [key], wrong)),
        )
      }
    }
    expect(fault(decodeIdentity, { ...identity, surprise: secretToken })).toContain('surprise')
  })

  it('is refused with secrets of a wrong form, without showing them', () => {
    for (const wrappingKey of [
      '',
      secretKey.slice(1),
      `${secretKey}a`,
      secretKey.toUpperCase(),
      `${secretKey}\n`,
    ]) {
      expect(fault(decodeIdentity, { ...identity, wrappingKey })).toContain('wrappingKey')
    }
  })

  it('is refused with addresses that are none, or have a path', () => {
    for (const http of ['hub', 'ftp://hub', 'https://hub/', 'https://hub/path', 'https://a b', 'https://']) {
      expect(fault(decodeIdentity, { ...identity, http }), http).toContain('http')
    }
    for (const mqtt of ['hub:8883', 'http://hub', 'mqtts://hub/x', 'mqtts://']) {
      expect(fault(decodeIdentity, { ...identity, mqtt }), mqtt).toContain('mqtt')
    }
  })

  it('is refused over TLS without the CA to pin: any public certificate would do then', () => {
    expect(fault(decodeIdentity, { ...identity, ca: '' })).toContain('ca')
    expect(fault(decodeIdentity, { ...identity, mqtt: 'mqtt://h:1883', ca: '' })).toContain('ca')
    expect(fault(decodeIdentity, { ...identity, http: 'http://h:80', ca: '' })).toContain('ca')
  })
})

describe('the hand-over', () => {
  const codeOf = (text: string): string => {
    try {
      parseHandOver(text, '/proc/cmdline')
      return 'taken'
    } catch (caught) {
      return caught instanceof EverbootError ? caught.fault.code : 'thrown'
    }
  }

  it('is found among the other words of a kernel command line', () => {
    const line = 'root=/dev/sda1 ro quiet everboot.slot=b everboot.boot=boot-17 everboot.config=/x panic=5\n'
    expect(parseHandOver(line, 'x')).toEqual({ slot: 'b', bootId: 'boot-17', bootMs: 0 })
    expect(parseHandOver('everboot.slot=a\teverboot.boot=1  everboot.start=123456', 'x')).toEqual({
      slot: 'a',
      bootId: '1',
      bootMs: 123_456,
    })
  })

  it('is refused when it does not say which slot runs, or which boot this is', () => {
    for (const line of [
      '',
      'quiet',
      'everboot.boot=1',
      'everboot.slot everboot.boot=1',
      'everboot.slot= everboot.boot=1',
      'everboot.slot=c everboot.boot=1',
      'everboot.slot=A everboot.boot=1',
      'everboot.slot=ab everboot.boot=1',
      'xeverboot.slot=a everboot.boot=1',
      'everboot.slot=a',
      'everboot.slot=a everboot.boot=',
      'everboot.slot=a everboot.boot=../x',
      'everboot.slot=a everboot.boot=a/b',
      `everboot.slot=a everboot.boot=${'x'.repeat(65)}`,
      'everboot.slot=a everboot.boot=1 everboot.start=x',
      'everboot.slot=a everboot.boot=1 everboot.start=-1',
      'everboot.slot=a everboot.boot=1 everboot.start=1e9',
      'everboot.slot=a everboot.boot=1 everboot.start=1234567890123456',
    ]) {
      expect(codeOf(line), line).toBe('EB-CONFIG')
    }
  })
})
