/**
 * Time that passes only when nothing else can happen: a heap of timers, and a rest between each two.
 * Promise: same program, same order; no real clock. Work put off with `soon` comes before any timer.
 * Leaves to others: what happens in that time.
 */
import type { Clock } from '../../core/ports.ts'

export interface VirtualTime {
  readonly clock: Clock
  nowMs(): number
  /** Runs `work` when what is under way has come to rest, in no time. */
  soon(work: () => void): void
  /** Lets work go on until `condition` holds. @returns false when `limitMs` of virtual time passed first */
  until(condition: () => boolean, limitMs: number): Promise<boolean>
  /** Lets so much time pass. */
  pass(durationMs: number): Promise<void>
  /** Timers that wait. */
  timers(): number
}

interface Timer {
  readonly atMs: number
  readonly number: number
  fire: (() => void) | null
}

/** Resolves when everything that waits for a settled promise has gone on: one turn of the event loop. */
export type Turn = () => Promise<void>

/**
 * @param wallStartMs what the wall clock shows at 0
 * @param startMs virtual time to begin with
 */
export function virtualTime(turn: Turn, wallStartMs: number, startMs = 0): VirtualTime {
  let now = startMs
  let number = 0
  let cancelled = 0
  let heap: Timer[] = []
  const putOff: (() => void)[] = []

  const timer = (durationMs: number, fire: () => void): (() => void) => {
    number += 1
    const it: Timer = { atMs: now + Math.max(0, Math.ceil(durationMs)), number, fire }
    push(heap, it)
    return () => {
      if (it.fire === null) return
      it.fire = null
      cancelled += 1
      // Timers that are set and cancelled without end must not pile up.
      if (cancelled > heap.length / 2 + 16) {
        heap = heapOf(heap.filter((one) => one.fire !== null))
        cancelled = 0
      }
    }
  }
  /** All promises that can settle have settled, and nothing is put off. */
  const rest = async (): Promise<void> => {
    for (;;) {
      await turn()
      const work = putOff.shift()
      if (work === undefined) return
      work()
    }
  }
  const until = async (condition: () => boolean, limitMs: number): Promise<boolean> => {
    const end = now + limitMs
    for (;;) {
      await rest()
      if (condition()) return true
      while (heap[0]?.fire === null) {
        pop(heap)
        cancelled -= 1
      }
      const next = heap[0]
      if (next === undefined || next.atMs > end) {
        now = end
        return false
      }
      pop(heap)
      now = next.atMs
      const { fire } = next
      next.fire = null
      fire?.()
    }
  }
  return {
    nowMs: () => now,
    clock: {
      monotonicMs: () => now,
      wallMs: () => wallStartMs + now,
      sleep: (durationMs) => new Promise((resolve) => timer(durationMs, resolve)),
      timer,
    },
    soon: (work) => void putOff.push(work),
    until,
    async pass(durationMs) {
      await until(() => false, durationMs)
    },
    timers: () => heap.length - cancelled,
  }
}

function earlier(a: Timer, b: Timer): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.number < b.number)
}

function push(heap: Timer[], it: Timer): void {
  let at = heap.length
  heap.push(it)
  while (at > 0) {
    const up = (at - 1) >> 1
    const parent = heap[up] as Timer
    if (!earlier(it, parent)) break
    heap[at] = parent
    at = up
  }
  heap[at] = it
}

function pop(heap: Timer[]): void {
  const last = heap.pop()
  if (last === undefined || heap.length === 0) return
  let at = 0
  for (;;) {
    let child = 2 * at + 1
    if (child >= heap.length) break
    if (child + 1 < heap.length && earlier(heap[child + 1] as Timer, heap[child] as Timer)) child += 1
    if (!earlier(heap[child] as Timer, last)) break
    heap[at] = heap[child] as Timer
    at = child
  }
  heap[at] = last
}

function heapOf(timers: readonly Timer[]): Timer[] {
  const heap: Timer[] = []
  for (const it of timers) push(heap, it)
  return heap
}
