/**
 * Why a transfer failed and what may be done about it.
 * Promise: pure; never a loop on a refusal, never an endless quick retry, always the field's full jitter.
 */
import { backoffMs } from '../../core/backoff.ts'
import { EverbootError, errorTable, type Fault, fault } from '../../core/errors.ts'
import { downloadLimits } from '../../core/limits.ts'
import type { FetchResponse, Random } from '../../core/ports.ts'

/** `network`: may be better later. `bytes`: came, but are wrong. `final`: asking again changes nothing. */
export type FaultClass = 'network' | 'bytes' | 'final'

export interface TransferFault {
  readonly fault: Fault
  readonly class: FaultClass
  /** What the server asked to wait. */
  readonly retryAfterMs: number | null
}

export function transferFault(of: FaultClass, it: Fault, retryAfterMs: number | null = null): TransferFault {
  return { class: of, fault: it, retryAfterMs }
}

/** What to do after a failure. `wait for the link` ends early when the hub is heard of again, but not before `askedMs`. */
export type RetryDecision =
  | { readonly kind: 'retry'; readonly waitMs: number }
  | { readonly kind: 'wait for the link'; readonly waitMs: number; readonly askedMs: number }
  | { readonly kind: 'give up' }

/** @param tries failures so far without progress in between, this one included */
export function retryDecision(failure: TransferFault, tries: number, random: Random): RetryDecision {
  if (failure.class === 'final') return { kind: 'give up' }
  const jitter = backoffMs(
    tries,
    { baseMs: downloadLimits.retryBaseMs, ceilingMs: downloadLimits.retryCeilingMs },
    random,
  )
  const asked = Math.min(failure.retryAfterMs ?? 0, downloadLimits.retryCeilingMs)
  const waitMs = Math.max(jitter, asked)
  if (tries < downloadLimits.triesPerPiece) return { kind: 'retry', waitMs }
  return failure.class === 'network'
    ? { kind: 'wait for the link', waitMs, askedMs: asked }
    : { kind: 'give up' }
}

/** What a status other than 200 and 206 means. */
export function refused(url: string, response: FetchResponse): TransferFault {
  const { status, retryAfterMs } = response
  if (status === 401 || status === 403)
    return transferFault('final', fault('EB-AUTH', `${url} answers ${status}`))
  if (status === 416) return transferFault('final', fault('EB-RANGE', `${url} has no such range (416)`))
  const later = status >= 500 || status === 408 || status === 425 || status === 429
  return transferFault(
    later ? 'network' : 'final',
    fault('EB-HTTP-STATUS', `${url} answers ${status}`),
    retryAfterMs,
  )
}

/** An exception of the fetch port: no answer, or the connection broke; or a file that is not what it was. */
export function fromPort(caught: unknown): TransferFault {
  if (!(caught instanceof EverbootError)) throw caught
  const { fault: it } = caught
  return transferFault(errorTable[it.code].family === 'network' ? 'network' : 'final', it)
}
