/**
 * Scenarios as data: what happens to a board, and what must have become of it. The same files are played in
 * process, on loop devices and on virtual machines.
 * Promise: a file with an unknown word is refused with its place.
 * Leaves to others: the words (steps.ts), playing them (player.ts and, on other boards, their runners).
 */
import * as v from 'valibot'
import { type Fault, fault } from '../core/errors.ts'
import { fail, ok, type Result } from '../core/result.ts'
import { behaviour, count, name, step } from './steps.ts'

const release = v.strictObject({
  behaviour: v.optional(behaviour, 'healthy'),
  securityVersion: v.optional(count, 1),
  floorAfterCommit: v.optional(v.nullable(count), null),
})

const code = v.pipe(v.string(), v.regex(/^EB-[A-Z-]+$/))

/** What is `null` or missing is not looked at, except `result`. */
const expectation = v.strictObject({
  /** Final report of the newest wish; null: it has none. */
  result: v.nullable(v.picklist(['ok', 'failed'])),
  code: v.optional(code),
  /** Release that runs at the end: a name of `releases` or `factory`. */
  runs: name,
  /** Floor of record and stamp. */
  floor: v.optional(count),

  // From here on, since the scenario began, and only without further cuts from outside.
  /** Slots of all boots, such as `abb`. */
  boots: v.optional(v.pipe(v.string(), v.regex(/^[ab]*$/))),
  /** Outcome of each wish in order: `ok`, a code, or `none` when there is no final report. */
  attempts: v.optional(v.array(v.union([v.picklist(['ok', 'none']), code]))),
  /** Codes that the board noticed outside attempts, in order. */
  notices: v.optional(v.array(code)),
  /** Releases that the slots hold whole; null: none. */
  holds: v.optional(v.strictObject({ a: v.nullable(name), b: v.nullable(name) })),
  /** Slots that are committed: `ab`, `a`, `b` or none. */
  committed: v.optional(v.picklist(['', 'a', 'b', 'ab'])),
  /** At most so many whole copies of the newest wish's release came from the hub, and so many pieces more. */
  fetched: v.optional(v.strictObject({ copies: count, pieces: count })),
  /** Events that the agent has logged, each at least once. */
  logged: v.optional(v.array(v.string())),
  /** Whether the hub has the board as connected. */
  online: v.optional(v.boolean()),
})
export type Expectation = v.InferOutput<typeof expectation>

const scenario = v.strictObject({
  v: v.literal(1),
  name,
  /** One sentence for people. */
  about: v.pipe(v.string(), v.minLength(10), v.endsWith('.')),
  /** Named cases that it is about: `P5`, `BOOT-3` for counterexample 3 of the boot protocol. */
  cases: v.optional(v.array(v.pipe(v.string(), v.regex(/^(P|M|B|S|N|BOOT-)\d+$/))), []),
  /** False: nothing would be learnt by cutting it everywhere; `about` says why. */
  sweep: v.optional(v.boolean(), true),
  /** It is swept in the everyday run. */
  everyday: v.optional(v.boolean(), false),
  /** Its images have at least so many pieces, whatever was asked for: it needs time for what happens during a download. */
  piecesMin: v.optional(v.pipe(count, v.minValue(1)), 1),
  releases: v.record(name, release),
  /** What comes first; sweeps do not cut it. */
  prepare: v.optional(v.array(step), []),
  steps: v.array(step),
  expect: expectation,
  /** Other true ends that a cut of the power may lead to; without it the end must always be the same. */
  underCuts: v.optional(v.array(expectation), []),
})
export type Scenario = v.InferOutput<typeof scenario>

/** @param text JSON. @returns the scenario, or EB-SCENARIO with the place */
export function readScenario(text: string, path: string): Result<Scenario, Fault> {
  const bad = (what: string): Result<Scenario, Fault> => fail(fault('EB-SCENARIO', `${path}: ${what}`))
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (caught) {
    return bad((caught as Error).message)
  }
  const parsed = v.safeParse(scenario, json)
  if (!parsed.success) {
    const [first] = parsed.issues
    return bad(`${v.getDotPath(first) ?? 'the file'}: ${first.message}`)
  }
  const unknown = unknownRelease(parsed.output)
  return unknown === undefined ? ok(parsed.output) : bad(`no release is called ${unknown}`)
}

function unknownRelease({ releases, prepare, steps, expect, underCuts }: Scenario): string | undefined {
  const deeds = [...prepare, ...steps].flatMap((it) => (it.do === 'when' ? it.deeds : [it]))
  const named = deeds.flatMap((it) => ('release' in it ? [it.release] : []))
  const ends = [expect, ...underCuts].flatMap(({ runs, holds }) => [runs, holds?.a ?? runs, holds?.b ?? runs])
  return [...named, ...ends].find((it) => it !== 'factory' && !Object.hasOwn(releases, it))
}
