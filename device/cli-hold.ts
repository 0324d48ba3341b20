/**
 * `everboot device inhibit`, `release`, `activate`, `refresh`, `watch`: what programs and people say to an agent about
 * when to update, and how they follow it.
 * Leaves to others: the agent, which is asked over its socket.
 */
import { type Command, type CommandInput, flagOption, numberOption, requiredOption } from '../core/command.ts'
import { inhibitLimits } from '../core/service-limits.ts'
import { askAgent, watchAgent } from './adapters/control-socket.ts'
import { printStatus, socketOf, socketOption, statusLine } from './cli-status.ts'
import type { LocalRequest } from './local-request.ts'

const none = { positionals: '', positionalsMin: 0, positionalsMax: 0 } as const

async function asked(input: CommandInput, request: LocalRequest): Promise<number> {
  printStatus(input, await askAgent(socketOf(input), request))
  return 0
}

const inhibit: Command = {
  name: 'device inhibit',
  summary: 'Say "not now": updates are downloaded, but the device does not restart',
  ...none,
  options: {
    ...socketOption,
    who: { type: 'string', value: 'NAME', means: 'who holds updates up (required)' },
    why: { type: 'string', value: 'TEXT', means: 'shown on the device and at the hub (required)' },
    seconds: { type: 'string', value: 'N', means: 'until then, unless renewed (default: until released)' },
    start: { type: 'boolean', means: 'updates do not even begin' },
  },
  notes:
    'A reboot of the device ends it too. Example: everboot device inhibit --who player --why "a film runs" --seconds 7200',
  run: (input) => {
    const seconds = numberOption(input, 'seconds', 1, inhibitLimits.leaseMsMax / 1000)
    return asked(input, {
      op: 'inhibit',
      who: requiredOption(input, 'who'),
      why: requiredOption(input, 'why'),
      ...(seconds === undefined ? {} : { forMs: seconds * 1000 }),
      ...(flagOption(input, 'start') ? { step: 'start' } : {}),
    })
  },
}

const release: Command = {
  name: 'device release',
  summary: 'Take back a "not now"',
  positionals: 'NAME',
  positionalsMin: 1,
  positionalsMax: 1,
  options: socketOption,
  run: (input) => asked(input, { op: 'release', who: input.positionals[0] ?? '' }),
}

const activate: Command = {
  name: 'device activate',
  summary: 'Restart into the new system that waits for this word',
  ...none,
  options: socketOption,
  run: (input) => asked(input, { op: 'activate' }),
}

const refresh: Command = {
  name: 'device refresh',
  summary: 'Begin now what waits to begin, and try the network again',
  ...none,
  options: socketOption,
  run: (input) => asked(input, { op: 'refresh' }),
}

const watch: Command = {
  name: 'device watch',
  summary: 'Follow what the device does, a line for each change',
  ...none,
  options: socketOption,
  notes: 'With --json: one JSON object a line, until interrupted.',
  async run(input) {
    const { io } = input
    let last = ''
    await watchAgent(
      socketOf(input),
      (it) => {
        const line = input.json ? JSON.stringify(it) : statusLine(it)
        if (line !== last) io.out(line)
        last = line
      },
      io.interrupted,
    )
    return 0
  },
}

export const holdCommands: readonly Command[] = [inhibit, release, activate, refresh, watch]
