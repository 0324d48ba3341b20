/**
 * Expands `.xz` by the system's `xz`: no library that is kept well reads the format.
 * Promise: streams through pipes and waits for its taker; memory of `xz` is limited; it is gone when this returns.
 * Leaves to others: reading the file, naming it in the error.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { buildLimits, flashLimits } from '../../../core/limits.ts'
import { ensureHostTools } from './host-tools.ts'

/**
 * @throws Error with the message of `xz` when the input is damaged or ends too early
 * @throws EverbootError EB-TOOL-MISSING
 */
export async function expandByXz(
  chunks: AsyncIterable<Uint8Array>,
  take: (bytes: Uint8Array) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const tools = await ensureHostTools(['xz'], { install: false })
  const limit = `--memlimit-decompress=${flashLimits.xzMemoryBytesMax}`
  const options = ['--decompress', '--stdout', '--threads=1', '--no-warn', limit]
  const child = spawn(tools.path('xz'), options, { env: { LC_ALL: 'C' } })
  const ended = once(child, 'close')
  try {
    const errors = lastLineOf(child)
    const fed = feed(child, chunks, signal)
    for await (const bytes of child.stdout) await take(bytes as Buffer)
    const fault = await fed
    const [status] = (await ended) as [number | null]
    if (fault !== null) throw fault
    if (status !== 0) throw new Error(errors() || `xz ended with status ${status}`)
  } finally {
    child.kill('SIGKILL')
    await ended.catch(() => {})
  }
}

/** @returns what went wrong; a pipe that `xz` closed is told by its exit status. */
async function feed(
  child: ChildProcessWithoutNullStreams,
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<Error | null> {
  try {
    await pipeline(Readable.from(chunks, { objectMode: false }), child.stdin, { signal })
    return null
  } catch (caught) {
    const { code } = caught as NodeJS.ErrnoException
    if (code === 'EPIPE' || code === 'ERR_STREAM_PREMATURE_CLOSE') return null
    child.kill('SIGKILL')
    return caught as Error
  }
}

function lastLineOf(child: ChildProcessWithoutNullStreams): () => string {
  let text = ''
  child.stderr.on('data', (bytes: Buffer) => {
    text = `${text}${bytes.toString('utf8')}`.slice(-buildLimits.toolOutputBytesMax)
  })
  return () => text.trim().split('\n').at(-1) ?? ''
}
