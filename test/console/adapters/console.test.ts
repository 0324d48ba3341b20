/**
 * The console on real wires: pseudo terminals made by socat, and Unix sockets as QEMU makes them.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openConsole } from '../../../console/adapters/open.ts'
import { commands } from '../../../console/cli.ts'
import { becomeNobody } from '../../nobody.ts'
import { runCommand } from '../../run-command.ts'
import { root } from '../../tidy/tree.ts'

const isRoot = process.getuid?.() === 0
let room = ''
const children = new Set<ChildProcess>()
const servers = new Set<Server>()

beforeEach(async () => {
  room = await mkdtemp(join(tmpdir(), 'everboot-console-'))
})
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL')
  for (const server of servers) server.close()
  children.clear()
  servers.clear()
  await rm(room, { recursive: true, force: true })
})

/** Says hello, asks for a name, answers, stays. */
const talker = `printf 'hello\\r\\nname? '; read name; echo "you are $name"; exec sleep 30`

/** A serial device with this shell script at its other end. */
async function device(script: string): Promise<{ path: string; unplug(): void }> {
  const program = join(room, 'program')
  await writeFile(program, script)
  const other = `EXEC:sh ${program}`
  const path = join(room, 'ttyTEST')
  const child = spawn('socat', [`PTY,link=${path},raw,echo=0,waitslave,pty-interval=0.02`, other], {
    stdio: 'ignore',
  })
  children.add(child)
  for (let i = 0; !existsSync(path); i += 1) {
    if (i > 200) throw new Error('socat made no device')
    await sleep(10)
  }
  return { path, unplug: () => void child.kill('SIGKILL') }
}

async function socket(talk: (peer: Socket) => void): Promise<string> {
  const path = join(room, 'serial.sock')
  const server = createServer((peer) => {
    peer.on('error', () => {})
    talk(peer)
  })
  servers.add(server)
  server.listen(path)
  await once(server, 'listening')
  return path
}

const play = (...args: readonly string[]) => runCommand(commands, ['console', ...args])

describe('the console of a serial device', () => {
  it('plays a script and keeps a log', async () => {
    const { path } = await device(talker)
    const log = join(room, 'log')
    const script = ['--expect', 'name\\? $', '--send', 'Ada\\n', '--expect', 'you are Ada']
    const outcome = await play(path, ...script, '--log', log, '--timeout', '10')
    expect(outcome).toMatchObject({ status: 0, code: null })
    const text = (await readFile(log, 'utf8')).trimEnd().split('\n')
    expect(text.every((line) => /^\[ +\d+\.\d{3}\] /.test(line))).toBe(true)
    expect(text.map((line) => line.slice(12))).toEqual(['hello', 'name? you are Ada'])
    expect(outcome.out).toBe(text.join('\n'))
  })

  it('says in one document what was seen, or what was not', async () => {
    const { path } = await device(talker)
    const seen = await play(path, '--expect', 'hel+o', '--timeout', '10', '--json')
    expect(seen.status).toBe(0)
    expect(JSON.parse(seen.out)).toMatchObject({ seen: [{ pattern: 'hel+o', line: 'hello' }] })
  })

  it('fails with the last lines when time is over', async () => {
    const { path } = await device(talker)
    const outcome = await play(path, '--expect', 'never', '--timeout', '1', '--time', 'none')
    expect(outcome).toMatchObject({ status: 6, code: 'EB-NOT-SEEN' })
    expect(outcome.err).toBe('the last of 2 lines:\n  hello\n  name? ')
  })

  it('says that the device went away', async () => {
    const { path, unplug } = await device(talker)
    const outcome = play(path, '--expect', 'never', '--timeout', '20')
    await sleep(500)
    unplug()
    expect(await outcome).toMatchObject({ status: 7, code: 'EB-CONSOLE-GONE' })
  })

  it('says that another program has it', async () => {
    const { path } = await device(talker)
    const first = await openConsole(path, 115_200)
    const outcome = await play(path)
    await first.close()
    expect(outcome).toMatchObject({ status: 7, code: 'EB-CONSOLE-BUSY' })
  })

  it('says that a pseudo terminal has no control lines', async () => {
    const { path } = await device(talker)
    const outcome = await play(path, '--reset', 'dtr', '--timeout', '5')
    expect(outcome).toMatchObject({ status: 7, code: 'EB-CONSOLE-RESET' })
    expect(outcome.what).toContain('no line DTR')
  })

  it('says what is wrong with a path', async () => {
    expect(await play(join(room, 'none'))).toMatchObject({ status: 7, code: 'EB-CONSOLE-GONE' })
    expect(await play(room)).toMatchObject({ status: 2, code: 'EB-USAGE' })
    expect(await play('/dev/null', '--baud', '10')).toMatchObject({ status: 2, code: 'EB-USAGE' })
  })
})

describe('the console of a socket', () => {
  it('plays a script over it', async () => {
    const path = await socket((peer) => {
      peer.write('U-Boot\r\n=> ')
      peer.on('data', (bytes) => peer.write(`${bytes}\nversion 1\n`))
    })
    const outcome = await play(
      path,
      '--expect',
      '=> $',
      '--send',
      'version\\r',
      '--expect',
      'version \\d',
      '--json',
    )
    expect(outcome.status).toBe(0)
    expect(JSON.parse(outcome.out).seen.map((it: { line: string }) => it.line)).toEqual(['=> ', 'version 1'])
  })

  it('says that the machine ended', async () => {
    const path = await socket((peer) => peer.end('good-bye'))
    const outcome = await play(path, '--time', 'none')
    expect(outcome).toMatchObject({ status: 7, code: 'EB-CONSOLE-GONE', out: 'good-bye' })
  })

  it('says that nobody listens any more', async () => {
    const path = join(room, 'stale.sock')
    const script = `const s = require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`
    spawnSync(process.execPath, ['-e', script])
    const outcome = await play(path)
    expect(outcome).toMatchObject({ status: 7, code: 'EB-CONSOLE-GONE' })
    expect(outcome.what).toContain('ECONNREFUSED')
  })

  it('has no control lines', async () => {
    const path = await socket(() => {})
    expect(await play(path, '--reset', 'rts')).toMatchObject({ code: 'EB-CONSOLE-RESET' })
  })

  it('ends with EB-FILE when the log is full', async () => {
    const path = await socket((peer) => peer.write('line\n'))
    expect(await play(path, '--log', '/dev/full')).toMatchObject({ status: 5, code: 'EB-FILE' })
    expect(await play(path, '--log', join(room, 'no', 'log'))).toMatchObject({ status: 5, code: 'EB-FILE' })
  })
})

it.skipIf(!isRoot)('says that this user may not open the device', async () => {
  const { path } = await device(talker)
  await chmod(room, 0o755)
  await chmod(path, 0o600)
  const nobody = await becomeNobody()
  const [program = '', ...words] = [...nobody.words, nobody.path(process.execPath)]
  const ended = spawnSync(program, [...words, nobody.path(join(root, 'everboot.ts')), 'console', path], {
    encoding: 'utf8',
  })
  await nobody.remove()
  expect(ended.stderr).toMatch(/^EB-CONSOLE-DENIED: .*dialout/)
  expect(ended.status).toBe(7)
})

it('loads serialport for a serial device only', () => {
  const script = `
    const { registerHooks } = await import('node:module')
    registerHooks({ resolve: (name, context, next) => { if (name === 'serialport') console.log('loaded'); return next(name, context) } })
    await import('./console/cli.ts')
    const { openConsole } = await import('./console/adapters/open.ts')
    await openConsole(process.cwd(), 9600).catch(() => {})
    console.log('before')
    await openConsole('/dev/null', 9600).catch(() => {})`
  const ended = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: root,
    encoding: 'utf8',
  })
  expect(ended.stdout.split('\n').slice(0, 2)).toEqual(['before', 'loaded'])
})
