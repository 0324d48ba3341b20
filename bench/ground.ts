/**
 * The ground of the benchmarks: keys, a hub as a process of its own, a disk with two slots on real loop
 * devices, and the agent's bundle run on it. No board and no boot: what is measured is the installation.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type BoardFile, boardPaths } from '../bootloader-sim/board-file.ts'
import { present } from '../core/assert.ts'
import { children, type Service } from '../demo/adapters/children.ts'
import { agentBundle } from '../images/boards/sim/adapters/agent-bundle.ts'
import { agentNodeOptions } from '../images/boards/sim/agent-node-options.ts'

export const deviceId = 'bench-1'
const entry = fileURLToPath(new URL('../everboot.ts', import.meta.url))

/** Runs a program to its end. @throws Error with what it said when it fails */
export function tool(program: string, ...args: string[]): string {
  const ran = spawnSync(program, args, { encoding: 'utf8' })
  if (ran.status !== 0) throw new Error(`${program} ${args.join(' ')}: ${ran.stderr || ran.error}`)
  return ran.stdout
}

export interface Ground {
  readonly directory: string
  at(name: string): string
  everboot(...args: string[]): Promise<Record<string, unknown>>
  /** Builds a release of an image file. @returns path of the `.ebr` */
  release(image: string, version: number, ...flags: string[]): Promise<string>
  /** Identity of the device, with its wrapping key; addresses may be bent. */
  identity(bend?: (url: string) => string): Promise<Record<string, string>>
  close(): Promise<void>
}

export async function openGround(): Promise<Ground> {
  const directory = mkdtempSync(join(tmpdir(), 'everboot-bench-'))
  const at = (name: string): string => join(directory, name)
  const { run, service } = children(entry)
  await run(['keys', 'init', '--out', at('keys'), '--device', deviceId])
  const ports = ['--mqtt-port', '0', '--http-port', '0', '--json']
  let ready = false
  const trust = ['--trust', at('keys/trust.json')]
  const hub: Service = service(['hub', 'serve', '--data', at('hub'), ...trust, ...ports], (_line, from) => {
    ready ||= from === 'out'
  })
  while (!ready) await sleep(50)
  await run(['devices', 'add', deviceId, '--out', at('device.json'), '--hub', at('hub')])
  return {
    directory,
    at,
    everboot: (...args) => run(args),
    async release(image, version, ...flags) {
      const file = at(`v${version}.ebr`)
      const what = [
        '--product',
        'bench',
        '--version',
        `${version}`,
        '--security-version',
        '1',
        '--hardware',
        'sim',
      ]
      await run([
        'image',
        'build',
        image,
        '--out',
        file,
        '--keys',
        at('keys'),
        '--device',
        deviceId,
        ...what,
        ...flags,
      ])
      return file
    },
    async identity(bend = (url) => url) {
      const it = JSON.parse(readFileSync(at('device.json'), 'utf8')) as Record<string, string>
      const wrappingKey = readFileSync(at(`keys/devices/${deviceId}.kek`), 'latin1').trim()
      return { ...it, mqtt: bend(it['mqtt'] ?? ''), http: bend(it['http'] ?? ''), wrappingKey }
    },
    async close() {
      await hub.stop()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

export interface Slots {
  readonly boot: string
  readonly a: string
  readonly b: string
  readonly board: BoardFile
  release(): void
}

/** A disk whose slot a holds a small factory system, each partition on a loop device. */
export async function makeSlots(ground: Ground, slotBytes: number, name: string): Promise<Slots> {
  const factory = ground.at('factory.img')
  writeFileSync(factory, Buffer.alloc(65_536, 'factory '))
  const file = await ground.release(factory, 1)
  const board = ground.at(name)
  const where = ['--keys', ground.at('keys'), '--identity', ground.at('device.json')]
  await ground.everboot(
    'emulator',
    'create',
    board,
    '--release',
    file,
    ...where,
    '--slot-bytes',
    `${slotBytes}`,
  )
  const facts = JSON.parse(readFileSync(join(board, boardPaths.board), 'utf8')) as BoardFile
  const attach = (part: 'boot' | 'a' | 'b', ...flags: string[]): string => {
    const { offset, bytes } = facts.partitions[part]
    const range = ['-o', `${offset}`, '--sizelimit', `${bytes}`]
    return tool(
      'losetup',
      '-f',
      '--show',
      '--direct-io=on',
      ...flags,
      ...range,
      join(board, boardPaths.disk),
    ).trim()
  }
  const [boot, a, b] = [attach('boot'), attach('a', '-r'), attach('b')]
  return { boot, a, b, board: facts, release: () => void tool('losetup', '-d', boot, a, b) }
}

export interface AgentRun {
  readonly process: ChildProcess
  /** Events with the time they came, ms by performance.now(). */
  readonly events: { readonly atMs: number; readonly event: Record<string, unknown> }[]
  /** Highest resident memory so far, bytes, by VmHWM. */
  peakBytes(): number
  until(what: (event: Record<string, unknown>) => boolean): Promise<number>
  stop(): Promise<void>
}

/** Starts the agent on the slots, as an init would. */
export async function startAgent(
  ground: Ground,
  slots: Slots,
  name: string,
  bend?: (url: string) => string,
): Promise<AgentRun> {
  const home = ground.at(name)
  mkdirSync(home, { recursive: true })
  const at = (file: string): string => join(home, file)
  writeFileSync(at('agent.mjs'), await agentBundle())
  writeFileSync(at('device.json'), JSON.stringify(await ground.identity(bend)))
  chmodSync(at('device.json'), 0o600)
  const start = process.hrtime.bigint() / 1_000_000n
  writeFileSync(at('cmdline'), `everboot.slot=a everboot.boot=boot-${start} everboot.start=${start}\n`)
  writeFileSync(at('agent.json'), JSON.stringify(configOf(ground, slots, at)))
  const child = spawn(
    process.execPath,
    [...agentNodeOptions, at('agent.mjs'), '--config', at('agent.json')],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, MALLOC_ARENA_MAX: '1', MALLOC_TRIM_THRESHOLD_: '131072' },
    },
  )
  return watch(child)
}

function configOf(ground: Ground, slots: Slots, at: (file: string) => string): Record<string, unknown> {
  return {
    v: 1,
    identity: at('device.json'),
    trust: ground.at('keys/trust.json'),
    data: at('state'),
    product: 'bench',
    hardware: ['sim'],
    handOver: at('cmdline'),
    socket: at('agent.sock'),
    boot: { device: slots.boot },
    slots: { a: { rootfs: { device: slots.a } }, b: { rootfs: { device: slots.b } } },
    watchdog: null,
    reboot: { file: at('power') },
    lastConsole: null,
    bootTrace: null,
    hooks: null,
    health: { checks: [] },
  }
}

function watch(child: ChildProcess): AgentRun {
  const events: { atMs: number; event: Record<string, unknown> }[] = []
  const waiting = new Set<() => void>()
  createInterface({ input: present(child.stdout, 'pipe') }).on('line', (line) => {
    events.push({ atMs: performance.now(), event: JSON.parse(line) as Record<string, unknown> })
    for (const it of [...waiting]) it()
  })
  let peak = 0
  const look = (): void => {
    try {
      const kB = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, 'latin1'))?.[1]
      peak = Math.max(peak, Number(kB ?? 0) * 1024)
    } catch {
      // It has ended; what was seen last counts.
    }
  }
  const looking = setInterval(look, 50)
  child.once('close', () => clearInterval(looking))
  return {
    process: child,
    events,
    peakBytes: () => {
      look()
      return peak
    },
    until: (what) =>
      new Promise((resolve, reject) => {
        const check = (): void => {
          const found = events.find((it) => what(it.event))
          if (found === undefined) return
          waiting.delete(check)
          resolve(found.atMs)
        }
        child.once('close', (status) => reject(new Error(`the agent ended with ${status}`)))
        waiting.add(check)
        check()
      }),
    stop: () =>
      new Promise((resolve) => {
        if (child.exitCode !== null || child.signalCode !== null) return resolve()
        child.once('close', () => resolve())
        child.kill('SIGKILL')
      }),
  }
}

/** Whether an event is a step of the update table into this state. */
export function entered(state: string): (event: Record<string, unknown>) => boolean {
  return (event) => event['event'] === 'update' && event['to'] === state
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
