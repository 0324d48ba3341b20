/**
 * Plants one bug in this process: the text of the files is changed as they are loaded, before their types
 * are stripped.
 * Promise: a bug that is not in force is a failure: an edit that does not hit exactly one place ends the load
 * of its file, and a file that no thread has loaded by the end makes the exit status `notPlanted`.
 * Leaves to others: which bug (plant.ts). Files that were loaded before the call stay as they are.
 */
import { registerHooks } from 'node:module'
import { getEnvironmentData, isMainThread, setEnvironmentData } from 'node:worker_threads'
import { filesOf, type Plant, planted } from './plants/planted.ts'

/** Exit status of a process that ended well, but without the bug. */
export const notPlanted = 70

const root = new URL('../../', import.meta.url)

/**
 * @param it takes effect in this thread. Hooks are a thread's own: a worker needs the call too. It gets it by
 *   the `execArgv` that it inherits; one that is started with another `execArgv` must be given `--import`.
 */
export function plantBug(it: Plant): void {
  const files = filesOf(it)
  const byUrl = new Map(files.map((file, number) => [new URL(file, root).href, { file, number }]))
  const loads = sharedCounts(it.name, files.length)
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context)
      const hit = byUrl.get(url.replace(/[?#].*$/s, ''))
      if (hit === undefined) return loaded
      const source = planted(it, hit.file, textOf(loaded.source))
      Atomics.add(loads, hit.number, 1)
      return { ...loaded, source }
    },
  })
  if (!isMainThread) return
  process.on('exit', () => {
    const missing = files.filter((_, number) => Atomics.load(loads, number) === 0)
    if (missing.length === 0) return
    process.stderr.write(`planted bug "${it.name}" is not in force: ${missing.join(', ')} was not loaded\n`)
    process.exitCode = notPlanted
  })
}

/** Loads of each file, counted over all threads: workers are given what the main thread has set. */
function sharedCounts(name: string, files: number): Int32Array<SharedArrayBuffer> {
  const key = `everboot planted ${name}`
  const known = getEnvironmentData(key)
  const memory = known instanceof SharedArrayBuffer ? known : new SharedArrayBuffer(4 * files)
  setEnvironmentData(key, memory)
  return new Int32Array(memory)
}

function textOf(source: unknown): string {
  if (typeof source === 'string') return source
  if (source instanceof Uint8Array) return new TextDecoder().decode(source)
  throw new Error('a file to be changed has no text')
}
