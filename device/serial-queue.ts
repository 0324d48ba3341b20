/**
 * The agent's event loop: one piece of work at a time, in order.
 * Promise: work never overlaps; what a piece of work throws ends the queue, and nothing runs after that.
 * Leaves to others: what is to be done (agent.ts).
 */
import { wireLimits } from '../core/limits.ts'

export interface SerialQueue {
  enqueue(work: () => Promise<void>): void
  end(): void
  readonly stopped: boolean
  /** Rejects with what a piece of work threw: the agent cannot go on and is started anew. */
  readonly ended: Promise<void>
}

/** One piece of work at a time, in order. */
export function serialQueue(): SerialQueue {
  let stopped = false
  let finish = (): void => {}
  let crash = (_caught: unknown): void => {}
  const ended = new Promise<void>((resolve, reject) => {
    finish = resolve
    crash = reject
  })
  let tail: Promise<void> = Promise.resolve()
  return {
    enqueue(work) {
      tail = tail
        .then(() => (stopped ? undefined : work()))
        .catch((caught: unknown) => {
          stopped = true
          crash(caught)
        })
    },
    end() {
      stopped = true
      finish()
    },
    get stopped() {
      return stopped
    },
    ended,
  }
}

/** Takes messages at any time and hands them to `work` in the queue; of too many the oldest give way. */
export function inbox<T>(queue: SerialQueue, work: (it: T) => Promise<void>): (it: T) => void {
  const waiting: T[] = []
  return (it) => {
    waiting.push(it)
    if (waiting.length > wireLimits.inboxMax) waiting.shift()
    if (waiting.length > 1) return
    queue.enqueue(async () => {
      for (const one of waiting.splice(0)) await work(one)
    })
  }
}
