/**
 * Runs the health checks of the configuration: local services that answer, programs that end well, and the
 * built-in check that the running system is for this board.
 * Promise: every check ends by its deadline; a check that cannot be run has failed.
 * Leaves to others: what failing means (verdict.ts).
 */
import { faultOf } from '../../core/errors.ts'
import { trialLimits } from '../../core/limits.ts'
import type { Machine } from '../../core/ports.ts'
import type { Seal } from '../../images/release/seal.ts'
import type { CheckResult } from './verdict.ts'

/** One check of the configuration. */
export type HealthCheck =
  | { readonly name: string; readonly probe: string }
  | { readonly name: string; readonly program: readonly string[] }

/** @param ownSeal of the running slot; @param product of this device */
export async function runChecks(
  checks: readonly HealthCheck[],
  machine: Machine,
  ownSeal: Seal | null,
  product: string,
): Promise<readonly CheckResult[]> {
  const configured = await Promise.all(checks.map((it) => runCheck(it, machine)))
  return [hardwareCheck(ownSeal, product), ...configured]
}

/** What runs must be sealed for this product; the plan compared the hardware ids before it was installed. */
function hardwareCheck(ownSeal: Seal | null, product: string): CheckResult {
  const passed = ownSeal !== null && ownSeal.product === product
  const found = ownSeal === null ? 'no valid seal' : `product ${ownSeal.product}`
  return { name: 'hardware', passed, output: passed ? '' : `the running slot has ${found}, not ${product}` }
}

async function runCheck(check: HealthCheck, machine: Machine): Promise<CheckResult> {
  try {
    return await run(check, machine)
  } catch (caught) {
    return { name: check.name, passed: false, output: faultOf(caught).what }
  }
}

async function run(check: HealthCheck, machine: Machine): Promise<CheckResult> {
  const { name } = check
  if ('probe' in check) {
    const status = await machine.probe(check.probe, trialLimits.checkMs)
    const passed = status !== null && status >= 200 && status < 300
    const output = status === null ? `${check.probe} does not answer` : `${check.probe} answers ${status}`
    return { name, passed, output: passed ? '' : output }
  }
  const result = await machine.run(check.program, trialLimits.checkMs)
  const end = result.timedOut ? 'took too long' : `ended with ${result.status ?? 'a signal'}`
  const passed = result.status === 0
  return { name, passed, output: passed ? '' : `${end}: ${result.output}` }
}
