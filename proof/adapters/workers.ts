/**
 * Runs jobs in worker threads, one for each core.
 * Promise: results come in the order of the jobs; a worker that fails fails the whole; none is left behind.
 */
import { availableParallelism } from 'node:os'
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Job, Tick } from '../worker/main.ts'

export const workersMax = availableParallelism()

/** @param onTick told how many more states are done */
export async function runJobs<T>(
  jobs: readonly Job[],
  onTick: (states: number) => void,
): Promise<readonly T[]> {
  const results = new Array<T>(jobs.length)
  const workers = new Set<Worker>()
  let next = 0
  const one = async (): Promise<void> => {
    while (next < jobs.length) {
      const index = next
      next += 1
      results[index] = await runJob<T>(jobs[index] as Job, workers, onTick)
    }
  }
  try {
    await Promise.all(Array.from({ length: Math.min(workersMax, jobs.length) }, one))
  } finally {
    for (const worker of workers) await worker.terminate()
  }
  return results
}

function runJob<T>(job: Job, workers: Set<Worker>, onTick: (states: number) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    // From the clone this file is TypeScript, from the package JavaScript.
    const worker = new Worker(new URL(`../worker/main${extname(import.meta.url)}`, import.meta.url), {
      workerData: job,
    })
    workers.add(worker)
    worker.on('message', (message: Tick | { readonly kind: 'done'; readonly result: T }) => {
      if (message.kind === 'tick') onTick(message.states)
      else resolve(message.result)
    })
    worker.on('error', reject)
    worker.on('exit', (status) => {
      workers.delete(worker)
      if (status !== 0) reject(new Error(`a worker ended with ${status}`))
    })
  })
}
