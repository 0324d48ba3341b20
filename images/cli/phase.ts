/**
 * Progress of a long command: a bar on a terminal, nothing elsewhere.
 * Promise: redraws at most every `buildLimits.reportMs`; stops the command when it is interrupted.
 */
import type { CommandInput } from '../../core/command.ts'
import { raise } from '../../core/errors.ts'
import { buildLimits } from '../../core/limits.ts'
import { progressLine } from '../build/progress-line.ts'

/** @returns what to call with the name of the phase, bytes done and bytes in all. */
export function phaseReporter(input: CommandInput): (name: string, done: number, total: number) => void {
  const { io } = input
  let lastMs = Number.NEGATIVE_INFINITY
  let lastName = ''
  return (name, done, total) => {
    if (io.interrupted.aborted) raise('EB-CANCELLED', 'the command was interrupted')
    const now = performance.now()
    if (!io.terminal || (name === lastName && now - lastMs < buildLimits.reportMs)) return
    lastMs = now
    lastName = name
    io.draw(progressLine(name, done, total, io.columns))
  }
}
