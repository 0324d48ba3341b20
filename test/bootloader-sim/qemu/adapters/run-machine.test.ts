/**
 * The machine of a directory, with a stand-in for QEMU.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { until } from '../../../../bootloader-sim/adapters/wait.ts'
import { findProgram, needProgram, needQemu } from '../../../../bootloader-sim/qemu/adapters/find-program.ts'
import { runningPid, writePidFile } from '../../../../bootloader-sim/qemu/adapters/pid-file.ts'
import {
  type Machine,
  type MachinePlan,
  startMachine,
  withMachine,
} from '../../../../bootloader-sim/qemu/adapters/run-machine.ts'
import { listenUnix } from '../../../../bootloader-sim/qemu/adapters/unix-socket.ts'

const standIn = fileURLToPath(new URL('../stand-in.mjs', import.meta.url))
const harness = fileURLToPath(new URL('../harness.mjs', import.meta.url))
let room = ''

beforeEach(() => {
  room = mkdtempSync(join(tmpdir(), 'everboot-machine-'))
})

afterEach(() => rmSync(room, { recursive: true, force: true }))

function plan(way = '', lifeMs = 20_000): MachinePlan {
  return {
    directory: room,
    lifeMs,
    command: ({ serial, monitor }) => [process.execPath, standIn, serial, monitor, way],
  }
}

function alive(pid: number): boolean {
  writePidFile(join(room, 'look.pid'), pid)
  return existsSync(`/proc/${pid}`) && runningPid(join(room, 'look.pid')) === pid
}

describe('a machine', () => {
  it('is talked to over console and monitor, and is gone afterwards', async () => {
    const pid = await withMachine(plan(), async (machine) => {
      expect(await machine.console.waitFor(/^ban/, 5_000)).toBe('banner')
      await machine.console.waitFor(/ready> $/, 5_000)
      machine.console.send('hello')
      expect(await machine.console.waitFor(/hello/, 5_000)).toContain('hello')
      expect(machine.monitor.version).toEqual([7, 2, 1])
      expect(await machine.status()).toBe('running')
      await machine.reset()
      expect(await machine.monitor.event('RESET')).toEqual({ name: 'RESET', data: { guest: false } })
      await machine.powerDown()
      await expect(machine.monitor.execute('no-such')).rejects.toThrow('EB-QEMU: no-such: CommandNotFound')
      expect(readFileSync(join(room, 'machine.pid'), 'utf8')).toContain(`${machine.pid} `)
      return machine.pid
    })
    expect(alive(pid)).toBe(false)
    for (const name of ['machine.pid', 'serial.sock', 'monitor.sock']) {
      expect(existsSync(join(room, name))).toBe(false)
    }
  })

  it('is gone when the work with it fails', async () => {
    let pid = 0
    const work = async (machine: Machine): Promise<void> => {
      pid = machine.pid
      throw new Error('the test fails')
    }
    await expect(withMachine(plan(), work)).rejects.toThrow('the test fails')
    expect(alive(pid)).toBe(false)
  })

  it('ends in order when told to quit', async () => {
    const machine = await startMachine(plan())
    await machine.quit()
    expect(await machine.ended).toBe('status 0')
  })

  it('is killed when its time is over', async () => {
    const machine = await startMachine(plan('', 1_500))
    expect(await machine.ended).toBe('killed after 1500 ms')
    expect(alive(machine.pid)).toBe(false)
  })

  it('does not let anybody wait for ever', async () => {
    await withMachine(plan('mute'), async (machine) => {
      await expect(machine.console.waitFor(/never/, 100)).rejects.toThrow(/EB-TIMEOUT.*never.*banner/)
      await expect(machine.monitor.execute('query-status', {}, 100)).rejects.toThrow('EB-TIMEOUT')
      await expect(machine.monitor.event('RESET', 100)).rejects.toThrow('EB-TIMEOUT')
      const waiting = [machine.console.waitFor(/never/, 60_000), machine.monitor.event('RESET', 60_000)]
      const refused = Promise.all(waiting.map((it) => expect(it).rejects.toThrow('EB-QEMU')))
      await machine.kill()
      await refused
    })
  })

  it.skipIf(findProgram('setpriv') === null)(
    'does not outlive a killed program that started it',
    async () => {
      const child = spawn(process.execPath, [harness, room, process.execPath, standIn], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const [line] = (await once(child.stdout, 'data')) as [Buffer]
      const pid = Number(String(line).trim())
      expect(alive(pid)).toBe(true)
      child.kill('SIGKILL')
      await once(child, 'exit')
      expect(await until(5_000, async () => !alive(pid))).toBe(true)
      expect(existsSync(join(room, 'machine.pid'))).toBe(true)
      // What it left behind is in nobody's way.
      await withMachine(plan(), async (machine) => {
        expect(await machine.status()).toBe('running')
      })
    },
  )
})

describe('what is in the way', () => {
  const start = async (way = ''): Promise<void> => withMachine(plan(way), async () => {})

  it.each([
    ['quick', /^EB-QEMU: the machine ended \(status 1\): no such option; /],
    ['taken', /^EB-PORT-IN-USE: .*host forwarding rule/],
  ])('a machine that ends at once (%s) says why', async (way, text) => {
    await expect(start(way)).rejects.toThrow(text)
    await start()
  })

  it('a second machine of the same directory is refused', async () => {
    await withMachine(plan(), async () => {
      await expect(start()).rejects.toThrow('EB-BOARD-RUNNING')
    })
  })

  it('a machine that its program left behind is named, with how to end it', async () => {
    const orphan = spawn('sleep', ['60'], { stdio: 'ignore' })
    try {
      writePidFile(join(room, 'machine.pid'), orphan.pid ?? 0)
      await expect(start()).rejects.toThrow(
        `EB-BOARD-RUNNING: the machine of ${join(room, 'machine.pid')} still runs as process ${orphan.pid}; end it with kill ${orphan.pid}`,
      )
    } finally {
      orphan.kill('SIGKILL')
    }
  })

  it.each(['', 'nonsense', '1 1\n', `${process.pid} 12\n`, '99999999 5\n'])(
    'a pid file of the past (%j) is not',
    async (text) => {
      writeFileSync(join(room, 'machine.pid'), text)
      await start()
    },
  )

  it('a socket of another program is left alone, one of the past is not', async () => {
    const path = join(room, 'serial.sock')
    const other = createServer()
    await listenUnix(other, path)
    await expect(start()).rejects.toThrow(`EB-SOCKET-IN-USE: another program listens on ${path}`)
    other.close()
    await once(other, 'close')
    const past = spawn(process.execPath, [
      '-e',
      `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 9))`,
    ])
    await once(past, 'exit')
    expect(existsSync(path)).toBe(true)
    await start()
  })

  it('a file in the place of a socket, and a path that is too long, are named', async () => {
    writeFileSync(join(room, 'serial.sock'), '')
    await expect(start()).rejects.toThrow('EB-FILE')
    const deep = join(room, 'x'.repeat(100))
    mkdirSync(deep)
    await expect(startMachine({ ...plan(), directory: deep })).rejects.toThrow('shorter path')
  })

  it('a missing program is named with its package', async () => {
    expect(() => needProgram('qemu-system-none', 'qemu-system-arm')).toThrow(
      'EB-TOOL-MISSING: qemu-system-none is not installed; apt-get install qemu-system-arm',
    )
    await expect(startMachine({ ...plan(), command: () => ['qemu-system-none'] })).rejects.toThrow(
      'EB-TOOL-MISSING',
    )
  })

  it.each([
    ['QEMU emulator version 5.2.0 (Debian 1:5.2+dfsg-11)', 'EB-QEMU-VERSION'],
    ['QEMU emulator version 7.1.9', 'EB-QEMU-VERSION'],
    ['something else', 'EB-QEMU'],
    ['QEMU emulator version 7.2.0', null],
    ['QEMU emulator version 10.0.2', null],
  ])('a QEMU that calls itself %j gives %j', async (version, code) => {
    const file = join(room, 'qemu')
    writeFileSync(file, `#!/bin/sh\necho '${version}'\n`)
    chmodSync(file, 0o755)
    if (code === null) expect(await needQemu(file)).toBe(file)
    else await expect(needQemu(file)).rejects.toThrow(`${code}: `)
  })
})
