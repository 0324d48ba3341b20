/**
 * Runs a system tool to its end.
 * Promise: it has a deadline and no terminal; its output is kept up to a limit; it sees the C locale.
 * Leaves to others: finding it (host-tools.ts), what a failure means.
 */
import { spawn } from 'node:child_process'
import { raise } from '../../../core/errors.ts'
import { buildLimits } from '../../../core/limits.ts'

export interface ToolRun {
  /** Exit status; null when a signal ended it. */
  readonly status: number | null
  /** Standard output, up to `buildLimits.toolOutputBytesMax`, its end. */
  readonly output: string
  /** Standard error, likewise. */
  readonly errors: string
}

export interface ToolOptions {
  /** Added to a small environment; undefined removes. */
  readonly environment?: Readonly<Record<string, string>>
  readonly directory?: string
  readonly input?: string
  /** Aborting kills the tool. */
  readonly signal?: AbortSignal
  readonly outputBytesMax?: number
}

/** @throws EverbootError EB-TOOL-MISSING when it cannot be started, EB-TIMEOUT, EB-CANCELLED */
export function runTool(path: string, args: readonly string[], options: ToolOptions = {}): Promise<ToolRun> {
  const { promise, resolve, reject } = Promise.withResolvers<ToolRun>()
  const failed = (act: () => never): void => {
    try {
      act()
    } catch (caught) {
      reject(caught)
    }
  }
  const child = spawn(path, args, {
    env: { ...smallEnvironment(), ...options.environment },
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: buildLimits.toolMs,
    killSignal: 'SIGKILL',
    ...(options.directory === undefined ? {} : { cwd: options.directory }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  })
  const limit = options.outputBytesMax ?? buildLimits.toolOutputBytesMax
  const output = tail(child.stdout, limit)
  const errors = tail(child.stderr, limit)
  child.on('error', (cause) => {
    if (options.signal?.aborted) failed(() => raise('EB-CANCELLED', `${path} was stopped`, { cause }))
    else failed(() => raise('EB-TOOL-MISSING', `${path} cannot be started: ${cause.message}`, { cause }))
  })
  child.on('close', (status, signal) => {
    if (signal === 'SIGKILL' && options.signal?.aborted !== true) {
      failed(() => raise('EB-TIMEOUT', `${path} was ended after ${buildLimits.toolMs} ms or killed`))
    } else resolve({ status, output: output(), errors: errors() })
  })
  child.stdin.on('error', () => {
    // A tool that does not read its input closes it; its exit status says what matters.
  })
  child.stdin.end(options.input ?? '')
  return promise
}

function smallEnvironment(): Record<string, string> {
  const kept = ['PATH', 'HOME', 'TMPDIR', 'http_proxy', 'https_proxy', 'no_proxy']
  const own = kept.flatMap((name) => {
    const value = process.env[name]
    return value === undefined ? [] : [[name, value] as const]
  })
  return { ...Object.fromEntries(own), LC_ALL: 'C', TZ: 'UTC' }
}

/** Collects the end of a stream. */
function tail(stream: NodeJS.ReadableStream, limit: number): () => string {
  let kept: Buffer<ArrayBufferLike> = Buffer.alloc(0)
  stream.on('data', (chunk: Buffer) => {
    kept = Buffer.concat([kept, chunk])
    if (kept.length > 2 * limit) kept = kept.subarray(kept.length - limit)
  })
  return () => kept.subarray(Math.max(0, kept.length - limit)).toString('utf8')
}
