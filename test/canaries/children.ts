/**
 * Node processes with a planted bug, two at a time.
 * Promise: none outlives its time or the test: a simulation with a bug may go round for ever.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Plant } from './plants/planted.ts'

export const root = new URL('../../', import.meta.url)
export const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

const atOnce = 2
const childMs = 60_000

export interface Ended {
  readonly status: number | null
  readonly output: string
}

const running = new Set<ChildProcess>()

/** To be called when the tests are over. */
export function endChildren(): void {
  for (const child of running) child.kill('SIGKILL')
}

/** A Node process to its end. @param plant name of the bug that `plant.ts` plants in it */
export function node(args: readonly string[], plant = '', timeoutMs = childMs): Promise<Ended> {
  const child = spawn(process.execPath, args, {
    env: { ...process.env, EVERBOOT_PLANT: plant },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  })
  running.add(child)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part: Buffer) => (output += part))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (status) => {
      running.delete(child)
      resolve({ status, output })
    })
  })
}

/** Runs all, `atOnce` at a time. */
export async function eachOf<T, R>(all: readonly T[], work: (it: T) => Promise<R>): Promise<Map<T, R>> {
  const waiting = [...all]
  const results = new Map<T, R>()
  const worker = async (): Promise<void> => {
    for (let it = waiting.shift(); it !== undefined; it = waiting.shift()) results.set(it, await work(it))
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return results
}

/** As plant.ts, for a bug that is not in the lists: what `--import` takes. */
export function planting(it: Plant): string {
  const lines = [
    `import { plantBug } from ${JSON.stringify(new URL('planting.ts', import.meta.url).href)}`,
    `plantBug(${JSON.stringify(it)})`,
  ]
  return `data:text/javascript,${encodeURIComponent(lines.join('\n'))}`
}

export function bug(...edits: Plant['edits']): Plant {
  return { name: 'a bug of this test', from: 'faults', edits, how: 'Not at all.' }
}
