/** The root directory of a sim image: what is in it, that it runs by itself, and that the sick ones are sick. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Command } from '../../../core/command.ts'
import { EverbootError } from '../../../core/errors.ts'
import { agentBundle, bundle } from '../../../images/boards/sim/adapters/agent-bundle.ts'
import { pinnedNode } from '../../../images/boards/sim/adapters/host-files.ts'
import { commands } from '../../../images/boards/sim/cli.ts'

const run = promisify(execFile)
const root = process.getuid?.() === 0
let path: string
let made = 0
const children: ChildProcess[] = []

const command = commands[0] as Command

/** Runs `everboot image rootfs`. @returns the directory and what was printed */
async function rootfs(
  values: Record<string, string | boolean> = {},
): Promise<{ out: string; said: string[] }> {
  made += 1
  const out = join(path, `rootfs-${made}`)
  const said: string[] = []
  const io = { out: (line: string) => void said.push(line) }
  await command.run({
    positionals: [],
    given: [],
    values: { out, version: '1.0', 'no-agent': true, ...values },
    json: true,
    io: io as unknown as Parameters<Command['run']>[0]['io'],
  })
  return { out, said }
}

async function refusal(work: Promise<unknown>): Promise<string> {
  const caught = await work.then(
    () => null,
    (error: unknown) => error,
  )
  return caught instanceof EverbootError ? caught.fault.code : `not refused: ${caught}`
}

/** Starts init or a service of `rootfs` the way plain emulation does. */
async function start(
  rootfsPath: string,
  program: string,
): Promise<{ run: string; console: () => string; child: ChildProcess }> {
  made += 1
  const runPath = join(path, `run-${made}`)
  await mkdir(join(runPath, 'everboot'), { recursive: true })
  await writeFile(join(runPath, 'everboot/cmdline'), 'everboot.slot=a everboot.boot=b1\n')
  const child = spawn(join(rootfsPath, 'usr/bin/node'), [join(rootfsPath, program)], {
    env: { EVERBOOT_ROOT: rootfsPath, EVERBOOT_RUN: runPath },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  children.push(child)
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (it: Buffer) => (text += it.toString()))
  return { run: runPath, console: () => text, child }
}

async function until(check: () => boolean): Promise<void> {
  for (let tries = 0; tries < 400 && !check(); tries += 1) await sleep(25)
  expect(check()).toBe(true)
}

function get(socketPath: string, at: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path: at, agent: false }, (response) => {
      let body = ''
      response.on('data', (part: Buffer) => (body += part.toString()))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
    })
    asked.on('error', reject)
    asked.end()
  })
}

beforeAll(async () => {
  path = await mkdtemp(join(tmpdir(), 'everboot-rootfs-'))
})
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})
afterAll(() => rm(path, { recursive: true, force: true }))

describe('root directory of a sim image', { timeout: 60_000 }, () => {
  it('holds the pinned Node as a hard link, its libraries, init, service and settings', async () => {
    const { out, said } = await rootfs({ product: 'lamp', version: '2.5' })
    expect(JSON.parse(said[0] ?? '')).toEqual({ out, board: 'sim', product: 'lamp', version: '2.5' })
    expect((await stat(join(out, 'usr/bin/node'))).ino).toBe((await stat(pinnedNode())).ino)
    expect(await readFile(join(out, 'etc/os-release'), 'utf8')).toMatch(/^VERSION_ID="2\.5"$/m)
    const agent = JSON.parse(await readFile(join(out, 'etc/everboot/agent.json'), 'utf8'))
    expect(agent).toMatchObject({
      v: 1,
      product: 'lamp',
      hardware: ['sim'],
      watchdog: '/run/everboot/watchdog',
    })
    for (const name of ['dev', 'proc', 'sys', 'run', 'tmp', 'data']) {
      expect((await lstat(join(out, name))).isDirectory()).toBe(true)
      expect(await readdir(join(out, name))).toEqual([])
    }
    expect(await readlink(join(out, 'etc/resolv.conf'))).toBe('/run/resolv.conf')
  })

  it('does not share other files with this machine, so that changing one changes nothing here', async () => {
    const { out } = await rootfs()
    const { stdout } = await run('find', [out, '-type', 'f', '-links', '+1'])
    expect(stdout.trim().split('\n')).toEqual([join(out, 'usr/bin/node')])
  })

  it.skipIf(!root)('runs by itself after a chroot', async () => {
    const { out } = await rootfs()
    expect((await run('chroot', [out, '/usr/bin/node', '-p', 'process.version'])).stdout).toBe(
      `${process.version}\n`,
    )
    const { stdout } = await run('chroot', [out, '/bin/sh', '-c', 'echo shell'])
    expect(stdout).toBe('shell\n')
  })

  it('holds the bundled agent, which loads without the checkout', async () => {
    const { out } = await rootfs({ 'no-agent': false })
    const agent = join(out, 'usr/lib/everboot/agent.mjs')
    const failing = async (...args: string[]): Promise<{ stdout?: string; stderr: string }> =>
      run(pinnedNode(), [agent, ...args], { cwd: '/' }).catch(
        (error: { stdout: string; stderr: string }) => error,
      )
    expect((await failing()).stdout).toMatch(/^The agent of a device: --config FILE runs it/)
    expect((await failing('--nothing')).stderr).toMatch(/^EB-USAGE: the agent: Unknown option '--nothing'/)
    expect((await failing('--config')).stderr).toMatch(/^EB-USAGE: the agent: .*--config/)
    expect(Buffer.compare(await readFile(agent), Buffer.from(await agentBundle()))).toBe(0)
  })

  it('gives bundled CommonJS a require', async () => {
    const entry = join(path, 'entry.mjs')
    await writeFile(join(path, 'old.cjs'), "module.exports = require('stream').Readable.name\n")
    await writeFile(entry, "import name from './old.cjs'\nconsole.log(name)\n")
    const out = join(path, 'bundled.mjs')
    await writeFile(out, await bundle(entry))
    expect((await run(process.execPath, [out])).stdout).toBe('Readable\n')
  })

  it('refuses a directory that holds something, names that are unsafe, unknown choices, a missing trust file', async () => {
    const { out } = await rootfs()
    expect(await refusal(rootfs({ out }))).toBe('EB-CONFLICT')
    for (const values of [
      { version: '../1' },
      { product: '' },
      { board: 'pc' },
      { service: 'ill' },
      { init: 'x' },
    ]) {
      expect(await refusal(rootfs(values))).toBe('EB-USAGE')
    }
    expect(await refusal(rootfs({ 'health-ms': '-1' }))).toBe('EB-USAGE')
    expect(await refusal(rootfs({ trust: join(path, 'nowhere') }))).toBe('EB-FILE')
    expect(await refusal(rootfs({ 'no-agent': false, agent: join(path, 'nowhere') }))).toBe('EB-FILE')
  })
})

describe('programs of a sim image', { timeout: 60_000 }, () => {
  it('have a service that is healthy, and says so from its data', async () => {
    const { out } = await rootfs()
    const service = await start(out, 'usr/lib/everboot/service.mjs')
    await until(() => service.console().includes('listens'))
    const socket = join(service.run, 'service.sock')
    expect(await get(socket, '/health')).toEqual({ status: 200, body: 'healthy\n' })
    expect(await get(socket, '/')).toEqual({ status: 200, body: 'Hello from demo 1.0.\n' })
    expect((await get(socket, '/other')).status).toBe(404)
    // Health is found out anew each time.
    await writeFile(join(out, 'usr/share/everboot/greeting.txt'), 'rot')
    expect((await get(socket, '/health')).status).toBe(503)
  })

  it('have a sick service whose data really is damaged', async () => {
    const { out } = await rootfs({ service: 'sick' })
    const service = await start(out, 'usr/lib/everboot/service.mjs')
    await until(() => service.console().includes('listens'))
    const socket = join(service.run, 'service.sock')
    const { status, body } = await get(socket, '/health')
    expect(status).toBe(503)
    expect(body).toMatch(/^unhealthy: .*greeting\.txt has SHA-256 [0-9a-f]{12}, expected [0-9a-f]{12}$/m)
    await until(() => service.console().includes('service: unhealthy'))
  })

  it('have an init that starts service and agent, restarts the dead, and ends its children when it ends', async () => {
    const agent = join(path, 'agent.mjs')
    await writeFile(
      agent,
      "console.log('agent up', process.argv.slice(2).join(' '))\nsetTimeout(() => process.exit(3), 300)\n",
    )
    const { out } = await rootfs({ agent, 'no-agent': false })
    const init = await start(out, 'sbin/init.mjs')
    await until(() => (init.console().match(/agent up --config /g)?.length ?? 0) >= 3)
    expect(init.console()).toMatch(/agent ended \(status 3\), starts again in 300 ms/)
    expect(init.console()).toMatch(new RegExp(`agent up --config ${out}/etc/everboot/agent\\.json`))
    const [, service = ''] = /service runs as process (\d+)/.exec(init.console()) ?? []
    expect(init.console().match(/service runs/g)?.length).toBe(1)
    init.child.kill('SIGTERM')
    await until(() => init.child.exitCode !== null)
    expect(init.child.exitCode).toBe(0)
    await expect(stat(`/proc/${service}`)).rejects.toThrow()
  })

  it('have an init that goes on without an agent, and one that never starts anything', async () => {
    const without = await rootfs()
    const lonely = await start(without.out, 'sbin/init.mjs')
    await until(() => lonely.console().includes('there is no agent in this system'))
    await until(() => lonely.console().includes('service: listens'))
    lonely.child.kill('SIGTERM')

    const { out } = await rootfs({ init: 'hang' })
    const hanging = await start(out, 'sbin/init.mjs')
    await until(() => hanging.console().includes('waits for a device that never appears'))
    hanging.child.kill('SIGTERM')
    await sleep(700)
    expect(hanging.console()).not.toMatch(/runs as process/)
    expect(await readdir(hanging.run)).toEqual(['everboot'])
  })
})
