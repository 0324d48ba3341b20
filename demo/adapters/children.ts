/**
 * Everboot's own commands as child processes, as a user would type them.
 * Promise: a command that fails fails the demonstration with its own words; a long-running child ends with
 * its parent, however that ends.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { present } from '../../core/assert.ts'
import { EverbootError, fault, isErrorCode } from '../../core/errors.ts'
import { demoLimits } from '../../core/limits.ts'

const tie = '/usr/bin/setpriv'

export interface Children {
  /** Runs a command with --json. @returns its object. @throws EverbootError the error of the command */
  run(args: readonly string[]): Promise<Record<string, unknown>>
  /** Starts a command that runs on. @param onLine is given each line of its output */
  service(args: readonly string[], onLine: (line: string, from: 'out' | 'err') => void): Service
}

/** @param entry path of the program: `everboot.ts` or what the package has in its place */
export function children(entry: string): Children {
  return {
    run: (args) => run(entry, args),
    service: (args, onLine) => service(entry, args, onLine),
  }
}

function run(entry: string, args: readonly string[]): Promise<Record<string, unknown>> {
  const child = spawn(process.execPath, [entry, ...args, '--json'], { stdio: ['ignore', 'pipe', 'pipe'] })
  return new Promise((resolve, reject) => {
    const deadline = setTimeout(() => child.kill('SIGKILL'), demoLimits.commandMs)
    let out = ''
    let errors = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors += text
    })
    child.on('error', reject)
    child.on('close', (status) => {
      clearTimeout(deadline)
      const lastLine = out.trim().split('\n').at(-1) ?? ''
      const answer = lastLine.startsWith('{') ? (JSON.parse(lastLine) as Record<string, unknown>) : null
      if (status === 0 && answer !== null) return resolve(answer)
      reject(new EverbootError(errorOf(answer, args, errors)))
    })
  })
}

function errorOf(answer: Record<string, unknown> | null, args: readonly string[], errors: string) {
  const { code, what, todo } = (answer?.['error'] ?? {}) as Record<string, string>
  if (code !== undefined && isErrorCode(code)) return fault(code, what ?? '', todo)
  return fault('EB-INTERNAL', `everboot ${args.slice(0, 2).join(' ')} failed: ${errors.slice(-400)}`)
}

export interface Service {
  /** Ends it, by force after a while. */
  stop(): Promise<void>
}

function service(
  entry: string,
  args: readonly string[],
  onLine: (line: string, from: 'out' | 'err') => void,
): Service {
  const words = [process.execPath, entry, ...args]
  const tied = existsSync(tie) ? [tie, '--pdeathsig', 'TERM', '--', ...words] : words
  const [program = '', ...rest] = tied
  const child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'] })
  for (const from of ['out', 'err'] as const) {
    const stream = from === 'out' ? child.stdout : child.stderr
    createInterface({ input: present(stream, 'pipe') }).on('line', (line) => onLine(line, from))
  }
  return { stop: () => stop(child) }
}

function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  return new Promise((resolve) => {
    const force = setTimeout(() => child.kill('SIGKILL'), demoLimits.stopMs)
    child.once('close', () => {
      clearTimeout(force)
      resolve()
    })
    child.kill('SIGTERM')
  })
}
