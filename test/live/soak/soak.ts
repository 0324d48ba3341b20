/**
 * `make soak`: the real hub, the real board on loop devices and the real agent under random blows, for a while.
 * Prints a line a minute and a tally in the end. Exit status: 0 no violation, 1 some, 130 interrupted.
 * Promise: whatever ends it, nothing of it is left; after a violation the directory with board and logs stays.
 */
import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { cannotRun } from '../rig.ts'
import { soakLimits } from './limits.ts'
import { Soak } from './soak-run.ts'
import { closingLines, minuteLine, violationLine } from './tally.ts'

interface Asked {
  readonly minutes: number
  readonly seed: number
  readonly json: boolean
}

function asked(): Asked | null {
  const { values } = parseArgs({
    options: { minutes: { type: 'string' }, seed: { type: 'string' }, json: { type: 'boolean' } },
  })
  const minutes = Number(values.minutes ?? soakLimits.minutesDefault)
  const seed = values.seed === undefined ? randomInt(2 ** 32) : Number(values.seed)
  const good = minutes > 0 && minutes <= soakLimits.minutesMax && Number.isSafeInteger(seed) && seed >= 0
  return good ? { minutes, seed, json: values.json === true } : null
}

async function main({ minutes, seed, json }: Asked): Promise<number> {
  const interruption = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => interruption.abort())
  }
  const say = (line: string): void => void process[json ? 'stderr' : 'stdout'].write(`${line}\n`)
  say(`soak of ${minutes} min with seed ${seed}`)
  const startMs = performance.now()
  const clock = (): string => `${((performance.now() - startMs) / 1000).toFixed(1).padStart(7)} s`
  const soak = new Soak({
    seed,
    durationMs: minutes * 60_000,
    roundsMin: 1,
    interrupted: interruption.signal,
    note: (line) => say(`  ${clock()} ${line}`),
  })
  await soak.open()
  const began = performance.now()
  const tell = (): void =>
    say(minuteLine(soak.numbers(), (performance.now() - began) / 1000, soak.violations.length))
  const timer = setInterval(tell, soakLimits.lineMs)
  await soak.play()
  clearInterval(timer)
  for (const it of soak.violations) say(`seed ${seed}: ${violationLine(it)}`)
  const result = await soak.close()
  if (json) process.stdout.write(`${JSON.stringify(result)}\n`)
  else for (const line of closingLines(result)) say(line)
  if (result.violations.length > 0) return 1
  return result.interrupted ? 130 : 0
}

const request = asked()
if (cannotRun !== null || request === null) {
  process.stderr.write(`${cannotRun ?? 'usage: soak.ts [--minutes N] [--seed N] [--json]'}\n`)
  process.exitCode = 2
} else {
  process.exitCode = await main(request)
}
