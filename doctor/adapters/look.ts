/**
 * Looking without touching: what a look finds, or why it finds nothing.
 * Promise: no look throws for a reason outside the program; what only another user may see is told apart.
 */
import { EverbootError, fault, faultOf } from '../../core/errors.ts'
import { doctorLimits } from '../../core/limits.ts'
import type { Found } from '../facts.ts'

/** @param what names the thing in the fault of a look that fails by an error of the system */
export async function look<T>(what: string, work: () => T | Promise<T>): Promise<Found<T>> {
  try {
    return { kind: 'found', value: await inTime(what, work) }
  } catch (caught) {
    const code = codeOf(caught)
    if (code === 'EACCES' || code === 'EPERM') return { kind: 'denied' }
    if (caught instanceof EverbootError) return { kind: 'failed', fault: caught.fault }
    if (code === undefined) return { kind: 'failed', fault: faultOf(caught) }
    return { kind: 'failed', fault: fault('EB-FILE', `${what} cannot be read (${code})`) }
  }
}

async function inTime<T>(what: string, work: () => T | Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    const { answerMs } = doctorLimits
    const why = fault('EB-TIMEOUT', `${what} did not answer in ${answerMs / 1000} s`)
    timer = setTimeout(() => reject(new EverbootError(why)), answerMs)
  })
  try {
    return await Promise.race([work(), late])
  } finally {
    clearTimeout(timer)
  }
}

/** The system's code of an error, or of what caused it. */
function codeOf(caught: unknown): string | undefined {
  if (!(caught instanceof Error)) return undefined
  const { code } = caught as NodeJS.ErrnoException
  return code ?? codeOf(caught.cause)
}
