/**
 * Doctor on this machine, as root and as nobody; on a board of plain files with a real hub; and on planted
 * device trees. What it looks at is the same afterwards, to the byte and to its times.
 */
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { bootPartition, encodeRecord } from '../../../core/boot-record.ts'
import { encodeStamp } from '../../../core/commit-stamp.ts'
import { ok } from '../../../core/result.ts'
import { MiB } from '../../../core/units.ts'
import { type ControlSocket, serveControl } from '../../../device/adapters/control-socket.ts'
import type { Agent } from '../../../device/agent.ts'
import type { LocalStatus } from '../../../device/local-request.ts'
import { piFacts } from '../../../doctor/adapters/machine-facts.ts'
import { commands } from '../../../doctor/cli.ts'
import { openHubClient } from '../../../hub/adapters/api-client.ts'
import { hubHome, localHub } from '../../hub/hub-process.ts'
import { becomeNobody, oneself } from '../../nobody.ts'
import { runCommand } from '../../run-command.ts'
import { root } from '../../tidy/tree.ts'

const isRoot = process.getuid?.() === 0
let room = ''
let control: ControlSocket | null = null
beforeEach(() => {
  room = mkdtempSync(join(tmpdir(), 'everboot-doctor-'))
})
afterEach(() => {
  control?.close()
  control = null
  rmSync(room, { recursive: true, force: true })
})

/** Answers as an agent that has nothing to do. */
const idleAgent: Agent = {
  run: async () => {},
  stop: () => {},
  request: async () =>
    ok({ status: { state: 'IDLE', slot: 'a' }, hubConnected: true, settled: true } as LocalStatus),
}

interface Row {
  readonly name: string
  readonly state: string
  readonly found: string
}

/** @returns `state` by name of check */
function states(out: string): Record<string, string> {
  const { checks } = JSON.parse(out) as { checks: readonly Row[] }
  return Object.fromEntries(checks.map((it) => [it.name, it.state]))
}

/** A board of plain files. @returns its configuration */
function board(identity: object | null, change: object = {}): string {
  const path = (name: string): string => join(room, name)
  const slot = { ok: true, sv: 1, tries: 8 }
  const state = { a: slot, b: slot, floor: 1, priority: 'a', sequence: 5, others: new Map() } as const
  const boot = new Uint8Array(4 * MiB)
  boot.set(encodeRecord(state) ?? [], bootPartition.copyOffsets[0])
  boot.set(encodeRecord({ ...state, sequence: 6 }) ?? [], bootPartition.copyOffsets[1])
  boot.set(encodeStamp({ floor: 1, priority: 'a' }) ?? [], bootPartition.stampOffset)
  writeFileSync(path('boot.img'), boot)
  for (const name of ['a.img', 'b.img']) writeFileSync(path(name), new Uint8Array(MiB))
  writeFileSync(path('cmdline'), 'quiet everboot.slot=a everboot.boot=boot-1\n')
  writeFileSync(path('watchdog'), '')
  mkdirSync(path('state'))
  if (identity !== null) writeFileSync(path('device.json'), JSON.stringify(identity), { mode: 0o600 })
  const config = {
    v: 1,
    identity: path('device.json'),
    trust: path('trust.json'),
    data: path('state'),
    product: 'demo',
    hardware: ['sim'],
    handOver: path('cmdline'),
    socket: path('agent.sock'),
    boot: { device: path('boot.img') },
    slots: { a: { rootfs: { device: path('a.img') } }, b: { rootfs: { device: path('b.img') } } },
    watchdog: path('watchdog'),
    reboot: { command: ['true'] },
    lastConsole: null,
    bootTrace: null,
    hooks: null,
    health: { checks: [] },
    ...change,
  }
  writeFileSync(path('agent.json'), JSON.stringify(config))
  return path('agent.json')
}

/** Everything in the room: names, content, times of change. */
function picture(): readonly string[] {
  return readdirSync(room, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => {
      const it = statSync(join(room, name))
      const content = it.isFile() ? readFileSync(join(room, name)).toString('base64').slice(0, 200) : ''
      return `${name} ${it.mode} ${it.mtimeMs} ${it.ctimeMs} ${content}`
    })
}

describe('doctor on a board', () => {
  it('finds a healthy one, with its hub, and changes nothing', async () => {
    const home = hubHome()
    const hub = await localHub(home)
    const client = await openHubClient(home.data)
    try {
      const added = await client.post<{ token: string }>('/v1/devices', { id: 'pi-1' })
      const { url: http, mqtt, ca } = client.file
      const identity = {
        v: 1,
        deviceId: 'pi-1',
        http,
        mqtt,
        ca,
        token: added.token,
        wrappingKey: 'a'.repeat(64),
      }
      const config = board(identity)
      control = await serveControl(join(room, 'agent.sock'), idleAgent)
      const before = picture()
      const outcome = await runCommand(commands, ['doctor', '--config', config, '--json'])
      expect(picture()).toEqual(before)
      const { root: _, ...found } = states(outcome.out)
      expect(new Set(Object.values(found))).toEqual(new Set(['ok']))
      expect(Object.keys(found)).toEqual(
        expect.arrayContaining(['record', 'slot a', 'agent', 'hub', 'broker']),
      )
      expect(outcome.out).toContain('IDLE in slot a, hub connected')
      expect(outcome.status).toBe(0)
      expect(outcome.out).not.toContain(added.token)

      writeFileSync(join(room, 'device.json'), JSON.stringify({ ...identity, token: 'wrong' }))
      const refused = await runCommand(commands, ['doctor', '--config', config, '--json'])
      expect(states(refused.out)).toMatchObject({ hub: 'problem' })

      const other = hubHome()
      const stranger = await localHub(other)
      const strangerCa = (await openHubClient(other.data)).file.ca
      await stranger.close()
      other.remove()
      writeFileSync(join(room, 'device.json'), JSON.stringify({ ...identity, ca: strangerCa }))
      const untrusted = await runCommand(commands, ['doctor', '--config', config, '--json'])
      expect(states(untrusted.out)).toMatchObject({ hub: 'problem', broker: 'problem' })
      expect(untrusted.out).toContain('EB-TLS')
    } finally {
      client.close()
      await hub.close()
      home.remove()
    }
  })

  it('finds what is broken', async () => {
    const config = board(null, { watchdog: join(room, 'none') })
    writeFileSync(join(room, 'boot.img'), new Uint8Array(4 * MiB))
    rmSync(join(room, 'b.img'))
    rmSync(join(room, 'cmdline'))
    const outcome = await runCommand(commands, ['doctor', '--config', config, '--json'])
    expect(outcome.status).toBe(7)
    expect(states(outcome.out)).toMatchObject({
      boot: 'problem',
      record: 'problem',
      'slot a': 'ok',
      'slot b': 'problem',
      watchdog: 'problem',
      agent: 'problem',
      identity: 'problem',
    })
  })

  it('says that a configuration is wrong, or not there', async () => {
    writeFileSync(join(room, 'agent.json'), '{"v":2}')
    const wrong = await runCommand(commands, ['doctor', '--config', join(room, 'agent.json'), '--json'])
    expect(wrong.out).toContain('EB-CONFIG')
    const none = await runCommand(commands, ['doctor', '--config', join(room, 'none'), '--json'])
    expect(states(none.out)).toMatchObject({ config: 'problem' })
  })

  it('asks nobody for what only root may see', async () => {
    const config = board({ v: 1 })
    chmodSync(room, 0o755)
    for (const name of ['boot.img', 'a.img', 'b.img', 'device.json']) chmodSync(join(room, name), 0o600)
    const ended = await everboot(['doctor', '--config', config, '--json'])
    if (!isRoot) return
    expect(states(ended.out)).toMatchObject({
      record: 'attention',
      'slot a': 'attention',
      'slot b': 'attention',
      identity: 'attention',
    })
  })
})

/** As nobody, when this is root. */
async function everboot(
  args: readonly string[],
): Promise<{ status: number | null; out: string; err: string }> {
  const nobody = isRoot ? await becomeNobody() : oneself
  const [program = '', ...words] = [...nobody.words, nobody.path(process.execPath)]
  const all = [...words, nobody.path(join(root, 'everboot.ts')), ...args]
  const { status, stdout, stderr } = spawnSync(program, all, { encoding: 'utf8' })
  await nobody.remove()
  return { status, out: stdout, err: stderr }
}

describe('doctor on this machine', () => {
  it('finds no problem, in lines of 80 columns', async () => {
    const outcome = await runCommand(commands, ['doctor'])
    expect(outcome.status, outcome.out).toBe(0)
    expect(outcome.out.split('\n').filter((line) => line.length > 80)).toEqual([])
    expect(outcome.out).toMatch(/^no problem, \d+ for attention, \d+ ok$/m)
  })

  it('works as an ordinary user', async () => {
    const ended = await everboot(['doctor', '--json'])
    expect(ended.err).toBe('')
    expect(ended.status).toBe(0)
    expect(states(ended.out)).toMatchObject({ node: 'ok', root: 'attention' })
  })
})

describe('the facts of a Raspberry Pi', () => {
  const number = (value: number): Uint8Array => {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32BE(value)
    return bytes
  }
  it('come from its device tree', async () => {
    expect(await piFacts(room)).toBeNull()
    writeFileSync(join(room, 'model'), 'Another Board\0')
    expect(await piFacts(room)).toBeNull()
    writeFileSync(join(room, 'model'), 'Raspberry Pi 5 Model B Rev 1.0\0')
    expect(await piFacts(room)).toEqual({ model: 'Raspberry Pi 5 Model B Rev 1.0', bootloader: null })
    const place = join(room, 'chosen/bootloader')
    mkdirSync(place, { recursive: true })
    writeFileSync(join(place, 'build-timestamp'), number(1_700_000_000))
    writeFileSync(join(place, 'capabilities'), number(0x7f))
    writeFileSync(join(place, 'partition'), number(2))
    writeFileSync(join(place, 'tryboot'), number(1))
    expect((await piFacts(room))?.bootloader).toEqual({
      built: '2023-11-14',
      capabilities: 0x7f,
      tryboot: 1,
      partition: 2,
    })
    writeFileSync(join(place, 'capabilities'), Uint8Array.of(1))
    expect((await piFacts(room))?.bootloader?.capabilities).toBeNull()
  })
})
