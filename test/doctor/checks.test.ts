/** What doctor makes of planted facts. */
import { describe, expect, it } from 'vitest'
import { type BootRecord, chooseCopy } from '../../core/boot-record.ts'
import { fault } from '../../core/errors.ts'
import { GiB, MiB, type SlotId } from '../../core/units.ts'
import type { SystemConfig } from '../../device/config.ts'
import type { BoardParts, Found, MachineFacts, SlotFacts } from '../../doctor/facts.ts'
import { isWell, machineChecks } from '../../doctor/machine-checks.ts'
import { tools } from '../../doctor/tools.ts'

const found = <T>(value: T): Found<T> => ({ kind: 'found', value })
const denied = { kind: 'denied' } as const
const failed = { kind: 'failed', fault: fault('EB-FILE', 'it is broken') } as const
const wallMs = 1_800_000_000_000
const record: BootRecord = {
  a: { ok: true, sv: 1, tries: 8 },
  b: { ok: false, sv: 0, tries: 0 },
  floor: 1,
  priority: 'a',
  sequence: 7,
  others: new Map(),
}
const stamp = { floor: 1, priority: 'a' } as const

const healthy: MachineFacts = {
  root: true,
  node: '24.1.0',
  system: 'linux arm64',
  loop: 'usable',
  tools: tools.map((it) => it.name),
  space: [{ place: '/tmp', freeBytes: 10 * GiB }],
  wallMs,
  wallText: 'today',
  pi: null,
  board: null,
}
function slotFacts(slot: SlotId): SlotFacts {
  return { slot, partition: 'rootfs', device: `/dev/${slot}`, bytes: found(64 * MiB), mounted: slot === 'a' }
}
const parts: BoardParts = {
  handOver: found({ slot: 'a', bootId: 'boot-1', bootMs: 0 }),
  record: found({ copies: chooseCopy(record, record), stamp }),
  slots: [slotFacts('a'), slotFacts('b')],
  watchdog: found('/dev/watchdog'),
  data: found({ place: '/data', freeBytes: 100 * MiB }),
  agent: found('IDLE in slot a'),
  identity: found({ deviceId: 'pi-1', mode: 0o600 }),
  hub: { http: found({ address: 'https://hub', status: 404, wallMs }), mqtt: found('mqtts://hub:8883') },
}
const config = { product: 'demo' } as SystemConfig

const board = (change: Partial<BoardParts> = {}): MachineFacts => ({
  ...healthy,
  space: [],
  board: { path: 'agent.json', config: found(config), parts: { ...parts, ...change } },
})
const pi = (capabilities: number | null): MachineFacts['pi'] => ({
  model: 'Raspberry Pi 4 Model B Rev 1.4',
  bootloader: { built: '2024-01-01', capabilities, tryboot: 1, partition: 3 },
})
/** `state name` of each check that is not ok. */
const marked = (facts: MachineFacts): readonly string[] =>
  machineChecks(facts)
    .filter((one) => one.state !== 'ok')
    .map((one) => `${one.state} ${one.name}`)
const said = (facts: MachineFacts, name: string): string =>
  machineChecks(facts)
    .filter((one) => one.name === name)
    .map((one) => `${one.found} → ${one.todo}`)
    .join()

describe('a workstation', () => {
  it('is well', () => {
    expect(marked(healthy)).toEqual([])
    expect(isWell(machineChecks(healthy))).toBe(true)
  })

  it.each<[Partial<MachineFacts>, string]>([
    [{ root: false }, 'attention root'],
    [{ node: '22.3.0' }, 'problem node'],
    [{ system: 'darwin arm64' }, 'problem system'],
    [{ loop: 'denied' }, 'attention loop'],
    [{ loop: 'absent' }, 'attention loop'],
    [{ tools: [] }, 'attention tools'],
    [{ space: [{ place: '/tmp', freeBytes: GiB }] }, 'attention space'],
    [{ space: [{ place: '/tmp', freeBytes: MiB }] }, 'problem space'],
    [{ wallMs: 0 }, 'problem clock'],
  ])('with %o has this to look at', (change, mark) => {
    const facts = { ...healthy, ...change }
    expect(marked(facts)).toEqual([mark])
    expect(isWell(machineChecks(facts))).toBe(mark.startsWith('attention'))
  })

  it('is told which packages to install, each once', () => {
    expect(said({ ...healthy, tools: tools.slice(0, -4).map((it) => it.name) }, 'tools')).toBe(
      'missing: mcopy (disk images), xz (disk images), qemu-system-aarch64 (QEMU board), u-boot.bin (QEMU board)' +
        ' → apt-get install mtools xz-utils qemu-system-arm u-boot-qemu',
    )
  })
})

describe('a Raspberry Pi', () => {
  it('that was not laid out for A/B is told so plainly', () => {
    expect(marked({ ...healthy, pi: pi(0xff) })).toEqual(['attention layout'])
    expect(said({ ...healthy, pi: pi(0xff) }, 'layout')).toContain('cannot be changed in place: flash')
  })

  it('says what its bootloader can do', () => {
    expect(said({ ...board(), pi: pi(0xff) }, 'bootloader')).toContain(
      'A/B by tryboot of 2024-01-01, booted from partition 3, on trial',
    )
    expect(marked({ ...board(), pi: pi(0xfb) })).toEqual(['problem bootloader'])
    expect(said({ ...board(), pi: pi(0xfb) }, 'bootloader')).toContain('rpi-eeprom-update -a')
    expect(marked({ ...board(), pi: pi(null) })).toEqual(['attention bootloader'])
    expect(marked({ ...board(), pi: { model: 'Raspberry Pi 3', bootloader: null } })).toEqual([
      'attention bootloader',
    ])
  })
})

describe('a board', () => {
  it('is well', () => {
    expect(marked(board())).toEqual([])
    expect(said(board(), 'record')).toContain('a ok sv=1 tries=8, b not ok sv=0 tries=0')
    expect(said(board(), 'clock')).toContain('as at the hub')
  })

  const [a, b] = [slotFacts('a'), slotFacts('b')]
  const answer = (change: object) => ({
    http: found({ address: 'https://hub', status: 404, wallMs, ...change }),
    mqtt: found('mqtts://hub'),
  })
  it.each<[string, Partial<BoardParts>, string]>([
    ['without a hand-over', { handOver: failed }, 'problem boot'],
    ['with both copies bad', { record: found({ copies: chooseCopy(null, null), stamp }) }, 'problem record'],
    ['with one copy bad', { record: found({ copies: chooseCopy(null, record), stamp }) }, 'attention record'],
    [
      'without a stamp',
      { record: found({ copies: chooseCopy(record, record), stamp: null }) },
      'attention record',
    ],
    ['whose boot partition is for root', { record: denied }, 'attention record'],
    ['whose boot partition is gone', { record: failed }, 'problem record'],
    ['without a watchdog', { watchdog: null }, 'attention watchdog'],
    ['with a lost watchdog', { watchdog: failed }, 'problem watchdog'],
    ['with little room', { data: found({ place: '/data', freeBytes: 4 * MiB }) }, 'attention data'],
    ['without room', { data: found({ place: '/data', freeBytes: 10 }) }, 'problem data'],
    ['without an agent', { agent: failed }, 'problem agent'],
    ['without an identity', { identity: failed, hub: null }, 'problem identity'],
    ['with an open secret', { identity: found({ deviceId: 'x', mode: 0o644 }) }, 'attention identity'],
    ['whose hub refuses it', { hub: answer({ status: 401 }) }, 'problem hub'],
    ['whose hub is sick', { hub: answer({ status: 503 }) }, 'problem hub'],
    ['whose clock is wrong', { hub: answer({ wallMs: wallMs - 600_000 }) }, 'attention clock'],
    ['whose broker is away', { hub: { ...answer({}), mqtt: failed } }, 'problem broker'],
    ['without a slot', { slots: [a, { ...b, bytes: failed }] }, 'problem slot b'],
    ['with a mounted spare', { slots: [a, { ...b, mounted: true }] }, 'problem slot b'],
    ['with unlike slots', { slots: [a, { ...b, bytes: found(MiB) }] }, 'attention sizes'],
  ])('%s has this to look at', (_, change, mark) => {
    expect(marked(board(change))).toEqual([mark])
  })

  it('whose configuration is wrong is asked nothing more', () => {
    const facts: MachineFacts = { ...healthy, board: { path: 'agent.json', config: failed, parts: null } }
    expect(marked(facts)).toEqual(['problem config'])
  })

  it('says what to do in every check that is not ok', () => {
    const worst = board({ record: failed, watchdog: failed, data: failed, agent: failed, handOver: failed })
    for (const check of machineChecks({ ...worst, root: false, pi: pi(0) })) {
      expect(check.todo === null).toBe(check.state === 'ok')
      expect(check.found).not.toBe('')
    }
  })
})
