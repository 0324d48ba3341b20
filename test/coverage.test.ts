/**
 * The coverage that `make coverage` demands (coverage.config.ts), as part of every test run; and that a gap in
 * it would be seen.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { root } from './tidy/tree.ts'

const running = new Set<ChildProcess>()
let room = ''
beforeAll(async () => {
  room = await mkdtemp(join(tmpdir(), 'everboot-coverage-'))
})
afterAll(async () => {
  for (const child of running) child.kill('SIGKILL')
  await rm(room, { recursive: true, force: true })
})

interface Ended {
  readonly status: number | null
  readonly output: string
}

/** A run of the named tests, as somebody starts it from the command line. */
async function covering(name: string, ...options: readonly string[]): Promise<Ended> {
  // Of code that was compiled before, V8 counts less exactly.
  const own = Object.entries(process.env).filter(
    ([key]) => !key.startsWith('VITEST') && key !== 'NODE_COMPILE_CACHE',
  )
  const vitest = join(root, 'node_modules/vitest/vitest.mjs')
  const directory = `--coverage.reportsDirectory=${join(room, name)}`
  const child = spawn(
    process.execPath,
    [vitest, 'run', '--config', 'coverage.config.ts', directory, ...options],
    { cwd: root, env: { ...Object.fromEntries(own), NO_COLOR: '1' }, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  running.add(child)
  const parts: string[] = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (it) => parts.push(`${it}`))
  const [status] = await once(child, 'close')
  running.delete(child)
  return { status, output: parts.join('') }
}

describe('the modules that decide what boots', { timeout: 180_000 }, () => {
  it('have no branch that their tests do not run', async () => {
    const { status, output } = await covering('all')
    expect(status, output).toBe(0)
  })

  it('would not pass with a test less', async () => {
    const one = ['test/core/block-io.test.ts', '--coverage.include=core/block-io.ts']
    const whole = await covering('whole', ...one)
    expect(whole.status, whole.output).toBe(0)
    const less = await covering('less', ...one, '--testNamePattern=^(?!a transfer past the end)')
    expect(less.status).toBe(1)
    expect(less.output).toContain('1 skipped')
    expect(less.output).toMatch(/Coverage for branches \([\d.]+%\) does not meet .* core\/block-io\.ts/)
  })
})
