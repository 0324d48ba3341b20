/**
 * `everboot device …`: what a person does on the board itself.
 * Leaves to others: the agent, which is asked over its socket.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Command, type CommandInput, flagOption, textOption } from '../core/command.ts'
import { exitStatus } from '../core/errors.ts'
import { wireLimits } from '../core/limits.ts'
import { askAgent } from './adapters/control-socket.ts'
import { readAgentConfig, runAgent } from './adapters/run-agent.ts'
import { holdCommands } from './cli-hold.ts'
import { printStatus, socketOf, socketOption, statusLine } from './cli-status.ts'
import type { LocalRequest, LocalStatus } from './local-request.ts'
import { state } from './state/cli.ts'

const defaultConfig = '/etc/everboot/agent.json'
const pollMs = 500

const configOption = {
  config: { type: 'string', value: 'FILE', means: `configuration (default ${defaultConfig})` },
} as const

const run: Command = {
  name: 'device run',
  summary: 'Run the agent of this device',
  positionals: '',
  positionalsMin: 0,
  positionalsMax: 0,
  options: configOption,
  async run(input) {
    await runAgent(textOption(input, 'config') ?? defaultConfig)
    return 0
  },
}

const check: Command = {
  name: 'device check',
  summary: 'Whether configuration, trust and identity are there and in order',
  positionals: '',
  positionalsMin: 0,
  positionalsMax: 0,
  options: configOption,
  async run(input) {
    const { settings } = readAgentConfig(textOption(input, 'config') ?? defaultConfig)
    const { deviceId, product, hubUrl } = settings
    if (input.json) input.io.out(JSON.stringify({ ok: true, deviceId, product, hub: hubUrl }))
    else input.io.out(`${deviceId} (${product}) is set up for the hub ${hubUrl}`)
    return 0
  },
}

const status: Command = {
  name: 'device status',
  summary: 'What the device runs, what the other slot holds, what it is doing',
  positionals: '',
  positionalsMin: 0,
  positionalsMax: 0,
  options: socketOption,
  async run(input) {
    printStatus(input, await askAgent(socketOf(input), { op: 'status' }))
    return 0
  },
}

const install: Command = {
  name: 'device install',
  summary: 'Install a release file that lies on the device',
  positionals: 'FILE.ebr',
  positionalsMin: 1,
  positionalsMax: 1,
  options: {
    ...socketOption,
    later: { type: 'boolean', means: 'restart only at a word: everboot device activate' },
  },
  notes:
    'FILE.ebr is a path as the agent sees it. Ends when the device reboots into the new system (0) or the\ninstallation has failed (6).',
  run: (input) =>
    follow(input, {
      op: 'install',
      file: input.positionals[0] ?? '',
      ...(flagOption(input, 'later') ? { later: true } : {}),
    }),
}

const rollback: Command = {
  name: 'device rollback',
  summary: 'Go back to the system in the other slot, without a download',
  positionals: '',
  positionalsMin: 0,
  positionalsMax: 0,
  options: socketOption,
  run: (input) => follow(input, { op: 'rollback' }),
}

/** Begins an attempt and follows it to the reboot or its end. */
async function follow(input: CommandInput, request: LocalRequest): Promise<number> {
  const { io } = input
  let seen = await askAgent(socketOf(input), request)
  const { bootId } = seen.status
  for (let awayMs = 0; ; ) {
    io.draw(statusLine(seen))
    if (io.interrupted.aborted) return exitStatus.internal
    await sleep(pollMs)
    const next = await askAgent(socketOf(input), { op: 'status' }).catch(() => null)
    awayMs = next === null ? awayMs + pollMs : 0
    const gone = awayMs >= wireLimits.agentAwayMs || (next !== null && next.status.bootId !== bootId)
    if (gone || next?.status.state === 'REBOOTING') {
      if (input.json) io.out(JSON.stringify({ outcome: 'rebooting' }))
      else io.out('the device restarts into the new system, on trial')
      return 0
    }
    if (next === null) continue
    seen = next
    if (next.status.attempt === null && next.status.state === 'IDLE') return ended(input, next)
  }
}

/** The attempt has ended in this boot: by a failure, or because the release runs already. */
function ended(input: CommandInput, it: LocalStatus): number {
  printStatus(input, it)
  if (it.lastReport?.result === 'ok') return 0
  const { code = 'EB-NO-VERDICT', what = 'the attempt ended without a reason' } = it.lastReport ?? {}
  if (!input.json) input.io.err(`${code}: ${what}`)
  return exitStatus.updateFailed
}

export const commands: readonly Command[] = [run, check, status, install, rollback, ...holdCommands, state]
