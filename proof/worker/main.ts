/**
 * One worker of a sweep or a swarm: gets a job, reports how far it is, ends with its result.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { present } from '../../core/assert.ts'
import { orThrow } from '../../core/errors.ts'
import { rememberingParts, sweepParts } from '../adapters/parts.ts'
import { readScenario } from '../scenario.ts'
import { makeStage, type StageOptions } from '../stage.ts'
import { swarm } from '../swarm/swarm.ts'
import { sweepPart } from '../sweep/explore.ts'

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
  | { readonly kind: 'swarm'; readonly seeds: readonly number[] }

/** How much is done since the last message. */
export interface Tick {
  readonly kind: 'tick'
  readonly states: number
}

const port = present(parentPort, 'parent of the worker')
const tick = (states: number): void => port.postMessage({ kind: 'tick', states } satisfies Tick)
port.postMessage({ kind: 'done', result: await work(workerData as Job) })

async function work(job: Job): Promise<unknown> {
  if (job.kind === 'swarm') return swarm(job.seeds, rememberingParts, tick)
  const scenario = orThrow(readScenario(job.scenario, 'scenario'))
  const stage = await makeStage(scenario, job.stage, sweepParts)
  const { depth, part, parts } = job
  const { operations, planned, fired, kills, violations, images } = await sweepPart(
    { scenario, stage, depth, part, parts },
    tick,
  )
  return { operations, planned, fired, kills, violations, images: [...images] }
}
