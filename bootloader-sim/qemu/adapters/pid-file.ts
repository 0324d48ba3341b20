/**
 * Which machine runs in a directory, for people and for the next start.
 * Promise: a file left behind by a machine that has ended never stands in the way, also when its number now
 * belongs to another process; one that still runs does (EB-BOARD-RUNNING). Source: proc(5), starttime.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { raise } from '../../../core/errors.ts'

/** @throws EverbootError EB-BOARD-RUNNING */
export function refuseRunning(path: string): void {
  const pid = runningPid(path)
  if (pid === null) return
  raise('EB-BOARD-RUNNING', `the machine of ${path} still runs as process ${pid}`, {
    todo: `end it with kill ${pid}, then start again`,
  })
}

/** @returns the process that the file names, when it is still the same one */
export function runningPid(path: string): number | null {
  const [, pid = '', started = ''] = /^(\d+) (\d+)\n$/.exec(textOf(path)) ?? []
  return pid !== '' && startOf(Number(pid)) === started ? Number(pid) : null
}

export function writePidFile(path: string, pid: number): void {
  writeFileSync(path, `${pid} ${startOf(pid) ?? 0}\n`)
}

export function removePidFile(path: string): void {
  rmSync(path, { force: true })
}

/** When a process started, in the clock ticks of the kernel; null when it has ended. */
function startOf(pid: number): string | null {
  const text = textOf(`/proc/${pid}/stat`)
  // The name in parentheses may hold anything; the fields after the last one count: state is the first.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return text === '' || fields[0] === 'Z' ? null : (fields[19] ?? null)
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
