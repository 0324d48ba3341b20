/**
 * The npm package, as somebody meets it who installs it: packed, installed into an empty folder by the Node and
 * npm of this machine, called by its name. The pinned Node of the checkout is taken out of PATH before, so that
 * the package has to find its own.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, mkdtemp, readdir, readFile, readlink, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { root } from './tidy/tree.ts'

interface Ended {
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  readonly out: string
  readonly err: string
}

const outer = outerEnvironment()
const outerNode = spawnSync('node', ['--version'], { env: outer, encoding: 'utf8' }).stdout.trim()
const pinnedNode = `node_modules/node-linux-${process.arch}/bin/node`
const running = new Set<ChildProcess>()
let room = ''
let folder = ''

beforeAll(async () => {
  room = await mkdtemp(join(tmpdir(), 'everboot-package-'))
  folder = join(room, 'installed')
  await mkdir(folder)
  const packed = await run('npm', ['pack', '--pack-destination', room], root)
  expect(packed.status, packed.err).toBe(0)
  const tarball = (await readdir(room)).find((name) => name.endsWith('.tgz')) ?? 'none'
  const installed = await run('npm', ['install', '--prefer-offline', join(room, tarball)])
  expect(installed.status, installed.err).toBe(0)
})

afterEach(() => {
  for (const child of running) child.kill('SIGKILL')
})

afterAll(async () => {
  if (room !== '') await rm(room, { recursive: true, force: true })
})

describe('the installed package', () => {
  it('holds JavaScript with source maps, a ready agent, and neither tests nor TypeScript', async () => {
    const names = await readdir(join(folder, 'node_modules/everboot'), { recursive: true })
    expect(names).toEqual(
      expect.arrayContaining([
        'LICENSE',
        'bin/everboot.js',
        'dist/agent.mjs',
        'dist/everboot.js',
        'dist/images/boards/arm64/files/slot.sh',
        'dist/images/boards/qemu-arm64/files/initramfs.sh',
        'dist/images/boards/raspberry-pi/files/first-boot.mjs',
        'dist/images/boards/sim/files/init.mjs',
        'dist/images/package/files/everboot-agent.service',
        'docs/ERRORS.md',
      ]),
    )
    expect(names.filter((name) => /\.ts$|^test|^bench|\.pem$/.test(name))).toEqual([])
    const map = JSON.parse(await readFile(join(folder, 'node_modules/everboot/dist/everboot.js.map'), 'utf8'))
    expect(map.sourcesContent[0]).toBe(await readFile(join(root, 'everboot.ts'), 'utf8'))
  })

  it('carries the licenses of what is bundled into the agent', async () => {
    const agent = await readFile(join(folder, 'node_modules/everboot/dist/agent.mjs'), 'utf8')
    const bundled = new Set(
      [...agent.matchAll(/^\/\/ node_modules\/((?:@[^/]+\/)?[^/]+)/gm)].map((it) => it[1]),
    )
    expect(bundled).toContain('mqtt')
    for (const name of bundled) expect(agent.split('/*! ').at(-1)).toMatch(new RegExp(`^${name} \\d`, 'm'))
  })

  it('comes without development tools', () => {
    for (const name of ['esbuild', 'typescript', 'vitest', '@biomejs']) {
      expect(existsSync(join(folder, 'node_modules', name))).toBe(false)
    }
  })

  it('shows its commands', async () => {
    const help = await npx('--help')
    expect(help).toMatchObject({ status: 0, err: '' })
    for (const name of ['demo', 'keys init', 'image build', 'hub serve', 'emulator run']) {
      expect(help.out).toMatch(new RegExp(`^ {2}everboot ${name} `, 'm'))
    }
  })

  it('makes keys', async () => {
    const made = await npx('keys', 'init', '--out', 'keys', '--device', 'board-1', '--json')
    expect(made).toMatchObject({ status: 0, err: '' })
    expect(JSON.parse(made.out)).toMatchObject({ devices: ['board-1'] })
    expect(existsSync(join(folder, 'keys/trust.json'))).toBe(true)
  })

  it('makes the root directory of an image with the agent that came with it', async () => {
    const made = await npx('image', 'rootfs', '--out', 'rootfs', '--version', '1.0', '--json')
    expect(made, made.err).toMatchObject({ status: 0 })
    const agent = await readFile(join(folder, 'rootfs/usr/lib/everboot/agent.mjs'), 'utf8')
    expect(agent).toBe(await readFile(join(folder, 'node_modules/everboot/dist/agent.mjs'), 'utf8'))
  })

  it('cuts the power of a simulated board, makes a page of it, and plays a state again', async () => {
    const args = ['--scenario', 'update', '--pieces', '4', '--report', 'update.html', '--json']
    const swept = await npx('emulator', 'sweep', ...args)
    expect(swept, swept.err).toMatchObject({ status: 0 })
    expect(JSON.parse(swept.out)).toMatchObject({ violations: 0 })
    expect(await readFile(join(folder, 'update.html'), 'utf8')).toContain('The board always came back.')
    const again = await npx('emulator', 'replay', 'update/12.after.0', '--pieces', '4')
    expect(again, again.err).toMatchObject({ status: 0 })
    expect(again.out).toContain('every invariant held')
  })

  it.each([
    [2, 'EB-USAGE', ['keys', 'burn']],
    [2, 'EB-USAGE', ['keys', 'init', '--no-such-option', '--json']],
    [3, 'EB-KEY', ['keys', 'show', 'nowhere', '--json']],
    [5, 'EB-FILE', ['devices', 'list', '--hub', 'nowhere', '--json']],
  ])('passes on exit status %i of %s', async (status, code, args) => {
    // Not by npx, which would find the pinned Node first.
    const ended = await run('node_modules/.bin/everboot', args)
    expect(ended).toMatchObject({ status, signal: null })
    expect(ended.err).toMatch(new RegExp(`^${code}: .*; .*\n$`))
    if (args.includes('--json')) expect(JSON.parse(ended.out)).toMatchObject({ error: { code } })
  })

  it('ends without a word when its reader has seen enough', async () => {
    const ended = await run('sh', ['-c', 'for i in 1 2 3; do npx everboot --help | head -n 1; done'])
    expect(ended).toMatchObject({ status: 0, err: '' })
  })
})

describe('a command that runs on', () => {
  it('runs on the Node that came with the package, which gets SIGTERM and ends in order', async () => {
    const { child, inner } = await startHub()
    const exe = await readlink(`/proc/${inner}/exe`)
    const { major } = versionOf(outerNode)
    if (major < 24) expect(exe).toBe(await realpath(join(folder, pinnedNode)))
    child.kill('SIGTERM')
    expect(await once(child, 'exit')).toEqual([0, null])
    expect(existsSync(`/proc/${inner}`)).toBe(false)
  })

  it('ends by the signal that ended the program inside', async () => {
    const { child, inner } = await startHub()
    process.kill(inner, 'SIGKILL')
    expect(await once(child, 'exit')).toEqual([null, 'SIGKILL'])
  })

  it('ends by SIGTERM when that comes before the program inside can handle it', async () => {
    // Both processes wait this long before their program begins, so that the signal is early for certain.
    const slow = 'data:text/javascript,await new Promise((resolve) => setTimeout(resolve, 3000))'
    const child = start('node_modules/.bin/everboot', ['keys', 'show', 'keys'], folder, {
      NODE_OPTIONS: `--import "${slow.replaceAll(' ', '%20')}"`,
    })
    const ended = once(child, 'exit')
    const inner = await innerProcess(child)
    child.kill('SIGTERM')
    expect(await ended).toEqual([null, 'SIGTERM'])
    expect(existsSync(`/proc/${inner}`)).toBe(false)
  })
})

const { major } = versionOf(outerNode)
describe.skipIf(major >= 24)(`on ${outerNode} without the pinned Node`, () => {
  it('says what is missing', async () => {
    const alone = join(room, 'alone')
    await mkdir(join(alone, 'bin'), { recursive: true })
    await copyFile(join(root, 'bin/everboot.js'), join(alone, 'bin/everboot.js'))
    await copyFile(join(root, 'package.json'), join(alone, 'package.json'))
    const ended = await run('node', ['bin/everboot.js', '--help'], alone)
    expect(ended).toMatchObject({ status: 7, out: '' })
    expect(ended.err).toMatch(/^EB-TOOL-MISSING: .*node-linux-.*; install Node 24/)
  })
})

describe('npx everboot demo', () => {
  it('tells the whole story and every chapter ends as it must', async () => {
    const ended = await npx('demo', '--json')
    expect(ended.status, `${ended.out}\n${ended.err}`).toBe(0)
    const story = JSON.parse(ended.out)
    const outcomes = story.chapters.map((it: { outcome: string }) => it.outcome)
    expect(outcomes).toEqual(expect.arrayContaining(['committed', 'fell back', 'rolled back', 'refused']))
    if (story.mode === 'loop') expect(story.executables.agent.inSlot).toBe(true)
  }, 400_000)
})

/** @returns the command, and the process inside it that does the work */
async function startHub(): Promise<{ child: ChildProcess; inner: number }> {
  const data = await mkdtemp(join(room, 'hub-'))
  const args = ['hub', 'serve', '--data', data, '--trust', 'keys/trust.json', '--json']
  const child = start('node_modules/.bin/everboot', [...args, '--mqtt-port', '0', '--http-port', '0'])
  for await (const line of createInterface({ input: child.stdout ?? process.stdin })) {
    if (JSON.parse(line).ready === true) break
  }
  return { child, inner: await innerProcess(child) }
}

async function innerProcess(child: ChildProcess): Promise<number> {
  for (;;) {
    const list = await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')
    const [first] = list.trim().split(' ')
    if (first !== undefined && first !== '') return Number(first)
    await sleep(1)
  }
}

function npx(...args: readonly string[]): Promise<Ended> {
  return run('npx', ['everboot', ...args])
}

function run(program: string, args: readonly string[], cwd: string = folder): Promise<Ended> {
  const child = start(program, args, cwd)
  let out = ''
  let err = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    out += text
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    err += text
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (status, signal) => resolve({ status, signal, out, err }))
  })
}

function start(
  program: string,
  args: readonly string[],
  cwd: string = folder,
  more: Readonly<Record<string, string>> = {},
): ChildProcess {
  const child = spawn(program, args, { cwd, env: { ...outer, ...more }, stdio: ['ignore', 'pipe', 'pipe'] })
  running.add(child)
  child.on('exit', () => running.delete(child))
  return child
}

/** Of this process, less what the test run and the checkout put into it: as a user's. */
function outerEnvironment(): NodeJS.ProcessEnv {
  const ours = /^(npm_(?!config_(cache|registry|userconfig)$)|NODE_|VITEST|TEST$|INIT_CWD)/i
  const kept = Object.entries(process.env).filter(([name]) => !ours.test(name))
  const path = (process.env['PATH'] ?? '').split(delimiter).filter((it) => !/node_modules|sbin$/.test(it))
  return { ...Object.fromEntries(kept), PATH: path.join(delimiter), npm_config_loglevel: 'error' }
}

function versionOf(text: string): { readonly major: number } {
  return { major: Number(/^v(\d+)/.exec(text)?.[1]) }
}
