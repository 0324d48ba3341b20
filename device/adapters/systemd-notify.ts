/**
 * systemd as the service manager of the agent: sd_notify by the program `systemd-notify`.
 * Promise: null where no manager asks to be told; the address does not reach the programs that the agent runs; a
 * word that cannot be delivered is logged once and holds nothing up.
 * Leaves to others: what is told and when (service-pulse.ts). Node cannot open datagram sockets of the Unix family.
 */
import { spawn } from 'node:child_process'
import type { Events } from '../../core/ports.ts'
import { serviceLimits } from '../../core/service-limits.ts'
import type { ServiceManager } from '../service-pulse.ts'

/** @param environment of the process; what is for the agent alone is taken out of it */
export function systemdManager(
  environment: NodeJS.ProcessEnv,
  events: Events,
  program = 'systemd-notify',
): ServiceManager | null {
  const { NOTIFY_SOCKET: address, WATCHDOG_USEC: period, WATCHDOG_PID: watched } = environment
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete environment[name]
  if (address === undefined || address === '') return null
  const mine = watched === undefined || watched === '' || Number(watched) === process.pid
  const periodMs = /^\d{1,15}$/.test(period ?? '') ? Number(period) / 1000 : 0
  let failed = false
  return {
    watchdogMs: mine && periodMs > 0 ? periodMs : null,
    async tell(words) {
      const why = await notify(program, words, { ...environment, NOTIFY_SOCKET: address })
      if (why !== null && !failed) events.emit({ event: 'service manager not told', what: why })
      failed = why !== null
    },
  }
}

/** @returns null, or why it could not be told */
function notify(
  program: string,
  words: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<string | null> {
  return new Promise((resolve) => {
    const child = spawn(program, words, {
      env: environment,
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: serviceLimits.tellMs,
      killSignal: 'SIGKILL',
    })
    let said = ''
    child.stderr.on('data', (part: Buffer) => {
      said = `${said}${part.toString()}`.slice(-serviceLimits.tellTextMax)
    })
    child.on('error', (caught) => resolve(`${program}: ${caught.message}`))
    child.on('close', (status) =>
      resolve(status === 0 ? null : `${program} ended with ${status ?? 'a signal'}: ${said.trim()}`),
    )
  })
}
