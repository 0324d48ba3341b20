/**
 * What a person can get wrong at `everboot emulator sweep | swarm | replay`: it is said at once and in words, and
 * what was found is not lost.
 */
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { commands } from '../../proof/cli.ts'
import { runCommand } from '../run-command.ts'

const room = await mkdtemp(join(tmpdir(), 'everboot-proof-cli-'))
afterAll(() => rm(room, { recursive: true, force: true }))
const program = resolve(import.meta.dirname, '../../everboot.ts')
const emulator = (...args: readonly string[]) => runCommand(commands, ['emulator', ...args])

interface Ended {
  readonly status: number | null
  readonly out: string
  readonly err: string
}

/** As a process of its own. @param interruptMs when SIGINT comes; null: never */
function everboot(args: readonly string[], interruptMs: number | null = null): Promise<Ended> {
  const child = spawn(process.execPath, [program, 'emulator', ...args], { timeout: 25_000 })
  let [out, err] = ['', '']
  child.stdout.on('data', (part: Buffer) => (out += part))
  child.stderr.on('data', (part: Buffer) => (err += part))
  const timer = interruptMs === null ? null : setTimeout(() => child.kill('SIGINT'), interruptMs)
  return new Promise((done) => {
    child.on('close', (status) => {
      if (timer !== null) clearTimeout(timer)
      done({ status, out, err })
    })
  })
}

describe('a sweep', () => {
  it('that cannot write its report says so before it begins', async () => {
    const missing = join(room, 'missing', 'report.html')
    const ended = await everboot(['sweep', '--report', missing])
    expect(ended).toMatchObject({ status: 5, out: '' })
    expect(ended.err).toContain('EB-FILE')
  })

  it('that cannot put its report in place has printed what it found', async () => {
    const taken = join(room, 'taken.html')
    await mkdir(join(taken, 'something'), { recursive: true })
    const ended = await everboot(['sweep', '--scenario', 'not-found', '--pieces', '4', '--report', taken])
    expect(ended.out).toContain('The board always came back.')
    expect(ended.err).toContain(`EB-FILE: ${taken} cannot be put in place`)
    expect(ended.status).toBe(5)
  })

  it('that is interrupted ends soon, with what it found so far, and the former report stays', async () => {
    const report = join(room, 'report.html')
    await writeFile(report, 'the former one')
    const stories = 'not-found,update,second-update,sick-update'
    const began = performance.now()
    const ended = await everboot(['sweep', '--scenario', stories, '--report', report], 8_000)
    expect(ended.err).toContain('EB-CANCELLED')
    expect(ended.status).not.toBe(0)
    // Without the signal these stories take minutes.
    expect(performance.now() - began).toBeLessThan(25_000)
    expect(ended.out).toContain('not-found')
    expect(await readFile(report, 'utf8')).toBe('the former one')
    expect(await readdir(room)).not.toContain('report.html.partial')
  })

  it.each([
    ['EB-USAGE', ['sweep', '--pieces', '3']],
    ['EB-USAGE', ['sweep', '--sector', '4095']],
    ['EB-SCENARIO', ['sweep', '--scenario', 'no-such-story']],
    ['EB-SCENARIO', ['sweep', '--scenario', room]],
    ['EB-USAGE', ['replay', 'update/1.sideways.0']],
    ['EB-USAGE', ['replay', 'update/9999.killed']],
    ['EB-USAGE', ['replay', 'update/0.after.99']],
  ])('or replay is refused with %s: %j', async (code, args) => {
    expect(await emulator(...args)).toMatchObject({ code })
  })
})

describe('a replay', () => {
  it('shows a story as it is, after a cut, and with the agent killed', async () => {
    for (const [state, says] of [
      ['update/uncut', 'agent {"event":"update"'],
      ['update/12.after.0', 'cut 12.after.0:'],
      ['update/12.killed', 'kill at 12:'],
    ] as const) {
      const played = await emulator('replay', state, '--pieces', '4', '--lines', '400')
      expect(played.status, state).toBe(0)
      expect(played.out).toContain(says)
      expect(played.out).toContain('every invariant held')
    }
  })
})
