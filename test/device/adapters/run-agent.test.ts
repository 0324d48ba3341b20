/**
 * The agent as a program, as init starts it: over plain files, without a hub.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { alignedMemory } from '../../../core/aligned-memory.ts'
import { writeRecord, writeStamp } from '../../../core/boot-partition.ts'
import { bootPartition, chooseCopy } from '../../../core/boot-record.ts'
import { MiB } from '../../../core/units.ts'
import { openBlockDevice } from '../../../device/adapters/block-device.ts'
import { askAgent } from '../../../device/adapters/control-socket.ts'
import { commands } from '../../../device/cli.ts'
import { createKeyDirectory } from '../../../keys/adapters/key-directory.ts'
import { runCommand } from '../../run-command.ts'
import { type Workshop, workshop } from './real.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
let shop: Workshop
let children: ChildProcess[] = []
let hub: Server
beforeEach(async () => {
  shop = workshop()
  children = []
  // A hub that takes connections and says nothing.
  hub = createServer(() => {})
  await new Promise<void>((resolve) => void hub.listen(0, '127.0.0.1', resolve))
})
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL')
  hub.close()
  shop.close()
})

/** Everything an agent needs, by plain files. @returns its configuration */
async function board(change: Record<string, unknown> = {}): Promise<{ config: string; socket: string }> {
  await createKeyDirectory(shop.path('keys'), [])
  for (const name of ['a', 'b']) shop.file(name, MiB)
  const boot = await openBlockDevice(
    { device: shop.file('boot', bootPartition.bytesMin) },
    'write',
    alignedMemory(),
  )
  await writeRecord(boot, chooseCopy(null, null), {
    a: { ok: true, sv: 1, tries: 7 },
    b: { ok: false, sv: 0, tries: 0 },
    floor: 0,
    priority: 'a',
    sequence: 0,
    others: new Map(),
  })
  await writeStamp(boot, { floor: 0, priority: 'a' })
  await boot.close()
  writeFileSync(shop.path('cmdline'), 'quiet everboot.slot=a everboot.boot=boot-1\n')
  writeFileSync(shop.path('watchdog'), '')
  const address = `127.0.0.1:${(hub.address() as AddressInfo).port}`
  const identity = {
    v: 1,
    deviceId: 'board-1',
    mqtt: `mqtt://${address}`,
    http: `http://${address}`,
    ca: '',
    token: 'secret-token',
    wrappingKey: 'ab'.repeat(32),
  }
  writeFileSync(shop.path('device.json'), JSON.stringify(identity), { mode: 0o600 })
  const system = {
    v: 1,
    identity: shop.path('device.json'),
    trust: shop.path('keys/trust.json'),
    data: shop.path('state'),
    product: 'demo',
    hardware: ['sim'],
    handOver: shop.path('cmdline'),
    socket: shop.path('run/agent.sock'),
    boot: { device: shop.path('boot') },
    slots: { a: { rootfs: { device: shop.path('a') } }, b: { rootfs: { device: shop.path('b') } } },
    watchdog: shop.path('watchdog'),
    reboot: { command: ['true'] },
    lastConsole: null,
    bootTrace: null,
    hooks: null,
    health: { deadlineMs: 60_000, networkDeadlineMs: 60_000, checks: [] },
    ...change,
  }
  const config = shop.path('agent.json')
  writeFileSync(config, JSON.stringify(system))
  return { config, socket: system.socket }
}

interface Running {
  readonly child: ChildProcess
  /** What it printed. */
  output(): string
  /** @returns its exit status, or the signal */
  ended(): Promise<number | string>
}

function start(...args: string[]): Running {
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  children.push(child)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (part) => {
      output += part
    })
  }
  const exit = once(child, 'close')
  return {
    child,
    output: () => output,
    async ended() {
      const [code, signal] = await exit
      return code ?? signal
    },
  }
}

const agent = (config: string): Running => start('device/main.ts', '--config', config)

/** Waits until the agent answers. */
async function answering(socket: string): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    if ((await askAgent(socket, { op: 'status' }).catch(() => null)) !== null) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error('the agent does not answer')
}

describe('the agent as a program', () => {
  it('runs without a hub, answers, pets the watchdog, and ends in order on SIGTERM', async () => {
    const { config, socket } = await board()
    const running = agent(config)
    await answering(socket)
    const { status, hubConnected } = await askAgent(socket, { op: 'status' })
    expect(status).toMatchObject({ slot: 'a', bootId: 'boot-1', state: 'IDLE' })
    expect(hubConnected).toBe(false)
    running.child.kill('SIGTERM')
    expect(await running.ended()).toBe(0)
    expect(readFileSync(shop.path('watchdog'), 'utf8')).toMatch(/^\n+V$/)
    expect(running.output()).not.toContain('secret-token')
  })

  it('is refused while another one runs on the board, and takes over after its kill -9', async () => {
    const { config, socket } = await board()
    const first = agent(config)
    await answering(socket)
    const second = agent(config)
    expect(await second.ended()).toBe(7)
    expect(second.output()).toContain('EB-AGENT-RUNNING')
    // The first one is not disturbed: its socket and its watchdog are its own.
    await answering(socket)
    first.child.kill('SIGKILL')
    await first.ended()
    const third = agent(config)
    await answering(socket)
    third.child.kill('SIGTERM')
    expect(await third.ended()).toBe(0)
  })

  it('goes on when nobody reads its log any more', async () => {
    const { config, socket } = await board({
      health: { deadlineMs: 2500, networkDeadlineMs: 2500, checks: [{ name: 'app', program: ['false'] }] },
    })
    // The verdict, which is logged, comes when the log is gone.
    const bootMs = Number(process.hrtime.bigint() / 1_000_000n)
    writeFileSync(shop.path('cmdline'), `everboot.slot=a everboot.boot=boot-1 everboot.start=${bootMs}\n`)
    const running = agent(config)
    await answering(socket)
    running.child.stdout?.destroy()
    running.child.stderr?.destroy()
    for (let tries = 0; ; tries += 1) {
      expect(tries).toBeLessThan(200)
      if ((await askAgent(socket, { op: 'status' })).settled) break
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    running.child.kill('SIGTERM')
    expect(await running.ended()).toBe(0)
  })

  it('ends with one line and the status of the failure when it cannot run', async () => {
    const { config } = await board()
    const original = readFileSync(config, 'utf8')
    const broken: readonly (readonly [string, () => void, number, string])[] = [
      ['no configuration', () => writeFileSync(config, ''), 2, 'EB-CONFIG'],
      [
        'an unknown key',
        () => writeFileSync(config, original.replace('"v":1', '"v":1,"x":1')),
        2,
        'EB-CONFIG',
      ],
      ['no hand-over', () => writeFileSync(shop.path('cmdline'), 'quiet'), 2, 'EB-CONFIG'],
      [
        'no boot record',
        () => writeFileSync(shop.path('boot'), Buffer.alloc(bootPartition.bytesMin)),
        5,
        'EB-RECORD',
      ],
      ['trust that is none', () => writeFileSync(shop.path('keys/trust.json'), '{}'), 3, 'EB-KEY'],
      ['an identity for all to read', () => chmodSync(shop.path('device.json'), 0o644), 3, 'EB-KEY'],
      ['no identity', () => shop.tool('rm', shop.path('device.json')), 2, 'EB-CONFIG'],
    ]
    // Each on top of the one before, from the last to be looked at to the first.
    const order = [
      'no boot record',
      'no hand-over',
      'trust that is none',
      'an identity for all to read',
      'no identity',
      'an unknown key',
      'no configuration',
    ]
    for (const name of order) {
      const [, breakIt, status, code] = broken.find(([it]) => it === name) ?? broken[0] ?? []
      breakIt?.()
      const running = agent(config)
      expect(await running.ended(), `${name}: ${running.output()}`).toBe(status)
      expect(running.output(), name).toContain(`${code}: `)
      expect(running.output(), name).not.toContain('    at ')
      expect(running.output(), name).not.toContain('secret-token')
    }
    expect(await start('device/main.ts').ended()).toBe(2)
    // The watchdog was not disarmed by any of them.
    expect(readFileSync(shop.path('watchdog'), 'utf8')).not.toContain('V')
  })

  it('ends as a command of everboot too, when it cannot run and when it is stopped', async () => {
    const { config, socket } = await board()
    const running = start('everboot.ts', 'device', 'run', '--config', config)
    await answering(socket)
    running.child.kill('SIGTERM')
    expect(await running.ended()).toBe(0)
    writeFileSync(shop.path('boot'), Buffer.alloc(bootPartition.bytesMin))
    const broken = start('everboot.ts', 'device', 'run', '--config', config)
    expect(await broken.ended()).toBe(5)
    expect(broken.output()).toContain('EB-RECORD')
  })
})

describe('the commands of the device', () => {
  it('show the status of the agent, for people and as JSON', async () => {
    const { config, socket } = await board()
    agent(config)
    await answering(socket)
    const people = await runCommand(commands, ['device', 'status', '--socket', socket])
    expect(people).toMatchObject({ status: 0 })
    expect(people.out).toContain('slot a  running')
    expect(people.out).toContain('hub not connected')
    const json = await runCommand(commands, ['device', 'status', '--socket', socket, '--json'])
    expect(JSON.parse(json.out)).toMatchObject({ status: { slot: 'a' }, hubConnected: false })
  })

  it('pass on what the agent refuses', async () => {
    const { config, socket } = await board()
    agent(config)
    await answering(socket)
    const back = await runCommand(commands, ['device', 'rollback', '--socket', socket])
    expect(back).toMatchObject({ status: 3, code: expect.stringMatching(/EB-(WRONG-SLOT|TRIAL-OPEN)/) })
    const file = join(shop.directory, 'none.ebr')
    const install = await runCommand(commands, ['device', 'install', file, '--socket', socket])
    expect(install.code).toMatch(/EB-(FILE|TRIAL-OPEN)/)
  })

  it('hold an update up and let it go, and run under the name of the agent too', async () => {
    const { config, socket } = await board({ inhibit: { directory: shop.path('run/inhibit') } })
    agent(config)
    await answering(socket)
    const say = (...args: string[]) => runCommand(commands, ['device', ...args, '--socket', socket])
    expect(
      await say('inhibit', '--who', 'player', '--why', 'a film', '--seconds', '60', '--start'),
    ).toMatchObject({ status: 0 })
    expect(JSON.parse(readFileSync(shop.path('run/inhibit/player'), 'utf8'))).toMatchObject({
      why: 'a film',
      step: 'start',
    })
    expect(await say('release', 'player')).toMatchObject({ status: 0 })
    expect(await say('release', 'player')).toMatchObject({ code: 'EB-NOT-FOUND' })
    for (const word of ['activate', 'refresh']) expect(await say(word), word).toMatchObject({ status: 0 })
    const own = start('device/main.ts', 'status', '--json', '--socket', socket)
    expect(await own.ended()).toBe(0)
    expect(JSON.parse(own.output())).toMatchObject({
      version: expect.stringMatching(/^\d/),
      settled: expect.any(Boolean),
    })
    const check = start('device/main.ts', 'check', '--config', config)
    expect(await check.ended()).toBe(0)
    expect(check.output()).toContain('board-1 (demo)')
    const watch = start('device/main.ts', 'watch', '--socket', socket)
    for (let tries = 0; !watch.output().includes('IDLE') && tries < 200; tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    watch.child.kill('SIGINT')
    expect(await watch.ended()).toBe(0)
    expect(await start('device/main.ts', 'no-such-word').ended()).toBe(2)
  })

  it('say when there is no agent', async () => {
    const gone = await runCommand(commands, ['device', 'status', '--socket', shop.path('none.sock')])
    expect(gone).toMatchObject({ status: 7, code: 'EB-NO-AGENT' })
  })
})
