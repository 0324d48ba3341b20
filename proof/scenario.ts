/**
 * Scenarios as data: what happens to a board, and what must have become of it. The same files are played in
 * process, on loop devices and on virtual machines.
 * Promise: a file with an unknown word is refused with its place.
 * Leaves to others: playing them (player.ts and, on other boards, their runners).
 */
import * as v from 'valibot'
import { type Fault, fault } from '../core/errors.ts'
import { fail, ok, type Result } from '../core/result.ts'

const name = v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9-]{0,39}$/))
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const slot = v.picklist(['a', 'b'])
const behaviour = v.picklist(['healthy', 'sick', 'hang', 'no hub'])
const left = v.picklist(['lost', 'kept', 'torn'])

const release = v.strictObject({
  behaviour: v.optional(behaviour, 'healthy'),
  securityVersion: v.optional(count, 1),
  floorAfterCommit: v.optional(v.nullable(count), null),
})

const step = v.variant('do', [
  /** The hub wishes the release for the board. */
  v.strictObject({ do: v.literal('assign'), release: name }),
  /**
   * `closed`: the hub has the final report of the newest wish; `rest`: and the board has nothing left to do;
   * `trial`: a system on trial has just been started; `boot`: any system has.
   */
  v.strictObject({ do: v.literal('wait'), for: v.picklist(['closed', 'rest', 'trial', 'boot']) }),
  v.strictObject({ do: v.literal('pass'), ms: count }),
  /** The next operation whose name matches loses its power. */
  v.strictObject({
    do: v.literal('cut-at'),
    operation: v.string(),
    nth: v.optional(count, 0),
    when: v.optional(v.picklist(['before', 'after']), 'before'),
    left: v.optional(left, 'lost'),
  }),
  v.strictObject({ do: v.literal('power-cycle'), left: v.optional(left, 'lost') }),
  /** Quick cycles of the power until a boot ends in that slot; no system gets to do anything. */
  v.strictObject({ do: v.literal('cycle-until'), slot }),
  v.strictObject({ do: v.literal('kill-agent') }),
  v.strictObject({ do: v.literal('cut-link') }),
  /** From the next boot on the system in that slot behaves so, whatever its image says; null: as it says. */
  v.strictObject({ do: v.literal('behave'), slot, as: v.nullable(behaviour) }),
  v.strictObject({ do: v.literal('rot'), slot, where: v.picklist(['image', 'seal']) }),
  v.strictObject({
    do: v.literal('lose'),
    what: v.picklist(['record-0', 'record-1', 'newest-record', 'record', 'stamp']),
  }),
  v.strictObject({ do: v.literal('hub'), is: v.picklist(['down', 'up']) }),
  /** The broker delivers the retained wish once more. */
  v.strictObject({ do: v.literal('redeliver') }),
])
export type Step = v.InferOutput<typeof step>

const expectation = v.strictObject({
  /** Final report of the newest wish; null: it has none. */
  result: v.nullable(v.picklist(['ok', 'failed'])),
  code: v.optional(v.string()),
  /** Release that runs at the end: a name of `releases` or `factory`. */
  runs: name,
  /** Slots of all boots since the scenario began, such as `abb`; only without cuts from outside. */
  boots: v.optional(v.pipe(v.string(), v.regex(/^[ab]*$/))),
  /** Codes that the board noticed outside attempts, in order. */
  notices: v.optional(v.array(v.string())),
})
export type Expectation = v.InferOutput<typeof expectation>

const scenario = v.strictObject({
  v: v.literal(1),
  name,
  /** One sentence for people. */
  about: v.pipe(v.string(), v.minLength(10)),
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
  const named = [...prepare, ...steps].flatMap((it) => (it.do === 'assign' ? [it.release] : []))
  const ends = [expect, ...underCuts].map((it) => it.runs)
  return [...named, ...ends].find((it) => it !== 'factory' && !Object.hasOwn(releases, it))
}
