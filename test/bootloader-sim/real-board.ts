/**
 * Real boards for tests: a release built from a real root directory with a stand-in agent, boards on it, and
 * the `everboot emulator` command around them.
 * Leaves to others: the real agent (test/live, demo).
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { askBoard } from '../../bootloader-sim/adapters/control.ts'
import { openFileDevice } from '../../bootloader-sim/adapters/file-device.ts'
import { readBoard } from '../../bootloader-sim/adapters/runner.ts'
import { boardPaths } from '../../bootloader-sim/board-file.ts'
import { readRecord, writeRecordTwice } from '../../core/boot-partition.ts'
import type { BootRecord } from '../../core/boot-record.ts'
import { orThrow } from '../../core/errors.ts'
import { MiB, type SlotId } from '../../core/units.ts'
import { makeRootfs, type RootfsOptions } from '../../images/boards/sim/adapters/rootfs.ts'
import { simChoices } from '../../images/boards/sim/agent-settings.ts'
import { buildRelease } from '../../images/build/adapters/build-release.ts'
import { openFileSource } from '../../images/release/adapters/file-bytes.ts'
import { openContainer } from '../../images/release/container.ts'
import { openWrap, sealOf } from '../../images/release/piece-task.ts'
import { readWraps } from '../../images/release/reader.ts'
import { writeSlot } from '../../images/release/slot-writer.ts'
import { createKeyDirectory, keyDirectory } from '../../keys/adapters/key-directory.ts'
import { verifyEd25519 } from '../../keys/verify-node.ts'
import { type Nobody, oneself } from '../nobody.ts'

const run = promisify(execFile)
export const everboot = resolve(import.meta.dirname, '../../everboot.ts')
export const deviceId = 'board-1'

/** Pets the watchdog and does what the file `order` on the data partition says. */
const standInAgent = `
import { spawn } from 'node:child_process'
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
const config = JSON.parse(readFileSync(process.argv[process.argv.indexOf('--config') + 1], 'utf8'))
const identity = JSON.parse(readFileSync(config.identity, 'utf8'))
const data = config.identity.replace(/device.json$/, '')
appendFileSync(data + 'boots', readFileSync(config.handOver, 'utf8'), { flush: true })
console.log('agent: lives on ' + identity.deviceId + ', key of ' + identity.wrappingKey.length + ' digits')
const act = () => {
  const order = existsSync(data + 'order') ? readFileSync(data + 'order', 'utf8').trim() : ''
  if (order !== 'silence') writeFileSync(config.watchdog, '.')
  if (order === 'orphan') {
    writeFileSync(data + 'order', '')
    const leave = "require('node:child_process').spawn(process.execPath, ['-e', 'setTimeout(() => {}, 2000)'], { detached: true, stdio: 'ignore' }).unref()"
    spawn(process.execPath, ['-e', leave])
  }
  if (order === 'reboot') {
    writeFileSync(data + 'order', '')
    writeFileSync(config.reboot.file, 'reboot\\n')
  }
}
setInterval(act, 100)
act()
`

export interface Workshop {
  readonly path: string
  readonly keys: string
  readonly identity: string
  /** @returns the `.ebr` */
  release(
    version: string,
    choices?: Partial<RootfsOptions> & { readonly filesystem?: 'ext4' | 'squashfs' },
  ): Promise<string>
  /** @returns the directory of a new board */
  board(release: string, options?: readonly string[]): Promise<string>
  remove(): Promise<void>
}

export async function openWorkshop(): Promise<Workshop> {
  const path = await mkdtemp(join(tmpdir(), 'everboot-board-'))
  const keys = join(path, 'keys')
  const identity = join(path, 'device.json')
  const agent = join(path, 'agent.mjs')
  const templates = new Map<string, string>()
  await createKeyDirectory(keys, [deviceId])
  await writeFile(agent, standInAgent)
  const words = {
    v: 1,
    deviceId,
    mqtt: 'mqtts://127.0.0.1:1',
    http: 'https://127.0.0.1:2',
    ca: 'none',
    token: 't',
  }
  await writeFile(identity, JSON.stringify(words), { mode: 0o600 })
  return {
    path,
    keys,
    identity,
    release: (version, choices = {}) => makeRelease(path, version, agent, choices),
    async board(release, options = []) {
      const directory = join(path, `b${randomBytes(3).toString('hex')}`)
      // Made once, then copied: a copy takes a tenth of the time.
      const name = [release, ...options].join(' ')
      const made = templates.get(name) ?? `${directory}-made`
      if (!templates.has(name)) {
        const sources = ['--release', release, '--keys', keys, '--identity', identity]
        await command('emulator', 'create', made, ...sources, ...options)
        templates.set(name, made)
      }
      await run('cp', ['-a', '--sparse=always', made, directory])
      return directory
    },
    remove: () => rm(path, { recursive: true, force: true }),
  }
}

async function makeRelease(
  path: string,
  version: string,
  agent: string,
  choices: Partial<RootfsOptions> & { readonly filesystem?: 'ext4' | 'squashfs' },
): Promise<string> {
  const { filesystem, ...rest } = choices
  const root = join(path, `rootfs-${version}`)
  const out = join(path, `${version}.ebr`)
  await makeRootfs({
    ...simChoices,
    out: root,
    version,
    service: 'healthy',
    init: 'normal',
    agent: { file: agent },
    trust: join(path, 'keys', 'trust.json'),
    agentNodeOptions: [],
    ...rest,
  })
  await buildRelease({
    input: root,
    out,
    keys: join(path, 'keys'),
    options: {
      product: 'demo',
      version,
      securityVersion: Number.parseInt(version, 10),
      floorAfterCommit: null,
      hardware: ['sim'],
      profile: 'standard',
      suite: 'aes-256-gcm',
      pieceBytes: MiB,
      level: 1,
    },
    filesystem: filesystem ?? null,
    bytes: null,
    devices: null,
    seed: null,
    releaseDirectory: null,
    signal: new AbortController().signal,
    phase: () => {},
  })
  await rm(root, { recursive: true })
  return out
}

/** Puts a release into a slot as an installer would, and changes the record. */
export async function install(
  workshop: Workshop,
  directory: string,
  release: string,
  slot: SlotId,
  change: (record: BootRecord) => BootRecord,
): Promise<void> {
  const board = await readBoard(directory)
  const keys = keyDirectory(workshop.keys)
  const trust = await keys.trust()
  const source = await openFileSource(release)
  const opened = orThrow(await openContainer(source, trust.release, verifyEd25519))
  const wraps = await readWraps(opened, trust.release, verifyEd25519)
  const [blob] = opened.manifest.blobs
  const wrapped = wraps.get(deviceId)?.get(blob?.id ?? '')
  const contentKey = orThrow(openWrap(await keys.wrappingKey(deviceId), wrapped))
  const seal = orThrow(sealOf(opened.manifest, trust.seal, verifyEd25519)).bytes
  const path = join(directory, boardPaths.disk)
  const device = await openFileDevice({ path, ...board.partitions[slot] }, 'write')
  await writeSlot(opened, { image: 'rootfs', contentKey, seal, zeroed: false }, device)
  await device.close()
  await source.close()
  const boot = await openFileDevice({ path, ...board.partitions.boot }, 'write')
  const copies = await readRecord(boot)
  const now = copies.current === null ? null : copies.copies[copies.current]
  if (now === null) throw new Error('the board has no record')
  await writeRecordTwice(boot, copies, change(now))
  await boot.close()
}

/** Runs `everboot …`. @returns its output as JSON, or the fault it printed. */
export async function command(...args: readonly string[]): Promise<Record<string, unknown>> {
  const { stdout } = await run(process.execPath, [everboot, ...args, '--json'], { maxBuffer: MiB }).catch(
    (failed) => {
      const { stdout: said, stderr } = failed as { stdout: string; stderr: string }
      if (said.startsWith('{')) return { stdout: said }
      throw new Error(`everboot ${args.join(' ')}: ${said}${stderr}`)
    },
  )
  return JSON.parse(stdout) as Record<string, unknown>
}

export interface BoardRun {
  readonly child: ChildProcess
  readonly events: readonly Record<string, unknown>[]
  /** Waits until `check` holds of the events. Fails with all of them after `limitMs`. */
  until(check: (events: readonly Record<string, unknown>[]) => boolean, limitMs?: number): Promise<void>
  /** Waits for the n-th boot to run. */
  boots(count: number): Promise<Record<string, unknown>>
  /** Ends it in an orderly way. @returns its exit status */
  stop(): Promise<number | null>
}

/** @param as who runs it */
export function startBoard(
  directory: string,
  options: readonly string[] = [],
  as: Nobody = oneself,
): BoardRun {
  const words = [...as.words, as.path(process.execPath), as.path(everboot)]
  const argv = [...words, 'emulator', 'run', directory, '--json', ...options]
  const [program = '', ...args] = argv
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const events: Record<string, unknown>[] = []
  let errors = ''
  let open = ''
  let wake = (): void => {}
  child.stdout.on('data', (bytes: Buffer) => {
    const parts = `${open}${bytes.toString()}`.split('\n')
    open = parts.pop() ?? ''
    for (const part of parts) events.push(JSON.parse(part) as Record<string, unknown>)
    wake()
  })
  child.stderr.on('data', (bytes: Buffer) => {
    errors += bytes.toString()
  })
  const closed = new Promise<number | null>((resolve) => child.on('close', (status) => resolve(status)))
  void closed.then(() => wake())
  const until: BoardRun['until'] = async (check, limitMs = 20_000) => {
    const end = performance.now() + limitMs
    while (!check(events)) {
      const ended = child.exitCode !== null || child.signalCode !== null
      if (ended || performance.now() > end) {
        throw new Error(
          `the board did not come to it: ${errors}\n${events.map((it) => JSON.stringify(it)).join('\n')}`,
        )
      }
      await new Promise<void>((resolve) => {
        wake = resolve
        setTimeout(resolve, 100)
      })
    }
  }
  const running = (): readonly Record<string, unknown>[] => events.filter((it) => it['event'] === 'running')
  return {
    child,
    events,
    until,
    async boots(count) {
      await until(() => running().length >= count)
      return running()[count - 1] ?? {}
    },
    async stop() {
      child.kill('SIGTERM')
      return closed
    },
  }
}

/** What is left of a board on this machine: loop devices, mounts, processes. Empty when all is gone. */
export async function remains(directory: string): Promise<readonly string[]> {
  const found: string[] = []
  const { stdout } = await run('losetup', ['--noheadings', '--list', '--output', 'NAME,BACK-FILE'])
  for (const line of stdout.split('\n')) if (line.includes(directory)) found.push(`loop ${line.trim()}`)
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue
    const read = (name: string): Promise<string> => readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => '')
    if ((await read('mountinfo')).includes(directory)) found.push(`mount of process ${pid}`)
    const argv = (await read('cmdline')).split('\0').join(' ')
    if (argv.includes(directory)) found.push(`process ${pid}: ${argv}`)
  }
  return found
}

export function consoleOf(directory: string): Promise<string> {
  return readFile(join(directory, 'console.log'), 'utf8')
}

/**
 * Waits until agent and service both run in this boot and have said so: then they have written what they write at
 * their start, and answer. @returns the board's status
 */
export async function alive(directory: string): Promise<Record<string, unknown>> {
  for (let tries = 0; tries < 200; tries += 1) {
    const status = await askBoard(join(directory, boardPaths.socket), { do: 'status' })
    const both = status['processes'] as { agent: unknown; service: unknown } | undefined
    const text = await consoleOf(directory)
    const said = text.slice(Math.max(0, text.lastIndexOf('board: handover')))
    const haveSpoken = said.includes('agent: lives on') && said.includes('service: listens on')
    if (both?.agent && both.service && haveSpoken) return status
    await sleep(50)
  }
  throw new Error(`agent and service do not both run: ${await consoleOf(directory)}`)
}
