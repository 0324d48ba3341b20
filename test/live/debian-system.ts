/**
 * A Debian system of this machine's kind for the tests: made once by debootstrap into the cache, mounted below an
 * overlay for each test, run as a container whose pid 1 is its own systemd.
 * Promise: the cached root stays as it was made; what a test starts and mounts is gone after it.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { cacheDirectory } from '../../images/boards/arm64/adapters/packages.ts'
import { noRoot } from '../device/adapters/real.ts'

const suite = 'bookworm'
const include = 'systemd,systemd-sysv,dbus,libstdc++6,openssh-server'
export const debianArch = process.arch === 'arm64' ? 'arm64' : 'amd64'

/** Why these tests cannot run here, or null. */
export const noDebian: string | null =
  noRoot ??
  ['/usr/sbin/debootstrap', '/usr/bin/systemd-nspawn', '/usr/bin/dpkg-deb'].find((it) => !existsSync(it)) ??
  null

/** The root directory in the cache; made when it is not there. */
function debianRoot(): string {
  const key = createHash('sha256').update(`${suite} ${include} 1`).digest('hex').slice(0, 12)
  const place = join(cacheDirectory(), `debian-${debianArch}-${key}`)
  if (existsSync(place)) return place
  mkdirSync(cacheDirectory(), { recursive: true })
  const room = mkdtempSync(join(cacheDirectory(), '.new-'))
  try {
    tool('debootstrap', '--variant=minbase', `--include=${include}`, suite, join(room, 'root'))
    // What belongs to one machine only, and the packages themselves.
    for (const it of ['etc/machine-id', 'var/cache/apt/archives', 'var/lib/apt/lists']) {
      rmSync(join(room, 'root', it), { recursive: true, force: true })
    }
    for (const kind of ['rsa', 'ecdsa', 'ed25519']) {
      for (const end of ['', '.pub'])
        rmSync(join(room, `root/etc/ssh/ssh_host_${kind}_key${end}`), { force: true })
    }
    try {
      renameSync(join(room, 'root'), place)
    } catch (caught) {
      // Another test may have been faster; then its root is as good.
      if (!existsSync(place)) throw caught
    }
  } finally {
    rmSync(room, { recursive: true, force: true })
  }
  return place
}

/** For programs in the system, too: none is to find there what the test run keeps for its own. */
function environment(): NodeJS.ProcessEnv {
  return {
    ...process.env,
    NODE_COMPILE_CACHE: undefined,
    PATH: `${process.env['PATH']}:/usr/sbin:/sbin`,
    LC_ALL: 'C',
    DEBIAN_FRONTEND: 'noninteractive',
  }
}

export function tool(program: string, ...args: string[]): string {
  return execFileSync(program, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 1 << 26,
    env: environment(),
  }).trim()
}

export interface DebianSystem {
  /** Its root directory: changes lie above the cached one. */
  readonly root: string
  /** Directory of this test outside the root. */
  readonly room: string
  put(path: string, text: string, mode?: number): void
  read(path: string): string
  /** Runs a program inside, without systemd. */
  chroot(...argv: string[]): string
  remove(): void
}

/** A fresh system, as installed. */
export function debianSystem(): DebianSystem {
  const lower = debianRoot()
  const room = mkdtempSync(join(tmpdir(), 'everboot-debian-'))
  const root = join(room, 'root')
  for (const it of ['root', 'upper', 'work']) mkdirSync(join(room, it))
  const layers = `lowerdir=${lower},upperdir=${room}/upper,workdir=${room}/work`
  tool('mount', '-t', 'overlay', 'everboot-test', '-o', layers, root)
  return {
    root,
    room,
    put(path, text, mode = 0o644) {
      mkdirSync(join(root, path, '..'), { recursive: true })
      writeFileSync(join(root, path), text, { mode })
    },
    read: (path) => readFileSync(join(root, path), 'utf8'),
    chroot: (...argv) => tool('chroot', root, ...argv),
    remove() {
      tool('umount', '-l', root)
      rmSync(room, { recursive: true, force: true })
    },
  }
}

export interface RunningSystem {
  /** Runs a program beside the services. Its failure is an exception with what it printed. */
  run(...argv: string[]): Promise<string>
  /** `systemctl show` of a unit's property. */
  property(unit: string, name: string): Promise<string>
  console(): string
  /** Resolves when nothing of it runs any more: status 0 when it switched itself off, `rebooted` when it rebooted. */
  readonly ended: Promise<number | null>
  /** Switches it off as a power button would, or as a power cut. */
  stop(how?: 'orderly' | 'at once'): Promise<void>
}

/** Status of systemd-nspawn --keep-unit when the system inside asked for a reboot. */
export const rebooted = 133

/** Boots it and waits until its services are started. @param options, @param init as of `startSystem` */
export async function bootSystem(
  root: string,
  options: readonly string[] = [],
  init: readonly string[] = ['/sbin/init'],
): Promise<RunningSystem> {
  const system = await startSystem(root, options, init)
  for (let tries = 0; ; tries += 1) {
    const state = await system
      .run('systemctl', 'is-system-running')
      .catch((caught) => String(caught.stdout).trim())
    if (['running', 'degraded'].includes(state)) return system
    if (tries > 150) {
      await system.stop('at once')
      throw new Error(`the system is ${state}: ${system.console()}`)
    }
    await sleep(200)
  }
}

/** Boots it; its pid 1 runs. @param options of systemd-nspawn; @param init what pid 1 is, when not systemd at once */
export async function startSystem(
  root: string,
  options: readonly string[],
  init: readonly string[],
): Promise<RunningSystem> {
  const args = [
    '-D',
    root,
    '--register=no',
    '--keep-unit',
    '-q',
    '--console=pipe',
    '--link-journal=no',
    ...options,
  ]
  const child = spawn('systemd-nspawn', [...args, '--', ...init], { stdio: ['ignore', 'pipe', 'pipe'] })
  let console = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (part) => {
      console += part
    })
  }
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
  const leader = await leaderOf(child, () => console).catch((caught: unknown) => {
    child.kill('SIGKILL')
    throw caught
  })
  const run = async (...argv: string[]): Promise<string> => {
    const inside = ['-t', leader, '-m', '-u', '-i', '-n', '-p', '-r', '-w', '--', ...argv]
    const options = { encoding: 'utf8', timeout: 60_000, env: environment() } as const
    const { stdout } = await promisify(execFile)('nsenter', inside, options)
    return stdout.trim()
  }
  return {
    run,
    ended,
    property: (unit, name) => run('systemctl', 'show', '--value', '-p', name, unit),
    console: () => console,
    async stop(how = 'orderly') {
      // SIGRTMIN+4 of systemd: power off; its pid 1 gone, all of it is gone. It may have ended by itself.
      const signal = how === 'orderly' ? 'RTMIN+4' : 'KILL'
      if (readOr(`/proc/${leader}/status`) !== '') tool('sh', '-c', `kill -s ${signal} ${leader} || true`)
      await Promise.race([ended, sleep(20_000).then(() => void child.kill('SIGKILL'))])
      await ended
    },
  }
}

/** Pid of the container's pid 1. */
async function leaderOf(child: ChildProcess, console: () => string): Promise<string> {
  for (let tries = 0; tries < 200; tries += 1) {
    const path = `/proc/${child.pid}/task/${child.pid}/children`
    const pids = readOr(path).trim().split(' ')
    // The first child only prepares the second one, which is pid 1 in its own space.
    const pid = pids.find((it) => /^NSpid:\t\d+\t1$/m.test(readOr(`/proc/${it}/status`)))
    if (pid !== undefined) return pid
    if (child.exitCode !== null) break
    await sleep(50)
  }
  throw new Error(`the system does not start: ${console()}`)
}

function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
