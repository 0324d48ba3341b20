/** Huge sparse images, by the real command in a process of its own: memory stays bounded, no byte is lost. */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, open, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { GiB, MiB } from '../../core/units.ts'
import { createKeyDirectory } from '../../keys/adapters/key-directory.ts'

const everboot = fileURLToPath(new URL('../../everboot.ts', import.meta.url))
let room = ''
beforeAll(async () => {
  room = await mkdtemp(join(tmpdir(), 'everboot-large-'))
  await createKeyDirectory(join(room, 'keys'), ['dev-1'])
})
afterAll(() => rm(room, { recursive: true, force: true }))

interface Run {
  readonly status: number | null
  readonly out: string
  /** VmHWM of the process, bytes. */
  readonly peakBytes: number
}

function run(...args: string[]): Promise<Run> {
  const { promise, resolve } = Promise.withResolvers<Run>()
  const child = spawn(process.execPath, [everboot, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  let out = ''
  let peakBytes = 0
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk
  })
  const watching = setInterval(() => {
    try {
      const text = readFileSync(`/proc/${child.pid}/status`, 'latin1')
      peakBytes = Math.max(peakBytes, 1024 * Number(/^VmHWM:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0))
    } catch {
      // It has ended.
    }
  }, 10)
  child.on('close', (status) => {
    clearInterval(watching)
    resolve({ status, out, peakBytes })
  })
  return promise
}

/** A sparse image with data at its start, around 2^31 and 2^32, and in its last bytes. */
async function sparseImage(name: string, bytes: number): Promise<string> {
  const path = join(room, name)
  const file = await open(path, 'w')
  await file.truncate(bytes)
  for (const at of [0, 2 ** 31 - 3, 2 ** 32 - 3, bytes - 7]) {
    if (at + 7 <= bytes) await file.write(randomBytes(7), 0, 7, at)
  }
  await file.write(randomBytes(8 * MiB), 0, 8 * MiB, GiB)
  await file.close()
  return path
}

const label = ['--product', 'demo', '--version', '1', '--security-version', '1', '--hardware', 'sim']

test('an 8 GiB sparse image builds and verifies below 300 MB', { timeout: 300_000 }, async () => {
  const input = await sparseImage('8g.img', 8 * GiB)
  const [out, keys] = [join(room, '8g.ebr'), join(room, 'keys')]
  const built = await run(
    'image',
    'build',
    input,
    '--out',
    out,
    '--keys',
    keys,
    ...label,
    '--reproducible',
    's',
    '--json',
  )
  expect(built.status).toBe(0)
  expect(JSON.parse(built.out)).toMatchObject({ images: [{ bytes: 8 * GiB }] })
  expect((await stat(out)).size).toBeLessThan(16 * MiB)
  const trust = join(keys, 'trust.json')
  const verified = await run('image', 'verify', out, '--trust', trust, '--keys', keys, '--json')
  expect(verified.status).toBe(0)
  const peaks = { build: built.peakBytes, verify: verified.peakBytes }
  console.info(
    `8 GiB: peak RSS ${Math.round(peaks.build / 1e6)} MB building, ${Math.round(peaks.verify / 1e6)} MB verifying`,
  )
  for (const it of Object.values(peaks)) {
    expect(it).toBeGreaterThan(20e6)
    expect(it).toBeLessThan(300e6)
  }
})

test('one byte past 2^32 counts', { timeout: 300_000 }, async () => {
  const input = await sparseImage('odd.img', 2 ** 32 + 1)
  const keys = join(room, 'keys')
  const build = async (name: string): Promise<{ bytes: number; paddedBytes: number; verityRoot: string }> => {
    const args = ['image', 'build', input, '--out', join(room, name), '--keys', keys, ...label, '--json']
    const { out } = await run(...args)
    const { images } = JSON.parse(out) as {
      images: [{ bytes: number; paddedBytes: number; verityRoot: string }]
    }
    return images[0]
  }
  const one = await build('one.ebr')
  expect(one).toMatchObject({ bytes: 2 ** 32 + 1, paddedBytes: 2 ** 32 + 4096 })
  const file = await open(input, 'r+')
  const last = Buffer.alloc(1)
  await file.read(last, 0, 1, 2 ** 32)
  await file.write(Buffer.from([(last[0] ?? 0) ^ 1]), 0, 1, 2 ** 32)
  await file.close()
  expect((await build('two.ebr')).verityRoot).not.toBe(one.verityRoot)
})

test('an interrupted build ends with a code and leaves nothing behind', { timeout: 60_000 }, async () => {
  const input = await sparseImage('stopped.img', 8 * GiB)
  const out = join(room, 'out', 'stopped.ebr')
  const args = ['image', 'build', input, '--out', out, '--keys', join(room, 'keys'), ...label]
  const child = spawn(process.execPath, [everboot, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk
  })
  const ended = once(child, 'close')
  const working = async (): Promise<boolean> => {
    const [work] = await readdir(join(room, 'out')).catch(() => [])
    return work !== undefined && (await readdir(join(room, 'out', work))).includes('rootfs.blob')
  }
  for (let tries = 0; tries < 1000 && !(await working()); tries += 1) await sleep(20)
  expect(await working()).toBe(true)
  child.kill('SIGINT')
  const [status] = (await ended) as [number | null]
  expect(status).not.toBe(0)
  expect(said).toContain('EB-CANCELLED')
  expect(await readdir(join(room, 'out'))).toEqual([])
})
