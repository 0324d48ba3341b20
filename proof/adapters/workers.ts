/**
 * Runs jobs in worker threads, one for each core.
 * Promise: results come in the order of the jobs; a worker that fails fails the whole, and so does an interruption;
 * none is left behind.
 */
import { availableParallelism } from 'node:os'
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { EverbootError, fault } from '../../core/errors.ts'
import type { Answer, Job } from '../worker/main.ts'

export const workersMax = availableParallelism()

/** @param onTick told how many more states are done. @throws EverbootError EB-CANCELLED when interrupted */
export async function runJobs<T>(
  jobs: readonly Job[],
  onTick: (states: number) => void,
  interrupted: AbortSignal,
): Promise<readonly T[]> {
  const results = new Array<T>(jobs.length)
  const workers = Array.from({ length: Math.min(workersMax, jobs.length) }, startWorker)
  let next = 0
  // What a worker has loaded and verified serves its next job too.
  const one = async (worker: Worker): Promise<void> => {
    while (next < jobs.length) {
      const index = next
      next += 1
      results[index] = await runJob<T>(worker, jobs[index] as Job, onTick)
    }
  }
  const stopped = Promise.withResolvers<never>()
  const stop = (): void =>
    stopped.reject(new EverbootError(fault('EB-CANCELLED', 'the command was interrupted', 'run it again')))
  interrupted.addEventListener('abort', stop)
  if (interrupted.aborted) stop()
  try {
    await Promise.race([stopped.promise, Promise.all(workers.map(one))])
  } finally {
    interrupted.removeEventListener('abort', stop)
    for (const worker of workers) await worker.terminate()
  }
  return results
}

function startWorker(): Worker {
  // From the clone this file is TypeScript, from the package JavaScript.
  return new Worker(new URL(`../worker/main${extname(import.meta.url)}`, import.meta.url))
}

function runJob<T>(worker: Worker, job: Job, onTick: (states: number) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const ended = (status: number): void => reject(new Error(`a worker ended with ${status}`))
    const heard = (answer: Answer): void => {
      if (answer.kind === 'tick') {
        onTick(answer.states)
        return
      }
      worker.off('message', heard).off('error', reject).off('exit', ended)
      resolve(answer.result as T)
    }
    worker.on('message', heard).on('error', reject).on('exit', ended)
    worker.postMessage(job)
  })
}
