/**
 * Stock U-Boot on QEMU over a disk that loses its power: the banner, a reset by the monitor, and cuts at
 * chosen writes, each in every way that the write may be left.
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, truncateSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../../bootloader-sim/adapters/wait.ts'
import { needQemu } from '../../bootloader-sim/qemu/adapters/find-program.ts'
import { type ImageFile, openImageFile } from '../../bootloader-sim/qemu/adapters/image-file.ts'
import { type NbdServer, serveNbd } from '../../bootloader-sim/qemu/adapters/nbd-server.ts'
import { runningPid, writePidFile } from '../../bootloader-sim/qemu/adapters/pid-file.ts'
import {
  awaitCut,
  losePower,
  resetAfterCut,
  restorePower,
} from '../../bootloader-sim/qemu/adapters/power-cut.ts'
import { type Machine, startMachine } from '../../bootloader-sim/qemu/adapters/run-machine.ts'
import { qemuProgram, type VirtBoard, virtCommand } from '../../bootloader-sim/qemu/machine.ts'
import { type NbdDisk, nbdDisk } from '../../bootloader-sim/qemu/nbd-disk.ts'
import { faultOf } from '../../core/errors.ts'
import { GiB, KiB, MiB } from '../../core/units.ts'
import { boardTools, ensureHostTools, stockUBoot } from '../../images/build/adapters/host-tools.ts'

const harness = fileURLToPath(new URL('../bootloader-sim/qemu/harness.mjs', import.meta.url))
const tools = await Promise.all([ensureHostTools(boardTools, { install: false }), needQemu()]).catch(
  (caught: unknown) => faultOf(caught).what,
)
const reason = typeof tools === 'string' ? tools : null
const uboot = typeof tools === 'string' ? '' : tools[0].path(stockUBoot)
if (reason !== null) process.stdout.write(`left out, stock U-Boot on QEMU: ${reason}\n`)

/** Where U-Boot writes: 64 KiB, as a record copy is. */
const record = { offset: MiB, bytes: 64 * KiB }
const bootMs = 20_000

describe.skipIf(reason !== null)('stock U-Boot over a disk that loses its power', () => {
  let room = ''
  let image: ImageFile
  let disk: NbdDisk
  let server: NbdServer
  let machine: Machine
  let board: VirtBoard

  const start = async (forwards: VirtBoard['forwards'] = []): Promise<Machine> =>
    startMachine({ directory: room, command: (wires) => virtCommand({ ...board, forwards }, wires) })

  beforeAll(async () => {
    room = await mkdtemp(join(tmpdir(), 'everboot-qemu-'))
    const firmware = join(room, 'flash0.img')
    const environment = join(room, 'flash1.img')
    copyFileSync(uboot, firmware)
    await writeFile(environment, '')
    for (const path of [firmware, environment]) truncateSync(path, 64 * MiB)
    image = openImageFile(join(room, 'disk.img'), 8 * GiB)
    disk = nbdDisk({ name: 'disk', medium: image, sectorBytes: 512 })
    disk.watch('record', record)
    server = await serveNbd({ disk, socketPath: join(room, 'disk.sock') })
    board = { memoryMiB: 256, firmware, environment, disks: [server.socketPath] }
    machine = await start()
  })

  afterAll(async () => {
    await machine.kill()
    await server.close()
    image.close()
    await rm(room, { recursive: true, force: true })
  })

  /** From reset to the prompt with the disk found. */
  const prompt = async (): Promise<void> => {
    await machine.console.waitFor(/^U-Boot 20/, bootMs)
    await machine.console.waitFor(/Hit any key/, bootMs)
    machine.console.send(' ')
    await machine.console.waitFor(/=> $/, bootMs)
    await type('virtio scan')
  }
  const type = async (line: string): Promise<void> => {
    machine.console.send(`${line}\r`)
    await machine.console.waitFor(/=> $/, bootMs)
  }
  /** 64 KiB of one byte. */
  const write = (byte: string): string => `mw.b 0x44000000 ${byte} 10000; virtio write 0x44000000 800 80`
  const onMedium = async (): Promise<readonly number[]> => {
    const bytes = new Uint8Array(record.bytes)
    await image.read(record.offset, bytes)
    return [...new Set(bytes)]
  }

  it('writes through, and its writes are counted', async () => {
    await prompt()
    await type(write('11'))
    expect(disk.touched('record')).toBeGreaterThan(0)
    expect(disk.counts().fua).toBeGreaterThanOrEqual(disk.touched('record'))
    expect(disk.pending()).toEqual([])
    expect(await onMedium()).toEqual([0x11])
    expect(await machine.status()).toBe('running')
  })

  it('starts anew on a reset by the monitor', async () => {
    machine.console.log.skip()
    await machine.reset()
    await prompt()
  })

  it.each([
    ['before', 'kept', [0x11]],
    ['inside', 'lost', [0x11]],
    ['inside', 'front', [0x22, 0x11]],
    ['inside', 'back', [0x22, 0x33]],
    ['after', 'lost', [0x44]],
  ] as const)('a cut %s a write that fate leaves %s', async (time, fate, left) => {
    const byte = { before: '99', inside: fate === 'back' ? '33' : '22', after: '44' }[time]
    disk.plan({ at: 'write', skip: 0, touching: record, time })
    const cut = awaitCut([server], bootMs)
    machine.console.log.skip()
    machine.console.send(`${write(byte)}; echo the program goes on\r`)
    const came = await cut.catch((caught: Error) => {
      throw new Error(`${caught.message}: ${machine.console.log.lines().slice(-30).join('\n')}`)
    })
    expect(came.at?.offset).toBe(record.offset)
    await resetAfterCut(machine, [server], () => disk.pending().map(() => fate))
    await prompt()
    expect(await onMedium()).toEqual(left)
    await type('virtio read 0x44100000 800 80; md.b 0x44100000 1')
    expect(machine.console.log.lines().join('\n')).toContain(`44100000: ${left[0]?.toString(16)}`)
    expect(machine.console.log.lines().slice(-12).join('\n')).toContain('128 blocks read: OK')
    const after = machine.console.log.lines().filter((line) => /^the program goes on/.test(line))
    expect(after).toEqual([])
  })

  it('a cut with QEMU killed leaves the same as one with a reset', async () => {
    disk.plan({ at: 'write', skip: 1, touching: record, time: 'inside' })
    const cut = awaitCut([server], bootMs)
    machine.console.send(`${write('55')}; ${write('66')}\r`)
    await cut
    await machine.kill()
    await losePower([server])
    await restorePower([server], () => ['front'])
    machine = await start()
    await prompt()
    expect(await onMedium()).toEqual([0x66, 0x55])
  })

  it('a port that is taken is named', async () => {
    await machine.kill()
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port: hostPort } = other.address() as { port: number }
    await expect(start([{ hostPort, guestPort: 80 }])).rejects.toThrow(`127.0.0.1:${hostPort}`)
    await expect(start([{ hostPort, guestPort: 80 }])).rejects.toThrow('EB-PORT-IN-USE')
    other.close()
  })

  it('no QEMU outlives a killed program that started it', async () => {
    await machine.kill()
    const command = [qemuProgram, '-nodefaults', '-M', 'virt', '-cpu', 'cortex-a72']
    const child = spawn(process.execPath, [harness, room, ...command], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = (await once(child.stdout, 'data')) as [Buffer]
    const look = join(room, 'look.pid')
    writePidFile(look, Number(String(line).trim()))
    expect(runningPid(look)).not.toBeNull()
    child.kill('SIGKILL')
    expect(await until(bootMs, async () => runningPid(look) === null)).toBe(true)
  })
})
