/** The board where nothing can be mounted, run by somebody who is not root; and what `create` refuses. */
import { execFile } from 'node:child_process'
import { chmod, chown, mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { becomeNobody, oneself } from '../nobody.ts'
import {
  alive,
  type BoardRun,
  command,
  consoleOf,
  install,
  openWorkshop,
  remains,
  startBoard,
  type Workshop,
} from './real-board.ts'

const run = promisify(execFile)
const root = process.getuid?.() === 0

let nobody = oneself
let workshop: Workshop
let v1: string
let v2: string
let board: BoardRun | null = null

/** A board that belongs to nobody, below directories that nobody may enter. */
async function nobodysBoard(release: string, options: readonly string[] = []): Promise<string> {
  const directory = await workshop.board(release, options)
  if (root) await run('chown', ['-R', '65534:65534', directory])
  return directory
}

interface Program {
  pid: number
  executable: string
  inSlot: boolean
}

function programs(status: Readonly<Record<string, unknown>>): { agent: Program; service: Program } {
  return status['processes'] as { agent: Program; service: Program }
}

/** The agent sees the order at once as its own file: one that it could read but not empty would kill it. */
async function giveOrder(directory: string, order: string): Promise<void> {
  const path = join(directory, 'data/everboot/order')
  await writeFile(`${path}.new`, order)
  if (root) await chown(`${path}.new`, 65_534, 65_534)
  await rename(`${path}.new`, path)
}

async function fault(...args: readonly string[]): Promise<string> {
  const answer = await command(...args)
  return (answer['error'] as { code: string } | undefined)?.code ?? JSON.stringify(answer)
}

beforeAll(async () => {
  if (root) nobody = await becomeNobody()
  workshop = await openWorkshop()
  await chmod(workshop.path, 0o755)
  v1 = await workshop.release('1.0')
  v2 = await workshop.release('2.0', { filesystem: 'squashfs' })
}, 120_000)
afterEach(async () => {
  await board?.stop()
  board = null
})
afterAll(async () => {
  await workshop.remove()
  await nobody.remove()
})

describe('emulated board without root', { timeout: 120_000 }, () => {
  it('says that it is plain and why, and runs the programs of the unpacked slot', async () => {
    const directory = await nobodysBoard(v1)
    board = startBoard(directory, [], nobody)
    expect(await board.boots(1)).toMatchObject({ slot: 'a', version: '1.0' })
    expect(board.events[0]).toMatchObject({ event: 'board', mode: 'plain', why: 'not running as root' })
    const { agent, service } = programs(await alive(directory))
    for (const it of [agent, service]) {
      expect(it.inSlot).toBe(true)
      expect(it.executable.startsWith(join(directory, 'unpacked/'))).toBe(true)
      if (root) expect((await stat(`/proc/${it.pid}`)).uid).toBe(65_534)
    }
    expect((await stat(join(directory, 'data/everboot/device.json'))).mode & 0o077).toBe(0)
    expect(await consoleOf(directory)).toMatch(/agent: lives on board-1, key of 64 digits/)
    expect(await board.stop()).toBe(0)
  })

  it('resets, falls back and keeps its data like a real one', async () => {
    const directory = await workshop.board(v1, ['--watchdog-ms', '6000'])
    await install(workshop, directory, v2, 'b', (record) => ({
      ...record,
      b: { ok: false, sv: 2, tries: 3 },
      priority: 'b',
    }))
    if (root) await run('chown', ['-R', '65534:65534', directory])
    board = startBoard(directory, [], nobody)
    expect(await board.boots(1)).toMatchObject({ slot: 'b', version: '2.0' })
    await alive(directory)
    await giveOrder(directory, 'reboot')
    expect(await board.boots(2)).toMatchObject({ slot: 'b' })
    await alive(directory)
    await command('emulator', 'damage', directory, '--slot', 'b', '--what', 'superblock')
    await command('emulator', 'power-cut', directory)
    expect(await board.boots(3)).toMatchObject({ slot: 'a', version: '1.0' })
    await alive(directory)
    await giveOrder(directory, 'silence')
    expect(await board.boots(4)).toMatchObject({ slot: 'a' })
    const boots = await readFile(join(directory, 'data/everboot/boots'), 'utf8')
    expect(boots.match(/everboot\.slot=./g)?.slice(0, 3)).toEqual([
      'everboot.slot=b',
      'everboot.slot=b',
      'everboot.slot=a',
    ])
    expect(boots).toMatch(/ everboot\.config=\S+\/run\/everboot\/agent\.json$/m)
    expect((await readdir(join(directory, 'unpacked'))).length).toBe(2)
  })

  it('leaves no process behind when it is killed', async () => {
    const directory = await nobodysBoard(v1)
    for (const delayMs of [0, 300, 900]) {
      const killed = startBoard(directory, [], nobody)
      if (delayMs === 0) {
        await killed.boots(1)
        await alive(directory)
      } else await sleep(delayMs)
      killed.child.kill('SIGKILL')
      await killed.stop()
      let left: readonly string[] = ['not looked yet']
      for (let tries = 0; tries < 40 && left.length > 0; tries += 1) {
        await sleep(50)
        left = await remains(directory)
      }
      expect(left).toEqual([])
    }
  })

  it('refuses to be plain when loop devices are required', async () => {
    const directory = await nobodysBoard(v1)
    board = startBoard(directory, ['--require-loop'], nobody)
    await board.until((events) => events.length > 0)
    expect(board.events[0]).toMatchObject({
      error: { code: 'EB-NO-LOOP', what: 'no board on loop devices: not running as root' },
    })
  })

  it('is plain as root too when asked', async () => {
    const directory = await workshop.board(v1)
    board = startBoard(directory, ['--plain', '--boots', '1'])
    await board.boots(1)
    expect(board.events[0]).toMatchObject({ mode: 'plain', why: '--plain was given' })
    await alive(directory)
    await command('emulator', 'reset', directory)
    await board.until((events) => events.at(-1)?.['event'] === 'reset')
    expect((await remains(directory)).filter((it) => it.startsWith('loop'))).toEqual([])
  })
})

describe('emulator commands', { timeout: 120_000 }, () => {
  const create = (directory: string, ...more: readonly string[]): readonly string[] => [
    ...['emulator', 'create', directory, '--release', v1, '--keys', workshop.keys],
    ...['--identity', workshop.identity, ...more],
  ]

  it('refuse to make a board over something else, or one that cannot work', async () => {
    const full = join(workshop.path, 'full')
    await mkdir(full)
    await writeFile(join(full, 'precious'), '')
    expect(await fault(...create(full))).toBe('EB-CONFLICT')
    const fresh = join(workshop.path, 'fresh')
    expect(await fault(...create(fresh, '--slot-bytes', '10000000'))).toBe('EB-TOO-LARGE')
    const stranger = join(workshop.path, 'stranger.json')
    await writeFile(stranger, JSON.stringify({ v: 1, deviceId: 'stranger' }))
    const of = (option: string, path: string): readonly string[] =>
      create(fresh).map((word, at, all) => (all[at - 1] === option ? path : word))
    expect(await fault(...of('--identity', stranger))).toBe('EB-KEY')
    expect(await fault(...of('--identity', v1))).toBe('EB-CONFIG')
    expect(await fault(...of('--identity', join(workshop.path, 'nowhere')))).toBe('EB-FILE')
    expect(await fault(...of('--release', workshop.identity))).toBe('EB-CONTAINER')
    expect(await fault(...of('--keys', workshop.path))).toBe('EB-KEY')
    const other = await openWorkshop()
    expect(await fault(...of('--release', await other.release('9.0')))).toBe('EB-UNKNOWN-KEY')
    await other.remove()
    expect((await readdir(workshop.path)).filter((it) => it.startsWith('fresh'))).toEqual([])
  })

  it('name what is wrong with a directory that is no board, or whose board is off', async () => {
    const nothing = join(workshop.path, 'nothing')
    expect(await fault('emulator', 'run', nothing)).toBe('EB-NO-BOARD')
    expect(await fault('emulator', 'run', dirname(workshop.identity))).toBe('EB-NO-BOARD')
    const directory = await workshop.board(v1)
    expect(await fault('emulator', 'reset', directory)).toBe('EB-NO-BOARD')
    expect(await command('emulator', 'status', directory)).toMatchObject({
      running: false,
      record: { current: 1, stamp: { floor: 0, priority: 'a' }, copies: [{ sequence: 1 }, { sequence: 2 }] },
    })
    await writeFile(join(directory, 'board.json'), '{"v":2}')
    expect(await fault('emulator', 'status', directory)).toBe('EB-NO-BOARD')
  })

  it('refuse options that make no sense', async () => {
    const directory = await workshop.board(v1)
    expect(await fault('emulator', 'damage', directory, '--slot', 'c')).toBe('EB-USAGE')
    expect(await fault('emulator', 'damage', directory, '--slot', 'a', '--what', 'everything')).toBe(
      'EB-USAGE',
    )
    expect(await fault('emulator', 'kill', directory, 'init')).toBe('EB-USAGE')
    expect(await fault('emulator', 'run', directory, '--boots', '0')).toBe('EB-USAGE')
    expect(await fault('emulator', 'run', directory, '--plain', '--require-loop')).toBe('EB-USAGE')
    const deep = join(workshop.path, 'd'.repeat(100))
    await mkdir(deep)
    await run('cp', ['-a', '--sparse=always', directory, join(deep, 'board')])
    expect(await fault('emulator', 'run', join(deep, 'board'), '--plain')).toBe('EB-USAGE')
  })
})
