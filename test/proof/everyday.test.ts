/**
 * The everyday run of the proof, by the commands that a person would type: every crash state of six stories of a
 * board and of that of the clip cache, on a board that is started by tryboot of two; and two thousand seeds. The planted bugs are hunted in test/canaries.
 */
import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'

const run = promisify(execFile)
const program = resolve(import.meta.dirname, '../../everboot.ts')
/** Six of a board, and that of the clip cache. */
const stories = 7
const seeds = 2000
const distinctMin = 5000

interface Sweep {
  readonly states: number
  readonly distinct: number
  readonly planned: number
  readonly fired: number
  readonly violations: number
  readonly scenarios: readonly {
    readonly scenario: string
    readonly kills: number
    readonly violations: readonly unknown[]
    readonly operations: readonly {
      readonly name: string
      readonly cells: readonly { readonly way: string; readonly states: number }[]
    }[]
  }[]
}

interface Swarm {
  readonly seeds: number
  readonly faults: Readonly<Record<string, number>>
  readonly violations: readonly unknown[]
}

/** What `everboot emulator …` prints, also when it ends with a violation. */
async function emulator<T>(...args: readonly string[]): Promise<T> {
  const done = run(process.execPath, [program, 'emulator', ...args, '--json'], {
    maxBuffer: 256 * 1024 * 1024,
  })
  const { stdout } = await done.catch((caught: { readonly stdout: string; readonly code: number }) => {
    if (caught.code === 6) return caught
    throw caught
  })
  return JSON.parse(stdout) as T
}

describe('the everyday run', () => {
  it(`cuts the power at every operation of ${stories} stories: every cut comes and breaks nothing`, async () => {
    const { scenarios, ...totals } = await emulator<Sweep>(
      'sweep',
      '--scenario',
      'everyday',
      '--pieces',
      '20',
    )
    expect(scenarios.flatMap((it) => it.violations)).toEqual([])
    expect(totals).toMatchObject({ violations: 0, planned: totals.states, fired: totals.states })
    expect(totals.distinct).toBeGreaterThanOrEqual(distinctMin)
    expect(scenarios).toHaveLength(stories)
    for (const { scenario, kills, operations } of scenarios) {
      expect(kills, scenario).toBeGreaterThan(20)
      for (const { cells } of operations) expect(cells.some((it) => it.states > 0)).toBe(true)
    }
  })

  it('does the same to two of them on a board that is started by tryboot', async () => {
    const names = ['update', 'hanging-update']
    const board = ['--loader', 'tryboot', '--pieces', '4']
    const { scenarios, ...totals } = await emulator<Sweep>('sweep', '--scenario', names.join(), ...board)
    expect(scenarios.flatMap((it) => it.violations)).toEqual([])
    expect(totals).toMatchObject({ violations: 0, planned: totals.states, fired: totals.states })
    expect(totals.states).toBeGreaterThan(700)
    expect(scenarios.map((it) => it.scenario)).toEqual(names)
    for (const { kills } of scenarios) expect(kills).toBeGreaterThan(50)
    // The file that the firmware reads is cut and torn like everything else.
    const cut = scenarios[0]?.operations.find((it) => it.name.startsWith('autoboot write'))
    expect(cut?.cells.map((it) => it.way)).toEqual(['before', 'torn', 'after'])
  })

  it(`plays ${seeds} seeds: none breaks anything`, async () => {
    const swarm = await emulator<Swarm>('swarm', '--seeds', `${seeds}`)
    expect(swarm.violations).toEqual([])
    expect(swarm.seeds).toBe(seeds)
    expect(Object.values(swarm.faults).reduce((sum, it) => sum + it, 0)).toBeGreaterThan(seeds)
  })
})
