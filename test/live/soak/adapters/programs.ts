/**
 * Everboot's programs as processes that can be killed: the hub, the board.
 * Promise: they live in process groups of their own, so that Ctrl-C reaches only the soak, and die with it,
 * however it ends; everything they print is in a log file.
 */
import { spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { soakLimits } from '../limits.ts'

export const entry = fileURLToPath(new URL('../../../../everboot.ts', import.meta.url))

export interface Program {
  readonly pid: number
  /** Resolves, in words, when it has ended. */
  readonly ended: Promise<string>
  /** Sends the signal and waits for the end, which is forced after a while. @returns how it ended */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<string>
}

/**
 * @param args of `everboot`
 * @param log file to which everything printed is added
 */
export function startProgram(
  args: readonly string[],
  log: string,
  onLine: (line: string, from: 'out' | 'err') => void,
): Program {
  const words = ['--pdeathsig', 'KILL', '--', process.execPath, entry, ...args]
  const child = spawn('setpriv', words, { stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  const file = createWriteStream(log, { flags: 'a' })
  for (const [from, stream] of [['out', child.stdout] as const, ['err', child.stderr] as const]) {
    createInterface({ input: stream }).on('line', (line) => {
      file.write(`${new Date().toISOString()} ${line}\n`)
      onLine(line, from)
    })
  }
  const ended = new Promise<string>((resolve) => {
    child.on('error', (error) => resolve(`does not start: ${error.message}`))
    child.on('close', (status, signal) => {
      file.end()
      resolve(signal ?? `status ${status}`)
    })
  })
  return {
    pid: child.pid ?? 0,
    ended,
    async end(signal) {
      child.kill(signal)
      const force = setTimeout(() => child.kill('SIGKILL'), soakLimits.stopMs)
      const how = await ended
      clearTimeout(force)
      return how
    },
  }
}
