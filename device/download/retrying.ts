/**
 * Runs a transfer again after failures, as `retryDecision` allows, until it succeeds, is cancelled or is
 * given up.
 * Leaves to others: the transfer.
 */
import type { Fault } from '../../core/errors.ts'
import type { Clock, Events, Random } from '../../core/ports.ts'
import { fail, ok, type Result } from '../../core/result.ts'
import { wait } from '../wait.ts'
import { retryDecision, type TransferFault } from './transfer-fault.ts'

export interface RetryHost {
  /** Resolves after `waitMs`, or earlier when the hub is heard of again or `cancelled` is aborted. */
  waitForLink(waitMs: number): Promise<void>
  readonly cancelled: AbortSignal
}

export interface RetryPorts {
  readonly clock: Clock
  readonly random: Random
  readonly events: Events
}

/**
 * @param progress a number that rises when something was gained; failures are counted since the last rise
 * @returns the outcome, `null` when cancelled, or the fault that ends it
 */
export async function retrying<T>(
  action: () => Promise<Result<T, TransferFault>>,
  progress: () => number,
  host: RetryHost,
  ports: RetryPorts,
): Promise<Result<T | null, Fault>> {
  let tries = 0
  let before = progress()
  for (;;) {
    if (host.cancelled.aborted) return ok(null)
    const outcome = await action()
    if (outcome.ok) return outcome
    if (host.cancelled.aborted) return ok(null)
    tries = progress() > before ? 1 : tries + 1
    before = progress()
    const decision = retryDecision(outcome.error, tries, ports.random)
    const { code, what } = outcome.error.fault
    const waitMs = decision.kind === 'give up' ? 0 : decision.waitMs
    ports.events.emit({ event: 'transfer failed', code, what, next: decision.kind, waitMs })
    if (decision.kind === 'give up') return fail(outcome.error.fault)
    // What a server asked for is waited for even when the hub is heard of meanwhile.
    const firmMs = decision.kind === 'retry' ? waitMs : decision.askedMs
    await wait(ports.clock, firmMs, host.cancelled)
    if (decision.kind === 'wait for the link') await host.waitForLink(waitMs - firmMs)
  }
}
