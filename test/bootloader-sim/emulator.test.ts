/** Real boards on real loop devices: what runs, from where, what ends it, and that nothing is left. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { pinnedNode } from '../../images/boards/sim/adapters/host-files.ts'
import { oneself } from '../nobody.ts'
import {
  alive,
  type BoardRun,
  command,
  deviceId,
  install,
  openWorkshop,
  remains,
  startBoard,
  type Workshop,
} from './real-board.ts'

const run = promisify(execFile)
const root = process.getuid?.() === 0
if (!root) console.warn('skipped: boards on loop devices need root')

let workshop: Workshop
let v1: string
let v2: string
let board: BoardRun | null = null

interface Program {
  pid: number
  executable: string
  device: string
  sha256: string
  inSlot: boolean
}

function programs(status: Record<string, unknown>): { agent: Program; service: Program } {
  return status['processes'] as { agent: Program; service: Program }
}

describe.skipIf(!root)('emulated board on loop devices', { timeout: 120_000 }, () => {
  beforeAll(async () => {
    workshop = await openWorkshop()
    v1 = await workshop.release('1.0')
    v2 = await workshop.release('2.0')
  }, 120_000)
  afterEach(async () => {
    await board?.stop()
    board = null
  })
  afterAll(() => workshop.remove())

  it('runs agent and service out of the mounted slot, which cannot be written', async () => {
    const directory = await workshop.board(v1)
    board = startBoard(directory, ['--require-loop'])
    expect(await board.boots(1)).toMatchObject({ slot: 'a', version: '1.0' })
    expect(board.events[0]).toMatchObject({ event: 'board', mode: 'loop', why: null })
    const status = await alive(directory)
    expect(status).toMatchObject({
      running: true,
      deviceId,
      mode: 'loop',
      boot: 1,
      phase: 'running',
      slot: 'a',
    })
    const { agent, service } = programs(status)
    const node = createHash('sha256')
      .update(await readFile(pinnedNode()))
      .digest('hex')
    for (const it of [agent, service]) {
      expect(it).toMatchObject({
        inSlot: true,
        sha256: node,
        executable: join(directory, 'root/usr/bin/node'),
      })
      expect(it.device).toMatch(/^7:\d+$/)
      const mounts = await readFile(`/proc/${it.pid}/mountinfo`, 'utf8')
      expect(mounts.split('\n').find((line) => line.split(' ')[4] === '/')).toMatch(
        new RegExp(` ${it.device} .* ro[, ].* ext4 `),
      )
      const inside = await readFile(`/proc/${it.pid}/status`, 'utf8')
      expect(inside).toMatch(/^NSpid:\t\d+\t\d+$/m)
    }
    const loop = `/dev/loop${agent.device.split(':')[1]}`
    await expect(
      run('dd', ['if=/dev/zero', `of=${loop}`, 'bs=4096', 'count=1', 'conv=notrunc']),
    ).rejects.toThrow()
    expect(
      (await run('curl', ['-s', '--unix-socket', join(directory, 'run/service.sock'), 'http://x/health']))
        .stdout,
    ).toBe('healthy\n')
    expect(await board.stop()).toBe(0)
    expect(await remains(directory)).toEqual([])
  })

  it('leaves the slot as it was and keeps the data partition over boots', async () => {
    const directory = await workshop.board(v1)
    const cmp = async (): Promise<string> => {
      const { partitions } = JSON.parse(await readFile(join(directory, 'board.json'), 'utf8'))
      const part = `dd if=${join(directory, 'disk.img')} bs=1M skip=${partitions.a.offset / 2 ** 20} count=${partitions.a.bytes / 2 ** 20} status=none | sha256sum`
      return (await run('sh', ['-c', part])).stdout
    }
    const before = await cmp()
    board = startBoard(directory)
    await board.boots(1)
    await alive(directory)
    await command('emulator', 'reset', directory)
    await board.boots(2)
    await alive(directory)
    await board.stop()
    expect(await cmp()).toBe(before)
    const { stdout } = await run('sh', [
      '-c',
      `debugfs -R 'cat /everboot/boots' "${directory}/disk.img?offset=$(node -p "JSON.parse(require('fs').readFileSync('${directory}/board.json')).partitions.data.offset")" 2>/dev/null`,
    ])
    const boots = stdout.trim().split('\n')
    expect(boots.length).toBe(2)
    expect(new Set(boots).size).toBe(2)
    for (const line of boots) expect(line).toMatch(/^everboot\.slot=a everboot\.boot=boot-[0-9a-f]{16}\b/)
  })

  it('repairs a data partition that was not unmounted, and says so', async () => {
    const directory = await workshop.board(v1)
    const { partitions } = JSON.parse(await readFile(join(directory, 'board.json'), 'utf8'))
    const place = `${directory}/disk.img?offset=${partitions.data.offset}`
    // An inode that is in use but not marked so, as a cut can leave it where there is no journal to ask.
    await run('debugfs', ['-w', '-R', 'freei /everboot/device.json', place])
    await run('debugfs', ['-w', '-R', 'set_super_value state 0', place])
    board = startBoard(directory)
    await board.boots(1)
    await alive(directory)
    expect(await readFile(join(directory, 'console.log'), 'utf8')).toMatch(/^board: e2fsck: .*data/m)
  })

  it('comes back after reset, reboot by the system, power cut and a bite of the watchdog', async () => {
    const directory = await workshop.board(v1, ['--watchdog-ms', '6000'])
    board = startBoard(directory)
    await board.boots(1)
    const first = programs(await alive(directory)).agent.pid
    expect(await command('emulator', 'reset', directory)).toEqual({ ended: 1 })
    await expect(readFile(`/proc/${first}/stat`)).rejects.toThrow()
    await board.boots(2)
    await alive(directory)
    expect(await command('emulator', 'power-cut', directory)).toEqual({ ended: 2 })
    await board.boots(3)
    await order(await alive(directory), 'reboot')
    await board.boots(4)
    await order(await alive(directory), 'silence')
    await board.boots(5)
    const why = board.events.filter((it) => it['event'] === 'reset').map((it) => it['why'])
    expect(why.slice(0, 3)).toEqual(['reset button', 'power cut', 'the system asked for: reboot'])
    expect(why[3]).toMatch(/^the watchdog bites after 6\d\d\d ms of silence$/)
    expect(await readFile(join(directory, 'run/everboot/last-console'), 'utf8')).toMatch(/the watchdog bites/)
    expect(await readFile(join(directory, 'run/everboot/boot-trace'), 'utf8')).toMatch(/boot 5:\n/)
  })

  it('starts a killed agent or service again without a reset', async () => {
    const directory = await workshop.board(v1)
    board = startBoard(directory)
    await board.boots(1)
    for (const name of ['agent', 'service'] as const) {
      const before = programs(await alive(directory))[name].pid
      expect(await command('emulator', 'kill', directory, name)).toEqual({ killed: before })
      let after = before
      for (let tries = 0; tries < 60 && after === before; tries += 1) {
        await sleep(50)
        after = programs(await alive(directory))[name].pid
      }
      expect(after).not.toBe(before)
    }
    expect(board.events.filter((it) => it['event'] === 'reset')).toEqual([])
  })

  it('has a process 1 that reaps what loses its parent', async () => {
    const directory = await workshop.board(v1)
    board = startBoard(directory)
    await board.boots(1)
    const status = await alive(directory)
    const first = await firstOf(programs(status).agent.pid)
    const before = (await childStates(first)).length
    await order(status, 'orphan')
    const children = async (wanted: (count: number) => boolean): Promise<readonly string[]> => {
      let states = await childStates(first)
      for (let looks = 0; looks < 400 && !wanted(states.length); looks += 1) {
        await sleep(20)
        states = await childStates(first)
      }
      return states
    }
    expect((await children((count) => count > before)).length).toBeGreaterThan(before)
    const last = await children((count) => count === before)
    expect(last.length).toBe(before)
    expect(last).not.toContain('Z')
  })

  it('falls back in the same boot when what starts the slot is destroyed', async () => {
    const installed = await workshop.board(v1)
    await install(workshop, installed, v2, 'b', (record) => ({
      ...record,
      b: { ok: true, sv: 2, tries: 8 },
      priority: 'b',
    }))
    for (const what of ['init', 'superblock', 'seal']) {
      const directory = `${installed}-${what}`
      await run('cp', ['-a', '--sparse=always', installed, directory])
      board = startBoard(directory)
      expect(await board.boots(1)).toMatchObject({ slot: 'b', version: '2.0' })
      expect(await command('emulator', 'damage', directory, '--slot', 'b', '--what', what)).toMatchObject({
        what,
      })
      await command('emulator', 'power-cut', directory)
      expect(await board.boots(2)).toMatchObject({ boot: 2, slot: 'a', version: '1.0' })
      expect(programs(await alive(directory)).agent.inSlot).toBe(true)
      expect(board.events.find((it) => /slot b is refused/.test(`${it['what']}`))).toMatchObject({
        row: 'look',
        boot: 2,
      })
      await board.stop()
    }
  })

  it('spends three tries on a trial that hangs, then returns', async () => {
    const hang = await workshop.release('3.0', { init: 'hang' })
    const directory = await workshop.board(v1, ['--watchdog-ms', '1500'])
    await install(workshop, directory, hang, 'b', (record) => ({
      ...record,
      b: { ok: false, sv: 3, tries: 3 },
      priority: 'b',
    }))
    board = startBoard(directory)
    await board.boots(4)
    const boots = board.events.filter((it) => it['event'] === 'handover').map((it) => it['version'])
    expect(boots.slice(0, 4)).toEqual(['3.0', '3.0', '3.0', '1.0'])
    expect(await readFile(join(directory, 'run/everboot/last-console'), 'utf8')).toMatch(
      /waits for a device that never appears\nboard: the watchdog bites/,
    )
  })

  it('has a record that fw_printenv reads, both copies and the stamp', async () => {
    const directory = await workshop.board(v1)
    const { partitions } = JSON.parse(await readFile(join(directory, 'board.json'), 'utf8'))
    const disk = join(directory, 'disk.img')
    const read = async (offset: number, bytes: number): Promise<string> => {
      const config = join(directory, `fw-${offset}.config`)
      await writeFile(
        config,
        `${disk} 0x${(partitions.boot.offset + offset).toString(16)} 0x${bytes.toString(16)}\n`,
      )
      return (await run('fw_printenv', ['-c', config])).stdout
    }
    const record = 'a_ok=1\na_sv=1\na_tries=8\nb_ok=0\nb_sv=0\nb_tries=0\nfloor=0\nst_pri=a\nst_seq='
    expect(await read(0, 65_536)).toBe(`${record}1\n`)
    expect(await read(2 ** 20, 65_536)).toBe(`${record}2\n`)
    expect(await read(2 ** 21, 4096)).toBe('floor=0\nst_pri=a\n')
    board = startBoard(directory)
    await board.boots(1)
    await board.stop()
    expect(await read(0, 65_536)).toBe(`${record.replace('a_tries=8', 'a_tries=7')}3\n`)
  })

  it('has a slot whose image and tree veritysetup accepts', async () => {
    const directory = await workshop.board(v1)
    const { partitions } = JSON.parse(await readFile(join(directory, 'board.json'), 'utf8'))
    const slot = join(directory, 'slot.img')
    await run('dd', [
      ...[`if=${join(directory, 'disk.img')}`, `of=${slot}`, 'bs=1M', 'conv=sparse'],
      ...[`skip=${partitions.a.offset / 2 ** 20}`, `count=${partitions.a.bytes / 2 ** 20}`],
    ])
    const inspected = await command('image', 'inspect', v1)
    const { images } = inspected['manifest'] as { images: [{ paddedBytes: number; verityRoot: string }] }
    const [image] = images
    const blocks = image.paddedBytes / 4096
    await run('veritysetup', [
      ...[
        'verify',
        '--no-superblock',
        '--salt=-',
        `--data-blocks=${blocks}`,
        `--hash-offset=${image.paddedBytes}`,
      ],
      ...[slot, slot, image.verityRoot],
    ])
  })

  it('boots a squashfs slot', async () => {
    const squashfs = await workshop.release('4.0', { filesystem: 'squashfs' })
    const directory = await workshop.board(squashfs)
    board = startBoard(directory, ['--require-loop'])
    expect(await board.boots(1)).toMatchObject({ version: '4.0' })
    expect(programs(await alive(directory)).agent.inSlot).toBe(true)
  })

  it('leaves no process, mount or loop device behind when it is killed, at whatever moment', async () => {
    const directory = await workshop.board(v1)
    for (let round = 0; round < 12; round += 1) {
      const killed = startBoard(directory)
      if (round % 3 === 0) await killed.boots(1)
      await sleep(round * 130)
      killed.child.kill('SIGKILL')
      await killed.stop()
      let left: readonly string[] = ['not looked yet']
      for (let tries = 0; tries < 40 && left.length > 0; tries += 1) {
        await sleep(50)
        left = await remains(directory)
      }
      expect(left).toEqual([])
    }
    board = startBoard(directory)
    expect(await board.boots(1)).toMatchObject({ slot: 'a' })
  })

  it('dies with the program that started it when it is tied to it', async () => {
    const directory = await workshop.board(v1)
    // A shell that stays between, and is killed.
    const script = '"$@" & wait'
    board = startBoard(directory, ['--tied'], { ...oneself, words: ['sh', '-c', script, 'sh'] })
    await board.boots(1)
    board.child.kill('SIGKILL')
    let left: readonly string[] = ['not looked yet']
    for (let tries = 0; tries < 40 && left.length > 0; tries += 1) {
      await sleep(50)
      left = await remains(directory)
    }
    expect(left).toEqual([])
  })

  it('refuses a second board in the same directory', async () => {
    const directory = await workshop.board(v1)
    board = startBoard(directory)
    await board.boots(1)
    const second = await command('emulator', 'run', directory)
    expect(second).toMatchObject({ error: { code: 'EB-BOARD-RUNNING' } })
    expect(await command('emulator', 'status', directory)).toMatchObject({ running: true, boot: 1 })
  })

  it('reports EB-NO-SLOT and lives on when both slots are bad', async () => {
    const directory = await workshop.board(v1)
    await command('emulator', 'damage', directory, '--slot', 'a', '--what', 'seal')
    board = startBoard(directory)
    await board.until((events) => events.some((it) => it['event'] === 'no-slot'))
    expect(board.events.find((it) => it['event'] === 'no-slot')).toMatchObject({ code: 'EB-NO-SLOT' })
    expect(await command('emulator', 'status', directory)).toMatchObject({ phase: 'pausing', slot: null })
    expect(await board.stop()).toBe(0)
  })
})

/** States of the children of a process, by `/proc/PID/stat`: R, S, Z … */
async function childStates(parent: number): Promise<readonly string[]> {
  const states: string[] = []
  for (const pid of await readdir('/proc')) {
    const line = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
    const [state = '', itsParent = ''] = line.slice(line.lastIndexOf(')') + 2).split(' ')
    if (Number(itsParent) === parent) states.push(state)
  }
  return states
}

/** The process that is number 1 to process `pid`. */
async function firstOf(pid: number): Promise<number> {
  for (let at = pid; at > 1; ) {
    const text = await readFile(`/proc/${at}/status`, 'utf8')
    if (/^NSpid:\t\d+\t1$/m.test(text)) return at
    at = Number(/^PPid:\t(\d+)$/m.exec(text)?.[1])
  }
  throw new Error(`process ${pid} has no process 1 of its own`)
}

/** Puts an order onto the data partition, through the agent's own view of it. */
async function order(status: Record<string, unknown>, word: string): Promise<void> {
  await writeFile(`/proc/${programs(status).agent.pid}/root/data/everboot/order`, word)
}
