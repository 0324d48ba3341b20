/**
 * The processes of one boot, started and killed as one.
 * Promise: with a process namespace, nothing of a boot outlives `kill()` or this process, however either ends
 * and whatever the boot has started; with a group only, a process that leaves the group does.
 * Leaves to others: what runs in it, mounts, the console (lines go to `console`).
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { boardLimits } from '../../core/limits.ts'
import { lines } from './lines.ts'
import { runTool } from './tools.ts'
import { within } from './wait.ts'

/** How the processes of a boot are held together. A `bare-group` also outlives this process when that is killed. */
export type Holding = 'namespace' | 'user-namespace' | 'group' | 'bare-group'

export interface SystemProcess {
  /** Of the process that holds the others. */
  readonly pid: number
  /** Resolves, in words, when everything has ended. */
  readonly ended: Promise<string>
  /** Kills everything; resolves when it is gone or the deadline has passed. */
  kill(): Promise<void>
}

export interface SystemPlan {
  readonly argv: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  readonly holding: Holding
  /** Where to mount a `/proc` of the namespace, or null. */
  readonly procAt: string | null
}

/** What this machine allows, the best first. */
export async function bestHolding(): Promise<Holding> {
  for (const holding of ['namespace', 'user-namespace'] as const) {
    const argv = prefix(holding, null, process.pid)
    if ((await runTool([...argv, 'true'])).status === 0) return holding
  }
  return 'group'
}

/** Must be called from the main thread: the death signal follows the thread that started the process. */
export function startSystem(plan: SystemPlan, console: (line: string) => void): SystemProcess {
  const [program = '', ...args] = [...prefix(plan.holding, plan.procAt, process.pid), ...plan.argv]
  const child = spawn(program, args, {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...plan.environment },
  })
  let killed = false
  // What the tools around the system say about being killed is not the system's.
  const take = (line: string): void => {
    if (!killed) console(line)
  }
  child.stdout.on('data', lines(take))
  child.stderr.on('data', lines(take))
  const ended = new Promise<string>((resolve) => {
    child.on('error', (error) => resolve(`does not start: ${error.message}`))
    child.on('close', (status, signal) => resolve(signal === null ? `status ${status}` : `${signal}`))
  })
  return {
    pid: child.pid ?? 0,
    ended,
    kill() {
      killed = true
      return kill(child, plan.holding, ended)
    },
  }
}

/**
 * The parent may die before the death signal is set; the shell then finds another parent and starts nothing.
 */
function prefix(holding: Holding, procAt: string | null, parent: number): readonly string[] {
  const dieWithUs = [
    ...['setpriv', '--pdeathsig', 'KILL', '--'],
    ...['sh', '-c', '[ "$PPID" = "$0" ] && exec "$@"', `${parent}`],
  ]
  const space = ['unshare', '--pid', '--fork', '--kill-child=KILL']
  const proc = procAt === null ? [] : [`--mount-proc=${procAt}`]
  if (holding === 'bare-group') return []
  if (holding === 'group') return dieWithUs
  if (holding === 'namespace') return [...dieWithUs, ...space, ...proc, '--']
  // The death signal is lost when the user namespace is entered, so it is set after that.
  const asUser = ['unshare', '--user', '--map-current-user', '--keep-caps', '--']
  const withoutPowers = ['setpriv', '--inh-caps=-all', '--ambient-caps=-all', '--']
  return [...asUser, ...dieWithUs, ...space, ...proc, '--', ...withoutPowers]
}

async function kill(child: ChildProcess, holding: Holding, ended: Promise<string>): Promise<void> {
  if (child.pid === undefined) return
  // Process 1 of a namespace ends only after everything else in it has.
  const first = holding.endsWith('group') ? null : onlyChildOf(child.pid)
  if (first !== null) signal(first)
  else signal(-child.pid)
  if ((await within(boardLimits.killMs, ended)) !== null) return
  signal(-child.pid)
  signal(child.pid)
  await within(boardLimits.killMs, ended)
}

function signal(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (caught) {
    if ((caught as NodeJS.ErrnoException).code !== 'ESRCH') throw caught
  }
}

function onlyChildOf(pid: number): number | null {
  try {
    const [first = ''] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')
    return first === '' ? null : Number(first)
  } catch {
    return null
  }
}
