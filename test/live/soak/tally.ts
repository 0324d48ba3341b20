/**
 * What a soak counts, and how it shows it: a line a minute, a table and an object in the end.
 * Promise: pure but for its own numbers; every number was seen, none was only planned.
 */
import { bytesText } from '../../../core/units.ts'
import type { ReportFacts, Violation } from './facts.ts'
import { type Phase, phases, type ResetCause, resetCauses, type Sighting } from './phases.ts'
import { type BlowKind, blowKinds, type ReleaseKind } from './plan.ts'

type Counts<K extends string> = Record<K, number>

export interface TallyNumbers {
  readonly attempts: {
    readonly total: number
    readonly ok: number
    readonly failed: number
    /** Failures by code. */
    readonly codes: Readonly<Record<string, number>>
    readonly kinds: Readonly<Counts<ReleaseKind>>
  }
  /** Deaths of the agent by SIGKILL as init saw them. */
  readonly kills: { readonly total: number; readonly phases: Readonly<Counts<Phase>> }
  /** Ends of boots as the board saw them. */
  readonly resets: { readonly causes: Readonly<Counts<ResetCause>>; readonly phases: Readonly<Counts<Phase>> }
  readonly strikes: Readonly<Counts<BlowKind>>
  /** Strikes that found nothing to strike, or whose phase did not come. */
  readonly missed: number
  readonly twice: number
  readonly rots: number
  readonly boots: number
  readonly checks: number
  readonly statuses: number
  readonly acknowledged: number
  readonly bytes: number
}

export interface Violated extends Violation {
  readonly atMs: number
}

/** Everything that is printed in the end. */
export interface SoakResult extends TallyNumbers {
  readonly seed: number
  readonly seconds: number
  readonly interrupted: boolean
  readonly violations: readonly Violated[]
  /** What was kept for a look after a violation. */
  readonly kept: string | null
}

const zeros = <K extends string>(names: readonly K[]): Counts<K> =>
  Object.fromEntries(names.map((name) => [name, 0])) as Counts<K>

export class Tally {
  readonly #codes: Record<string, number> = {}
  readonly #kinds = zeros<ReleaseKind>(['good', 'sick', 'hung', 'bare'])
  readonly #kills = zeros(phases)
  readonly #resets = zeros(phases)
  readonly #causes = zeros(resetCauses)
  readonly #strikes = zeros(blowKinds)
  readonly #sum = { ok: 0, failed: 0, missed: 0, twice: 0, rots: 0, boots: 0, checks: 0 }

  /** What the console showed. */
  saw(it: Sighting): void {
    if (it.kind === 'agent killed') this.#kills[it.phase] += 1
    if (it.kind === 'power-on') this.#sum.boots += 1
    if (it.kind !== 'reset') return
    this.#causes[it.why] += 1
    if (it.why !== 'asked' && it.why !== 'other') this.#resets[it.phase] += 1
  }

  struck(what: BlowKind): void {
    this.#strikes[what] += 1
  }

  count(what: 'missed' | 'twice' | 'rots' | 'checks', by = 1): void {
    this.#sum[what] += by
  }

  ended(kind: ReleaseKind, { result, code }: Pick<ReportFacts, 'result' | 'code'>): void {
    this.#sum[result] += 1
    this.#kinds[kind] += 1
    if (result === 'failed') this.#codes[`${code}`] = (this.#codes[`${code}`] ?? 0) + 1
  }

  numbers(passed: Pick<TallyNumbers, 'statuses' | 'acknowledged' | 'bytes'>): TallyNumbers {
    const { ok, failed, missed, twice, rots, boots, checks } = this.#sum
    return {
      attempts: { total: ok + failed, ok, failed, codes: { ...this.#codes }, kinds: { ...this.#kinds } },
      kills: { total: sumOf(this.#kills), phases: { ...this.#kills } },
      resets: { causes: { ...this.#causes }, phases: { ...this.#resets } },
      strikes: { ...this.#strikes },
      ...{ missed, twice, rots, boots, checks },
      ...passed,
    }
  }
}

/** One line for people, once a minute. */
export function minuteLine(it: TallyNumbers, seconds: number, violations: number): string {
  const { attempts, kills, resets, strikes } = it
  const { causes } = resets
  return [
    `${(seconds / 60).toFixed(1).padStart(5)} min`,
    `${attempts.total} attempts (${attempts.ok} ok, ${attempts.failed} failed)`,
    `${kills.total} agent kills`,
    `${causes.reset} resets`,
    `${causes['power cut'] + causes.unplugged} power cuts`,
    `${strikes['kill hub']} hub kills`,
    `${strikes['cut link']} links cut`,
    `${strikes['damage spare'] + it.rots} damages`,
    `${violations} violations`,
  ].join(', ')
}

/** The table in the end. */
export function closingLines(it: SoakResult): readonly string[] {
  const { attempts, kills, resets, strikes } = it
  const rows: readonly (readonly [string, string])[] = [
    ['seed', `${it.seed}, ${it.seconds} s${it.interrupted ? ', interrupted' : ''}`],
    ['attempts', `${attempts.total}: ${attempts.ok} ok, ${attempts.failed} failed ${listed(attempts.codes)}`],
    ['releases', listed(attempts.kinds)],
    ['agent kills', `${kills.total} ${listed(kills.phases)}`],
    ['boots ended', `${listed(resets.causes)}; cut short in ${listed(resets.phases)}`],
    ['strikes', `${listed(strikes)}; ${it.twice} twice in a row, ${it.missed} missed`],
    ['rot at rest', `${it.rots}`],
    ['boots', `${it.boots}, ${it.checks} looks at the disk`],
    ['statuses', `${it.statuses} sent, ${it.acknowledged} acknowledged`],
    ['bytes', `${bytesText(it.bytes)} over the line`],
    ['violations', `${it.violations.length}`],
  ]
  return [
    ...rows.map(([name, text]) => `${name.padEnd(12)} ${text}`),
    ...it.violations.map((found) => `  ${violationLine(found)}`),
    ...(it.kept === null ? [] : [`kept: ${it.kept}`]),
  ]
}

export function violationLine({ rule, what, atMs }: Violated): string {
  return `VIOLATION after ${(atMs / 1000).toFixed(1)} s: ${rule}: ${what}`
}

function sumOf(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, it) => sum + it, 0)
}

/** `a 1, b 2`, without what did not occur. */
function listed(counts: Readonly<Record<string, number>>): string {
  const found = Object.entries(counts).filter(([, count]) => count > 0)
  return found.length === 0 ? 'none' : `(${found.map(([name, count]) => `${name} ${count}`).join(', ')})`
}
