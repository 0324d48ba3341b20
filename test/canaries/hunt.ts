/**
 * Looks for a planted bug as the everyday run does: every story once, then small sweeps of some, then seeds, then the
 * same on a board which is started by tryboot, then the story of clips (these first, for bugs of theirs), until an invariant by name does not hold. Without a plant it must find nothing in all of them.
 * Prints one line of JSON; `node --import ./test/canaries/plant.ts test/canaries/hunt.ts [all]`.
 * Leaves to others: which plant (EVERBOOT_PLANT), what to make of the answer.
 */
import { rememberingParts, sweepParts } from '../../proof/adapters/parts.ts'
import { openScenario, scenarioNames } from '../../proof/adapters/scenario-files.ts'
import { sweepClips } from '../../proof/clips/sweep.ts'
import { makeStage } from '../../proof/stage.ts'
import { playSeed, swarmStages } from '../../proof/swarm/swarm.ts'
import { sweepPart } from '../../proof/sweep/explore.ts'
import { pointsOf } from '../../proof/sweep/futures.ts'
import { scenarioFor } from '../../proof/tryboot-scenarios.ts'
import {
  firstStories,
  type Hunted,
  huntedSeeds,
  huntedStories,
  rehearsedPieces,
  trybootStories,
  trybootSweep,
} from './hunted.ts'
import { filesOf } from './plants/planted.ts'
import { plantNamed } from './plants.ts'

async function inRehearsals(counts: { rehearsals: number }): Promise<Hunted['caught']> {
  const all = await scenarioNames()
  const later = all.filter((it) => !firstStories.includes(it))
  for (const name of [...firstStories, ...later]) {
    const { scenario } = await openScenario(name)
    const stage = await makeStage(
      scenario,
      { seed: 1, pieces: rehearsedPieces, sectorBytes: 4096 },
      sweepParts,
    )
    const { violation } = await pointsOf({ scenario, stage })
    counts.rehearsals += 1
    if (violation !== null && named(violation.invariant)) {
      return { invariant: violation.invariant, what: violation.what, replay: `${name}/uncut` }
    }
  }
  return null
}

const named = (invariant: string): boolean => /^I\d+$/.test(invariant)

async function inStories(counts: { states: number }): Promise<Hunted['caught']> {
  for (const { name, pieces, sectorBytes } of huntedStories) {
    const { scenario } = await openScenario(name)
    const stage = await makeStage(scenario, { seed: 1, pieces, sectorBytes }, sweepParts)
    const part = await sweepPart({ scenario, stage, depth: 1, part: 0, parts: 1, untilFirst: true }, () => {})
    counts.states += part.fired
    const found = part.violations.find((it) => named(it.invariant))
    if (found !== undefined) return { invariant: found.invariant, what: found.what, replay: found.replay }
  }
  return null
}

async function inSeeds(counts: { seeds: number }): Promise<Hunted['caught']> {
  const stages = await swarmStages(rememberingParts)
  for (let seed = 1; seed <= huntedSeeds; seed += 1) {
    const { violation } = (await playSeed(seed, stages)).result
    counts.seeds += 1
    if (violation !== null && named(violation.invariant)) {
      return { invariant: violation.invariant, what: violation.what, replay: `${seed}` }
    }
  }
  return null
}

async function onTryboot(counts: { rehearsals: number; states: number }): Promise<Hunted['caught']> {
  const stageOf = async (name: string, pieces: number) => {
    const scenario = scenarioFor((await openScenario(name)).scenario, 'tryboot')
    const shape = { seed: 1, pieces, sectorBytes: 4096, loader: 'tryboot' } as const
    return { scenario, stage: await makeStage(scenario, shape, sweepParts) }
  }
  for (const name of trybootStories) {
    const { violation } = await pointsOf(await stageOf(name, rehearsedPieces))
    counts.rehearsals += 1
    if (violation !== null && named(violation.invariant)) {
      return {
        invariant: violation.invariant,
        what: violation.what,
        replay: `${name} --loader tryboot/uncut`,
      }
    }
  }
  const plan = {
    ...(await stageOf(trybootSweep.name, trybootSweep.pieces)),
    depth: 1,
    part: 0,
    parts: 1,
  } as const
  const part = await sweepPart({ ...plan, untilFirst: true }, () => {})
  counts.states += part.fired
  const found = part.violations.find((it) => named(it.invariant))
  if (found === undefined) return null
  const replay = found.replay.replace('/', ' --loader tryboot/')
  return { invariant: found.invariant, what: found.what, replay }
}

async function onClips(counts: { states: number }): Promise<Hunted['caught']> {
  const found = await sweepClips({ depth: 1, part: 0, parts: 1, untilFirst: true }, () => {})
  counts.states += found.fired
  const first = found.violations.find((it) => named(it.invariant))
  if (first === undefined) return null
  return { invariant: first.invariant, what: first.what, replay: first.replay }
}

/** A bug of a part shows in that part's own story: no need to play all others before it. */
async function hunted(): Promise<Hunted['caught']> {
  const plant = process.env['EVERBOOT_PLANT'] ?? ''
  const known = plant === '' ? null : plantNamed(plant)
  if (known?.from === 'tryboot') return onTryboot(counts)
  if (known !== null && filesOf(known).every((it) => it.startsWith('device/clips/'))) return onClips(counts)
  return (
    (await inRehearsals(counts)) ??
    (await inStories(counts)) ??
    (await inSeeds(counts)) ??
    (await onTryboot(counts)) ??
    (await onClips(counts))
  )
}

const counts = { rehearsals: 0, states: 0, seeds: 0 }
const caught = await hunted()
process.stdout.write(`${JSON.stringify({ caught, ...counts } satisfies Hunted)}\n`)
