/**
 * `everboot console`: a serial console for people and for scripts.
 * Leaves to others: lines, scripts and their end (watch.ts), the wire (adapters/).
 */
import { type Command, type CommandInput, numberOption, textOption } from '../core/command.ts'
import { EverbootError, exitStatusOf, faultText, raise } from '../core/errors.ts'
import { consoleLimits } from '../core/limits.ts'
import { dateText, systemClock } from './adapters/clock.ts'
import { type LogFile, openLog } from './adapters/log-file.ts'
import { openConsole } from './adapters/open.ts'
import { takeKeys } from './adapters/terminal.ts'
import { parseSteps, type Step } from './script.ts'
import { rawStamps, timeForm, timeStamp } from './time-stamp.ts'
import type { ControlLine, Transport } from './transport.ts'
import { type Outcome, type Sink, watch } from './watch.ts'

const serialConsole: Command = {
  name: 'console',
  summary: 'Show the serial console of a device or QEMU machine, or play a script on it',
  positionals: 'DEVICE|SOCKET',
  positionalsMin: 1,
  positionalsMax: 1,
  options: {
    baud: { type: 'string', value: 'N', means: `speed (default ${consoleLimits.baudDefault})` },
    time: {
      type: 'string',
      value: 'FORM',
      means: 'time of each line: none, clock (UTC) or since-start (default)',
    },
    log: { type: 'string', value: 'FILE', means: 'add the lines to this file' },
    expect: { type: 'string', value: 'PATTERN', multiple: true, means: 'wait for this regular expression' },
    send: {
      type: 'string',
      value: 'TEXT',
      multiple: true,
      means:
        'send this once everything before it was seen; \\r is the Enter key, also \\n \\t \\e \\\\ \\xHH',
    },
    timeout: {
      type: 'string',
      value: 'SECONDS',
      means: `how long it may take in all (default ${consoleLimits.scriptMs / 1000} with --expect, else no end)`,
    },
    reset: { type: 'string', value: 'dtr|rts', means: 'first drop this line for a moment and raise it' },
  },
  notes: `In a terminal keys go to the device, and Ctrl-] ends. With --expect or --send it is a script: the steps are
taken in the order given, and it ends with 0 when all were seen, or with EB-NOT-SEEN (6) and the last lines.
A pattern is looked for in one line at a time; a prompt counts when the device was silent for ${consoleLimits.quietMs} ms.
Example: everboot console /dev/ttyUSB0 --expect 'login: ' --send 'root\\r' --expect '# $'`,
  async run(input) {
    const steps = parseSteps(input.given)
    const form = timeForm(textOption(input, 'time') ?? 'since-start')
    const reset = resetOf(input)
    const timeoutMs = timeoutOf(input, steps)
    const { baudDefault, baudMin, baudMax } = consoleLimits
    const baud = numberOption(input, 'baud', baudMin, baudMax) ?? baudDefault
    const logPath = textOption(input, 'log')
    const transport = await openConsole(input.positionals[0] ?? '', baud)
    let log: LogFile | null = null
    try {
      log = logPath === undefined ? null : openLog(logPath)
      const stamp = timeStamp(form, systemClock, dateText)
      const toLog = (text: string, atMs: number): void => log?.line(`${stamp(atMs)}${text}`)
      const options = { steps, timeoutMs, reset }
      if (isInteractive(input, steps)) {
        const raw = rawStamps(stamp)
        const show = (bytes: Uint8Array, atMs: number): void => void process.stdout.write(raw(bytes, atMs))
        return await converse(input, transport, { bytes: show, line: toLog }, options)
      }
      const line = (text: string, atMs: number): void => {
        if (!input.json) input.io.out(`${stamp(atMs)}${text}`)
        toLog(text, atMs)
      }
      const ports = { transport, clock: systemClock, stop: input.io.interrupted }
      return report(input, steps, await watch({ ...ports, sink: { bytes: () => {}, line } }, options))
    } finally {
      await transport.close()
      log?.close()
    }
  },
}

export const commands: readonly Command[] = [serialConsole]

/** In a terminal, with the keys of its user. */
async function converse(
  input: CommandInput,
  transport: Transport,
  sink: Sink,
  options: { steps: readonly Step[]; timeoutMs: number | null; reset: ControlLine | null },
): Promise<number> {
  const ended = new AbortController()
  const stop = AbortSignal.any([ended.signal, input.io.interrupted])
  input.io.err(`console of ${transport.name}; Ctrl-] ends`)
  const giveBack = takeKeys(process.stdin, transport, () => ended.abort())
  try {
    const outcome = await watch({ transport, clock: systemClock, stop, sink }, options)
    // Whatever colour the device left behind.
    process.stdout.write('\x1b[0m\r\n')
    if (outcome.fault !== null) throw new EverbootError(outcome.fault)
    return 0
  } finally {
    giveBack()
  }
}

function report(input: CommandInput, steps: readonly Step[], outcome: Outcome): number {
  const { io, json } = input
  const { fault, seen, lastLines, lines, bytes } = outcome
  if (json)
    io.out(JSON.stringify({ seen, lines, bytes, lastLines, ...(fault === null ? {} : { error: fault }) }))
  if (fault === null) return 0
  if (steps.length > 0) {
    io.err(lines === 0 ? 'the device printed nothing' : `the last of ${lines} lines:`)
    for (const line of lastLines) io.err(`  ${line}`)
  }
  if (!json) throw new EverbootError(fault)
  io.err(faultText(fault))
  return exitStatusOf(fault.code)
}

/** Keys are taken where somebody sits, and nobody asked for a script or a document. */
function isInteractive(input: CommandInput, steps: readonly Step[]): boolean {
  return steps.length === 0 && !input.json && process.stdin.isTTY === true && process.stdout.isTTY === true
}

function resetOf(input: CommandInput): ControlLine | null {
  const line = textOption(input, 'reset')
  if (line === undefined || line === 'dtr' || line === 'rts') return line ?? null
  return raise('EB-USAGE', `--reset is ${JSON.stringify(line)}, not dtr or rts`)
}

function timeoutOf(input: CommandInput, steps: readonly Step[]): number | null {
  const seconds = numberOption(input, 'timeout', 1, consoleLimits.scriptSecondsMax)
  if (seconds !== undefined) return seconds * 1000
  return steps.length === 0 ? null : consoleLimits.scriptMs
}
