/**
 * `everboot emulator sweep | swarm | replay`: cuts the power of scenarios everywhere, plays seeds, plays one
 * of either again.
 * Leaves to others: everything but options and printing.
 */
import {
  type Command,
  type CommandInput,
  type CommandOption,
  flagOption,
  numberOption,
} from '../core/command.ts'
import { exitStatus, raise } from '../core/errors.ts'
import { proofLimits } from '../core/limits.ts'
import { writeWhole } from '../images/release/adapters/file-bytes.ts'
import { rememberingParts, sweepParts } from './adapters/parts.ts'
import { openScenario, sweptNames } from './adapters/scenario-files.ts'
import { runJobs, workersMax } from './adapters/workers.ts'
import { loaderKinds } from './board-facts.ts'
import { replayClips } from './clips/replay.ts'
import { clipsScenario } from './clips/sweep.ts'
import { replayCrash, replaySeed } from './replay.ts'
import { reportPage } from './report/page.ts'
import { reportLines } from './report/terminal.ts'
import type { StageOptions } from './stage.ts'
import type { SeedResult } from './swarm/swarm.ts'
import type { SweepPart } from './sweep/explore.ts'
import { merged } from './sweep/merge.ts'
import type { SweepResult } from './sweep/result.ts'
import { scenarioFor } from './tryboot-scenarios.ts'

const shapeOptions: Readonly<Record<string, CommandOption>> = {
  pieces: { type: 'string', value: 'N', means: 'pieces of 4 KiB in each image (default 64)' },
  loader: {
    type: 'string',
    value: 'KIND',
    means:
      'verifying, record-only as on boards with a stock U-Boot, or tryboot as on a Raspberry Pi (default verifying)',
  },
  sector: { type: 'string', value: 'BYTES', means: 'what a disk writes whole: 512 or 4096 (default 4096)' },
}

const noPositionals = { positionals: '', positionalsMin: 0, positionalsMax: 0 } as const

const sweep: Command = {
  name: 'emulator sweep',
  summary: 'Cut the power at every operation of a scenario',
  ...noPositionals,
  options: {
    scenario: {
      type: 'string',
      value: 'NAME|FILE',
      means: 'one scenario, several with commas, "clips", or "everyday" (default: all)',
    },
    depth: { type: 'string', value: '1|2', means: 'cuts in a row: 2 cuts every recovery too (default 1)' },
    report: { type: 'string', value: 'FILE.html', means: 'write a page that shows every operation' },
    ...shapeOptions,
  },
  notes: 'Ends with 6 when an invariant did not hold. Example: everboot emulator sweep --scenario update',
  async run(input) {
    const { io } = input
    const depth = numberOption(input, 'depth', 1, 2) === 2 ? 2 : 1
    const shape = shapeOf(input)
    const wanted = input.values['scenario']
    const some = typeof wanted === 'string' && wanted !== 'everyday'
    const names = some
      ? wanted.split(',')
      : [...(await sweptNames(wanted === 'everyday')), clipsScenario.name]
    const results: SweepResult[] = []
    const json = flagOption(input, 'json')
    const print = (): void => {
      for (const line of reportLines(results, { colour: process.stdout.isTTY === true })) io.out(line)
    }
    const sweepAll = async (): Promise<void> => {
      try {
        for (const name of names) results.push(await sweepOne(name, shape, depth, input))
      } catch (caught) {
        // What is known by now is not lost with the rest.
        if (!json && results.length > 0) print()
        throw caught
      }
      if (json) io.out(JSON.stringify(summary(results)))
      else print()
    }
    const report = input.values['report']
    if (typeof report !== 'string') await sweepAll()
    else {
      // The file is opened first: a sweep may take an hour.
      await writeWhole(report, async (file) => {
        await sweepAll()
        await file.write(Buffer.from(reportPage(results)))
      })
    }
    return results.every((it) => it.violations.length === 0) ? 0 : exitStatus.updateFailed
  },
}

async function sweepOne(
  name: string,
  stage: StageOptions,
  depth: 1 | 2,
  { io }: CommandInput,
): Promise<SweepResult> {
  const began = performance.now()
  const { scenario, job } = await sweptBy(name, stage)
  // More parts than workers, so that none waits long for the other at the end.
  const parts = workersMax * proofLimits.partsPerWorker
  const jobs = Array.from({ length: parts }, (_, part) => ({ ...job, depth, part, parts }))
  let done = 0
  const found = await runJobs<SweepPart>(
    jobs,
    (states) => {
      done += states
      io.draw(`${scenario.name}: ${done} crash states`)
    },
    io.interrupted,
  )
  const seconds = (performance.now() - began) / 1000
  return merged(found, { scenario, depth, stage, seconds })
}

/** What a worker is told. `clips` is a story of its own kind: the clip cache, without a board around it. */
async function sweptBy(name: string, stage: StageOptions) {
  if (name === clipsScenario.name) return { scenario: clipsScenario, job: { kind: 'clips' } as const }
  const { text, scenario } = await openScenario(name)
  const job = { kind: 'sweep', scenario: text, stage } as const
  return { scenario: scenarioFor(scenario, stage.loader), job }
}

function summary(results: readonly SweepResult[]) {
  const sum = (of: (it: SweepResult) => number): number => results.reduce((total, it) => total + of(it), 0)
  return {
    states: sum((it) => it.states),
    distinct: sum((it) => it.distinct),
    planned: sum((it) => it.planned),
    fired: sum((it) => it.fired),
    kills: sum((it) => it.kills),
    violations: sum((it) => it.violations.length),
    seconds: sum((it) => it.seconds),
    scenarios: results,
  }
}

const swarm: Command = {
  name: 'emulator swarm',
  summary: 'Play seeds: boards under random faults',
  ...noPositionals,
  options: {
    seeds: { type: 'string', value: 'N', means: 'how many (default 200)' },
    from: { type: 'string', value: 'S', means: 'the first seed (default 1)' },
  },
  notes: 'Ends with 6 when an invariant did not hold. Example: everboot emulator swarm --seeds 2000',
  async run(input) {
    const { io } = input
    const count = numberOption(input, 'seeds', 1, proofLimits.seedsMax) ?? 200
    const from = numberOption(input, 'from', 0, proofLimits.seedsMax) ?? 1
    const began = performance.now()
    let done = 0
    const jobs = chunks(from, count).map((seeds) => ({ kind: 'swarm' as const, seeds }))
    const parts = await runJobs<readonly SeedResult[]>(
      jobs,
      (seeds) => {
        done += seeds
        io.draw(`${done} of ${count} seeds`)
      },
      io.interrupted,
    )
    const results = parts.flat()
    const violations = results.filter((it) => it.violation !== null)
    const seconds = (performance.now() - began) / 1000
    const totals = {
      seeds: count,
      attempts: results.reduce((sum, it) => sum + it.attempts, 0),
      boots: results.reduce((sum, it) => sum + it.boots, 0),
      operations: results.reduce((sum, it) => sum + it.operations, 0),
      faults: faultCounts(results),
      seconds,
    }
    if (flagOption(input, 'json')) io.out(JSON.stringify({ ...totals, violations }))
    else {
      io.out(
        `${count} seeds, ${totals.attempts} updates, ${totals.boots} boots, ${totals.operations} operations`,
      )
      for (const [name, times] of Object.entries(totals.faults))
        io.out(`  ${String(times).padStart(6)}  ${name}`)
      for (const { seed, violation } of violations) {
        io.out(`seed ${seed}: ${violation?.invariant}: ${violation?.what}`)
        io.out(`  everboot emulator replay ${seed}`)
      }
      io.out(`${violations.length} violations in ${seconds.toFixed(1)} s`)
    }
    return violations.length === 0 ? 0 : exitStatus.updateFailed
  },
}

/** Seeds in small lots, so that workers end at the same time. */
function chunks(from: number, count: number): readonly (readonly number[])[] {
  const size = Math.max(1, Math.min(proofLimits.seedsPerJob, Math.ceil(count / workersMax)))
  const all: number[][] = []
  for (let at = 0; at < count; at += size) {
    all.push(Array.from({ length: Math.min(size, count - at) }, (_, index) => from + at + index))
  }
  return all
}

function faultCounts(results: readonly SeedResult[]): Readonly<Record<string, number>> {
  const counts = new Map<string, number>()
  for (const { faults } of results) {
    for (const [name, times] of Object.entries(faults)) counts.set(name, (counts.get(name) ?? 0) + times)
  }
  return Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1)))
}

const replay: Command = {
  name: 'emulator replay',
  summary: 'Play a seed or a crash state again',
  positionals: 'SEED[:STEP]|STATE',
  positionalsMin: 1,
  positionalsMax: 1,
  options: {
    lines: { type: 'string', value: 'N', means: `events to print (default ${proofLimits.replayLines})` },
    ...shapeOptions,
  },
  notes:
    'SEED is a number, as swarm prints it; with :STEP it stops before that operation. STATE is such as\n' +
    'update/37.torn.1, as sweep prints it. Same argument, same events, to the last byte.',
  async run(input) {
    const [what = ''] = input.positionals
    const lines = numberOption(input, 'lines', 1, proofLimits.replayLinesMax) ?? proofLimits.replayLines
    const played = /^\d+(:\d+)?$/.test(what)
      ? await replaySeed(what, rememberingParts)
      : await replayState(what, shapeOf(input))
    if (flagOption(input, 'json')) {
      input.io.out(JSON.stringify({ ...played, events: played.events.slice(-lines) }))
    } else {
      for (const event of played.events.slice(-lines)) input.io.out(event)
      input.io.out(`${played.count} events, SHA-256 ${played.digest}`)
      const { violation } = played
      input.io.out(violation === null ? 'every invariant held' : `${violation.invariant}: ${violation.what}`)
    }
    return played.violation === null ? 0 : exitStatus.updateFailed
  },
}

async function replayState(path: string, shape: StageOptions) {
  const [name = ''] = path.split('/')
  if (name === clipsScenario.name) return replayClips(path)
  const { scenario } = await openScenario(name)
  return replayCrash(path, scenarioFor(scenario, shape.loader), shape, sweepParts)
}

function shapeOf(input: CommandInput): StageOptions {
  const pieces =
    numberOption(input, 'pieces', proofLimits.piecesMin, proofLimits.piecesMax) ?? proofLimits.pieces
  const sector = numberOption(input, 'sector', 512, 4096) ?? 4096
  if (sector !== 512 && sector !== 4096) raise('EB-USAGE', `--sector is 512 or 4096, not ${sector}`)
  const kind = input.values['loader'] ?? 'verifying'
  const loader = loaderKinds.find((it) => it === kind)
  if (loader === undefined) raise('EB-USAGE', `--loader is ${loaderKinds.join(', ')}, not ${kind}`)
  return { seed: 1, pieces, sectorBytes: sector, loader }
}

export const commands: readonly Command[] = [sweep, swarm, replay]
