/**
 * The disk server with real clients (qemu-img, qemu-io, nbdinfo where it is installed) and with rude ones.
 */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { until } from '../../../../bootloader-sim/adapters/wait.ts'
import { findProgram } from '../../../../bootloader-sim/qemu/adapters/find-program.ts'
import { type ImageFile, openImageFile } from '../../../../bootloader-sim/qemu/adapters/image-file.ts'
import { type NbdServer, serveNbd } from '../../../../bootloader-sim/qemu/adapters/nbd-server.ts'
import { losePower, restorePower } from '../../../../bootloader-sim/qemu/adapters/power-cut.ts'
import { type NbdDisk, nbdDisk } from '../../../../bootloader-sim/qemu/nbd-disk.ts'
import { command, option } from '../../../../bootloader-sim/qemu/nbd-wire.ts'
import { diskServerLimits } from '../../../../core/limits.ts'
import { GiB, MiB } from '../../../../core/units.ts'
import { clientFlags, optionFrame, requestFrame, wishFor } from '../nbd-client.ts'

const patienceMs = 10_000
let room = ''
let image: ImageFile
let disk: NbdDisk
let server: NbdServer
let ends: readonly string[] = []

beforeEach(async () => {
  // The connections of the test before may still be ending.
  const own: string[] = []
  ends = own
  room = mkdtempSync(join(tmpdir(), 'everboot-nbd-'))
  image = openImageFile(join(room, 'disk.img'), 64 * MiB)
  disk = nbdDisk({ name: 'disk', medium: image, sectorBytes: 512 })
  server = await serveNbd({ disk, socketPath: join(room, 'nbd.sock'), onEnd: (why) => void own.push(why) })
})

afterEach(async () => {
  await server.close()
  image.close()
  rmSync(room, { recursive: true, force: true })
})

function ran(program: string, ...args: string[]): Promise<{ status: number; output: string }> {
  return new Promise((resolve) => {
    execFile(program, args, { timeout: patienceMs }, (error, output, errors) =>
      resolve({ status: error === null ? 0 : Number(error.code ?? -1), output: `${output}${errors}` }),
    )
  })
}

async function run(program: string, ...args: string[]): Promise<string> {
  const { status, output } = await ran(program, ...args)
  expect([status, output]).toEqual([0, output])
  return output
}

const io = (...commands: readonly string[]) =>
  run('qemu-io', '-t', 'writeback', '-f', 'raw', ...commands.flatMap((it) => ['-c', it]), server.uri)

const noQemu = findProgram('qemu-io') === null || findProgram('qemu-img') === null
if (noQemu) process.stdout.write('left out, the disk server with real clients: no qemu-utils\n')

describe.skipIf(noQemu)('real clients', () => {
  it('see the size of the disk', async () => {
    expect(await run('qemu-img', 'info', server.uri)).toContain('67108864 bytes')
  })

  it.skipIf(findProgram('nbdinfo') === null)('see its name, its flags and its block sizes', async () => {
    const text = await run('nbdinfo', server.uri)
    expect(text).toContain('newstyle-fixed without TLS')
    for (const line of [
      'export="disk"',
      'can_flush: true',
      'can_fua: true',
      'can_trim: true',
      'can_zero: true',
    ]) {
      expect(text).toContain(line)
    }
    expect(text).toContain('block_size_minimum: 512')
    expect(await run('nbdinfo', '--list', server.uri)).toContain('export="disk"')
  })

  it('get back an image that they have put there, and the file stays sparse', async () => {
    const source = join(room, 'source.img')
    writeFileSync(source, Buffer.concat([randomBytes(5 * MiB), Buffer.alloc(20 * MiB), randomBytes(MiB)]))
    await run('qemu-img', 'convert', '-n', '-f', 'raw', '-O', 'raw', source, server.uri)
    expect(await run('qemu-img', 'compare', '-f', 'raw', '-F', 'raw', source, server.uri)).toContain(
      'identical',
    )
    expect(statSync(image.path).blocks * 512).toBeLessThan(8 * MiB)
    await disk.settle()
    const kept = new Uint8Array(5 * MiB)
    await image.read(0, kept)
    expect(Buffer.compare(kept, readFileSync(source).subarray(0, kept.length))).toBe(0)
  })

  it('use a disk of 8 GiB to its end, and the file stays small', async () => {
    const big = openImageFile(join(room, 'big.img'), 8 * GiB)
    const medium = nbdDisk({ name: 'big', medium: big, sectorBytes: 4096 })
    const other = await serveNbd({ disk: medium, socketPath: join(room, 'big.sock') })
    const last = `${8 * GiB - 4096} 4k`
    const commands = [`write -P 7 ${last}`, 'flush', `read -P 7 ${last}`].flatMap((it) => ['-c', it])
    expect(await run('qemu-img', 'info', other.uri)).toContain('8589934592 bytes')
    await run('qemu-io', '-f', 'raw', ...commands, other.uri)
    await other.close()
    expect(statSync(big.path).blocks * 512).toBeLessThan(MiB)
    big.close()
  })

  it('write, write through, zero, discard and flush', async () => {
    const patterns = ['read -P 0x5a 0 32k', 'read -P 0 32k 32k', 'read -P 1 64k 4k', 'read -P 0 1M 1M']
    await io(
      'write -P 0x5a 0 64k',
      'write -f -P 1 64k 4k',
      'write -z 32k 32k',
      'write -P 2 1M 1M',
      'discard 1M 1M',
      'flush',
    )
    await io(...patterns)
    expect(disk.counts()).toMatchObject({ fua: 1, operations: { write: 3, zeroes: 1, trim: 1 }, failed: 0 })
    expect(disk.counts().operations.flush).toBeGreaterThan(0)
  })

  it('hear an error that was asked for', async () => {
    disk.failing = (it) => (it.kind === 'read' && it.offset === 4096 ? 'EIO' : null)
    const args = ['-f', 'raw', '-c', 'read 0 4k', '-c', 'read 4k 4k', server.uri]
    expect((await ran('qemu-io', ...args)).output).toContain('read failed: Input/output error')
  })

  it('hear nothing after a cut, and find what survived when the power is back', async () => {
    await io('write -P 1 0 8k', 'flush')
    disk.plan({ at: 'write', skip: 1, time: 'before' })
    const commands = ['write -P 2 0 4k', 'write -P 3 4k 4k', 'flush'].flatMap((it) => ['-c', it])
    const writing = ran('qemu-io', '-t', 'writeback', '-f', 'raw', ...commands, server.uri)
    expect(await until(patienceMs, async () => !disk.hasPower())).toBe(true)
    expect(disk.pending().map((it) => it.what)).toEqual(['disk 0+4096'])
    await losePower([server])
    expect((await writing).output).toContain('Input/output error')
    await restorePower([server], () => ['back'])
    await io('read -P 1 0 2k', 'read -P 2 2k 2k', 'read -P 1 4k 4k')
  })
})

describe('rude clients', () => {
  const opened = Buffer.concat([clientFlags(), optionFrame(option.go, wishFor(''))])
  const dial = async (): Promise<Socket> => {
    const socket = connect(server.socketPath)
    socket.on('error', () => {})
    await once(socket, 'connect')
    return socket
  }
  const stillServes = async (): Promise<void> => {
    const socket = await dial()
    socket.write(Buffer.concat([opened, requestFrame({ number: command.read, length: 512 })]))
    let bytes = 0
    socket.on('data', (part) => {
      bytes += part.length
    })
    expect(await until(patienceMs, async () => bytes === 18 + 32 + 20 + 16 + 512)).toBe(true)
    socket.destroy()
  }

  it.each([
    ['nonsense', randomBytes(4096)],
    ['a hung-up handshake', clientFlags().subarray(0, 2)],
    ['half a request', Buffer.concat([opened, requestFrame({ number: command.read }).subarray(0, 20)])],
    [
      'half a write',
      Buffer.concat([opened, requestFrame({ number: command.write, length: MiB, bytes: Buffer.alloc(9) })]),
    ],
    [
      'a write of 4 GiB',
      Buffer.concat([opened, requestFrame({ number: command.write, length: 0xffff_fe00 })]),
    ],
  ])('%s ends one connection and nothing else', async (_, bytes) => {
    const socket = await dial()
    socket.end(bytes)
    expect(await until(patienceMs, async () => ends.length === 1 && server.connections() === 0)).toBe(true)
    expect(disk.counts().operations.write).toBe(0)
    await stillServes()
  })

  it('one that does not read its answers is not read from', async () => {
    const socket = await dial()
    socket.pause()
    const ask = requestFrame({ number: command.read, length: MiB })
    socket.write(Buffer.concat([opened, ...Array.from({ length: 200 }, () => ask)]))
    expect(await until(patienceMs, async () => disk.counts().operations.read > 0)).toBe(true)
    await stillServes()
    expect(disk.counts().operations.read).toBeLessThan(20)
    socket.destroy()
  })

  it('more than may connect are turned away', async () => {
    const sockets = await Promise.all(Array.from({ length: diskServerLimits.connectionsMax }, dial))
    const one = await dial()
    one.resume()
    await once(one, 'close')
    expect(server.connections()).toBe(diskServerLimits.connectionsMax)
    for (const it of sockets) it.destroy()
    expect(await until(patienceMs, async () => server.connections() === 0)).toBe(true)
    await stillServes()
  })
})

describe('an image file', () => {
  it('that is missing, or no whole sectors, is named', () => {
    expect(() => openImageFile(join(room, 'none'))).toThrow('EB-FILE')
    writeFileSync(join(room, 'odd'), 'odd')
    expect(() => openImageFile(join(room, 'odd'))).toThrow(/EB-IMAGE.*3 bytes/)
  })

  it('takes no room for zeros', async () => {
    await image.write(0, new Uint8Array(MiB).fill(1))
    await image.zero(MiB / 2, 32 * MiB)
    expect(statSync(image.path).blocks * 512).toBeLessThanOrEqual(2 * MiB)
    const edge = new Uint8Array(2)
    await image.read(MiB / 2 - 1, edge)
    expect([...edge]).toEqual([1, 0])
  })
})
