/**
 * One worker of a sweep or a swarm: gets one job after another, reports how far it is, answers with the result.
 */
import { parentPort } from 'node:worker_threads'
import { present } from '../../core/assert.ts'
import { orThrow } from '../../core/errors.ts'
import { rememberingParts, sweepParts } from '../adapters/parts.ts'
import { sweepClips } from '../clips/sweep.ts'
import { readScenario } from '../scenario.ts'
import { makeStage, type StageOptions } from '../stage.ts'
import { swarm } from '../swarm/swarm.ts'
import { type SweepPart, sweepPart } from '../sweep/explore.ts'
import { scenarioFor } from '../tryboot-scenarios.ts'

export type Job =
  | {
      readonly kind: 'sweep'
      /** JSON of the scenario. */
      readonly scenario: string
      readonly stage: StageOptions
      readonly depth: 1 | 2
      readonly part: number
      readonly parts: number
    }
  | {
      readonly kind: 'clips'
      readonly depth: 1 | 2
      readonly part: number
      readonly parts: number
    }
  | { readonly kind: 'swarm'; readonly seeds: readonly number[] }

/** `tick`: so much more is done of the job under way; `done`: it has ended. */
export type Answer =
  | { readonly kind: 'tick'; readonly states: number }
  | { readonly kind: 'done'; readonly result: unknown }

const port = present(parentPort, 'parent of the worker')
const answer = (it: Answer): void => port.postMessage(it)
const tick = (states: number): void => answer({ kind: 'tick', states })
port.on('message', async (job: Job) => answer({ kind: 'done', result: await work(job) }))

async function work(job: Job): Promise<unknown> {
  if (job.kind === 'swarm') return swarm(job.seeds, rememberingParts, tick)
  if (job.kind === 'clips') return sendable(await sweepClips(job, tick))
  const scenario = scenarioFor(orThrow(readScenario(job.scenario, 'scenario')), job.stage.loader)
  const stage = await makeStage(scenario, job.stage, sweepParts)
  const { depth, part, parts } = job
  return sendable(await sweepPart({ scenario, stage, depth, part, parts }, tick))
}

/** Without its methods, for another thread. */
function sendable({ operations, planned, fired, kills, violations, images }: SweepPart): SweepPart {
  return { operations, planned, fired, kills, violations, images: [...images] }
}
