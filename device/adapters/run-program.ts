/**
 * Runs programs of the integrator: hooks, health checks, the reboot command.
 * Promise: ended by the deadline, with all its children (they form a process group of their own); of its
 * output the end is kept, whatever its length; a program that cannot be started is a result, not an exception.
 * Leaves to others: what the result means.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { trialLimits } from '../../core/limits.ts'
import type { ProgramResult } from '../../core/ports.ts'

/**
 * Ends when the program ends; what it left running in the background is its own business.
 * @param environment is added to the agent's own
 */
export function runProgram(
  argv: readonly string[],
  environment: Readonly<Record<string, string>>,
  deadlineMs: number,
): Promise<ProgramResult> {
  return new Promise((resolve) => {
    const output = tailBuffer(trialLimits.hookOutputBytesMax)
    let timedOut = false
    let status: number | null = null
    const done = (): void => {
      clearTimeout(deadline)
      clearTimeout(grace)
      child?.stdout?.destroy()
      child?.stderr?.destroy()
      resolve({ status: timedOut ? null : status, timedOut, output: output.text() })
    }
    const child = start(argv, environment, (why) => {
      output.add(Buffer.from(why))
      done()
    })
    let grace: NodeJS.Timeout | undefined
    const deadline = setTimeout(() => {
      timedOut = true
      killGroup(child)
    }, deadlineMs)
    if (child === null) return
    child.stdout?.on('data', output.add)
    child.stderr?.on('data', output.add)
    child.on('exit', (code) => {
      status = code
      // Its last output may still be in the pipe; a daemon that inherited the pipe must not hold us up.
      grace = setTimeout(done, trialLimits.outputGraceMs)
    })
    child.on('close', done)
  })
}

/** @param failed is called when there is no process, now or later. @returns null when there is none already */
function start(
  [program = '', ...args]: readonly string[],
  environment: Readonly<Record<string, string>>,
  failed: (why: string) => void,
): ChildProcess | null {
  try {
    const child = spawn(program, args, {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...environment },
    })
    child.on('error', (caught) => failed(caught.message))
    return child
  } catch (caught) {
    queueMicrotask(() => failed((caught as Error).message))
    return null
  }
}

function killGroup(child: ChildProcess | null): void {
  if (child?.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // It ended in this moment.
  }
}

/** Keeps the last bytes that were added. */
function tailBuffer(bytesMax: number) {
  let parts: Buffer[] = []
  let bytes = 0
  return {
    add(part: Buffer): void {
      parts.push(part)
      bytes += part.length
      if (bytes < 2 * bytesMax) return
      parts = [Buffer.concat(parts).subarray(-bytesMax)]
      bytes = bytesMax
    },
    text: (): string => Buffer.concat(parts).subarray(-bytesMax).toString('utf8'),
  }
}
