/**
 * How fast the disk server of the QEMU board is beside qemu-nbd: the same requests by `qemu-img bench` over a
 * Unix socket on a sparse image of 8 GiB, the two servers by turns in the same run.
 * Prints one JSON object a line. Arguments: requests per figure (4000), runs (3).
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findProgram } from '../bootloader-sim/qemu/adapters/find-program.ts'
import { openImageFile } from '../bootloader-sim/qemu/adapters/image-file.ts'
import { serveNbd } from '../bootloader-sim/qemu/adapters/nbd-server.ts'
import { nbdDisk } from '../bootloader-sim/qemu/nbd-disk.ts'
import { GiB, KiB, MiB } from '../core/units.ts'
import { median } from './ground.ts'

const imageBytes = 8 * GiB

interface Load {
  readonly name: string
  /** Of one request. */
  readonly bytes: number
  /** Requests under way at once. */
  readonly depth: number
  /** Of `qemu-img bench`. */
  readonly flags: readonly string[]
}

const loads: readonly Load[] = [
  { name: 'write 4 KiB', bytes: 4 * KiB, depth: 16, flags: ['-w'] },
  { name: 'write 4 KiB, one at a time, flush after 16', bytes: 4 * KiB, depth: 1, flags: flushed(16) },
  { name: 'write 256 KiB', bytes: 256 * KiB, depth: 8, flags: ['-w'] },
  { name: 'read 4 KiB', bytes: 4 * KiB, depth: 16, flags: [] },
  { name: 'read 4 KiB, one at a time', bytes: 4 * KiB, depth: 1, flags: [] },
  { name: 'read 256 KiB', bytes: 256 * KiB, depth: 8, flags: [] },
]

function flushed(interval: number): readonly string[] {
  return ['-w', `--flush-interval=${interval}`]
}

async function main(requests: number, runs: number): Promise<void> {
  const room = mkdtempSync(join(tmpdir(), 'everboot-bench-nbd-'))
  const rival = await startRival(room)
  const own = openImageFile(join(room, 'own.img'), imageBytes)
  const disk = nbdDisk({ name: 'disk', medium: own, sectorBytes: 512 })
  const server = await serveNbd({ disk, socketPath: join(room, 'own.sock') })
  try {
    for (const load of loads) {
      const seconds = { everboot: [] as number[], 'qemu-nbd': [] as number[] }
      for (let run = 0; run < runs; run += 1) {
        seconds.everboot.push(await bench(server.uri, load, requests))
        seconds['qemu-nbd'].push(await bench(rival.uri, load, requests))
      }
      for (const [name, taken] of Object.entries(seconds)) print(name, load, requests, taken)
    }
    process.stdout.write(`${JSON.stringify({ name: 'memory', ...memory(rival.process) })}\n`)
  } finally {
    rival.process.kill('SIGKILL')
    await server.close()
    own.close()
    rmSync(room, { recursive: true, force: true })
  }
}

async function startRival(room: string): Promise<{ readonly uri: string; readonly process: ChildProcess }> {
  const image = join(room, 'rival.img')
  const socket = join(room, 'rival.sock')
  writeFileSync(image, '')
  truncateSync(image, imageBytes)
  const cache = ['--cache=unsafe', '--discard=unmap', '--persistent', '--shared=8']
  const args = ['-f', 'raw', ...cache, '-k', socket, '-x', 'disk', image]
  const process = spawn('qemu-nbd', args, { stdio: 'ignore' })
  const uri = `nbd+unix:///disk?socket=${encodeURIComponent(socket)}`
  for (let tries = 0; tries < 100; tries += 1) {
    await sleep(50)
    if ((await ran('qemu-img', ['info', uri])).status === 0) return { uri, process }
  }
  throw new Error('qemu-nbd does not come up')
}

/** @returns seconds */
async function bench(uri: string, load: Load, requests: number): Promise<number> {
  const size = ['-s', `${load.bytes}`, '-d', `${load.depth}`, '-c', `${requests}`]
  const args = ['bench', '-f', 'raw', '-t', 'none', ...load.flags, ...size, uri]
  const { status, output } = await ran('qemu-img', args)
  const seconds = /Run completed in ([\d.]+) seconds/.exec(output)?.[1]
  if (status !== 0 || seconds === undefined) throw new Error(`qemu-img ${args.join(' ')}: ${output}`)
  return Number(seconds)
}

/** Beside our own server, which runs in this process. */
function ran(program: string, args: readonly string[]): Promise<{ status: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    const take = (bytes: Buffer): void => {
      output = `${output}${bytes}`.slice(-64 * KiB)
    }
    child.stdout.on('data', take)
    child.stderr.on('data', take)
    child.once('error', reject)
    child.once('close', (status) => resolve({ status, output }))
  })
}

function print(name: string, load: Load, requests: number, seconds: readonly number[]): void {
  const middle = median(seconds)
  const figures = {
    load: load.name,
    runs: seconds.length,
    requestsPerSecond: Math.round(requests / middle),
    MiBperSecond: Math.round((requests * load.bytes) / MiB / middle),
  }
  process.stdout.write(`${JSON.stringify({ name, ...figures })}\n`)
}

function memory(rival: ChildProcess): Record<string, number> {
  const peak = (pid: number | 'self'): number =>
    Math.round(Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / KiB)
  return { everbootPeakMiB: peak('self'), 'qemu-nbdPeakMiB': peak(rival.pid ?? 'self') }
}

if (findProgram('qemu-img') === null || findProgram('qemu-nbd') === null) {
  process.stdout.write(`${JSON.stringify({ name: 'qemu-nbd', skipped: 'no qemu-utils' })}\n`)
} else await main(Number(process.argv[2] ?? 4000), Number(process.argv[3] ?? 3))
