/**
 * One seed, one story: two runs write down the same events to the last byte, in this Node and in the newest one;
 * and a simulation touches neither clock, nor chance, nor network.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'

const run = promisify(execFile)
const everboot = resolve(import.meta.dirname, '../../everboot.ts')
const poison = resolve(import.meta.dirname, 'poison.ts')
const seeds = ['7', '1234567']
const state = 'update/12.subset.1/9.after.1'

interface Replayed {
  readonly digest: string
  readonly count: number
  readonly events: readonly string[]
  readonly violation: unknown
}

async function replay(node: string, what: string, before: readonly string[] = []): Promise<Replayed> {
  const args = [...before, everboot, 'emulator', 'replay', what, '--pieces', '8', '--json', '--lines', '400']
  const { stdout } = await run(node, args, { maxBuffer: 16 * 1024 * 1024 })
  return JSON.parse(stdout) as Replayed
}

const room = await mkdtemp(join(tmpdir(), 'everboot-newest-node-'))
afterAll(() => rm(room, { recursive: true, force: true }))

/** The newest Node of the registry, or null without a network. */
async function newestNode(): Promise<string | null> {
  const name = `node-linux-${process.arch}`
  try {
    await run('npm', ['install', '--no-audit', '--no-fund', '--prefix', room, `${name}@latest`])
    return join(room, 'node_modules', name, 'bin', 'node')
  } catch {
    return null
  }
}

const newest = await newestNode()
if (newest === null) console.info('skipped: the newest Node cannot be installed from the registry')

describe('a replay', { timeout: 300_000 }, () => {
  it.each([...seeds, state])('of %s gives the same events twice', async (what) => {
    const [first, second] = [await replay(process.execPath, what), await replay(process.execPath, what)]
    expect(first.count).toBeGreaterThan(50)
    expect(second).toEqual(first)
  })

  it('of another seed gives others', async () => {
    const [first, second] = [await replay(process.execPath, '7'), await replay(process.execPath, '8')]
    expect(first.digest).not.toBe(second.digest)
  })

  it.skipIf(newest === null)('gives the same events on the newest Node', async () => {
    const { stdout } = await run(newest ?? '', ['--version'])
    console.info(`compared: ${process.version} and ${stdout.trim()}`)
    for (const what of [...seeds, state]) {
      expect((await replay(newest ?? '', what)).digest, what).toBe(
        (await replay(process.execPath, what)).digest,
      )
    }
  })

  it('opens no socket, starts no program, reads no clock and draws no chance', async () => {
    const clean = await replay(process.execPath, '7')
    const poisoned = await replay(process.execPath, '7', ['--import', poison])
    expect(poisoned).toEqual(clean)
  })

  it('would not get past the poison if it did', async () => {
    for (const bad of [
      'Date.now()',
      'Math.random()',
      "require('node:net').connect(1)",
      'setTimeout(() => {}, 1)',
    ]) {
      const code =
        `process.env.EVERBOOT_POISON = 'now'; await import(${JSON.stringify(poison)}); ` +
        `const require = (await import('node:module')).createRequire(import.meta.url); globalThis.everbootPoison(); ${bad}`
      await expect(run(process.execPath, ['--input-type=module', '-e', code]), bad).rejects.toThrow(
        /poisoned/,
      )
    }
  })
})
