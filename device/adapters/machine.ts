/**
 * The board itself: reboot, watchdog, programs, local services, last words of the boot before.
 * Promise: a program or probe ends by its deadline, with all its children; output is cut to a limit; after
 * a reboot was asked for nothing goes on.
 */
import {
  accessSync,
  closeSync,
  constants,
  openSync,
  readFileSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { raise } from '../../core/errors.ts'
import { trialLimits } from '../../core/limits.ts'
import type { HandOver, Machine } from '../../core/ports.ts'
import { readFirmwareFacts } from './firmware-facts.ts'
import { pstore } from './pstore.ts'
import { runProgram } from './run-program.ts'

const http = process.getBuiltinModule('node:http')

export interface MachineOptions {
  readonly handOver: HandOver
  readonly hardware: readonly string[]
  readonly watchdog: string | null
  readonly reboot:
    | {
        readonly command: readonly string[]
        /** Sets the firmware's one-shot flag too. */
        readonly trial?: readonly string[] | undefined
      }
    | { readonly file: string }
  readonly lastConsole: string | null
  readonly bootTrace: string | null
  /** Directories of what the kernel kept of crashes. */
  readonly pstore?: readonly string[]
  readonly hooks: string | null
  /** Directory of the device tree in which the firmware speaks of this boot; absent: it is never asked. */
  readonly flags?: string | null
}

export interface SystemMachine extends Machine {
  /** An orderly end of the agent: the watchdog is told not to bite. */
  disarm(): void
}

export function systemMachine(options: MachineOptions): SystemMachine {
  const watchdog = options.watchdog === null ? null : openWatchdog(options.watchdog)
  const crashes = pstore(options.pstore ?? [])
  return {
    handOver: () => options.handOver,
    hardware: () => options.hardware,
    firmware: () => (options.flags == null ? null : readFirmwareFacts(options.flags)),
    async reboot(how) {
      const { reboot } = options
      if ('file' in reboot) rebootByFile(reboot.file)
      else await rebootByCommand(how === 'trial' ? (reboot.trial ?? reboot.command) : reboot.command)
      return new Promise<never>(() => {})
    },
    pet: () => watchdog?.pet(),
    disarm: () => watchdog?.disarm(),
    run: (argv, deadlineMs) => runProgram(argv, {}, deadlineMs),
    async hook(name, environment, deadlineMs) {
      const path = options.hooks === null ? null : join(options.hooks, name)
      if (path === null || !isExecutable(path)) return null
      return runProgram([path], environment, deadlineMs)
    },
    probe,
    lastWords: async () => ({
      console: endOfFile(options.lastConsole),
      bootTrace: endOfFile(options.bootTrace),
      crash: await crashes.read(),
    }),
    forgetCrash: (text) => crashes.forget(text),
  }
}

function rebootByFile(path: string): void {
  try {
    writeFileSync(path, 'reboot\n')
  } catch (cause) {
    raise('EB-TOOL-FAILED', `no reboot: ${path} cannot be written (${(cause as Error).message})`, { cause })
  }
}

async function rebootByCommand(command: readonly string[]): Promise<void> {
  const result = await runProgram(command, {}, trialLimits.hookMs)
  if (result.status !== 0) raise('EB-TOOL-FAILED', `no reboot: ${command.join(' ')}: ${result.output}`)
}

function openWatchdog(path: string) {
  let handle: number
  try {
    // Without O_NONBLOCK a pipe without a reader would hold the agent up for ever.
    handle = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
  } catch (cause) {
    raise('EB-CONFIG', `the watchdog ${path} cannot be opened`, { cause })
  }
  const send = (text: string): void => {
    try {
      writeSync(handle, text)
    } catch {
      // A watchdog that takes nothing will bite; there is nothing better to do than to let it.
    }
  }
  return {
    pet: () => send('\n'),
    disarm: () => {
      send('V')
      closeSync(handle)
    },
  }
}

/** GET on `http://…` or `unix:/socket:/path`. */
function probe(target: string, deadlineMs: number): Promise<number | null> {
  const unix = /^unix:([^:]+):(\/.*)$/.exec(target)
  const [, socketPath = '', path = '/'] = unix ?? []
  if (unix === null && !(target.startsWith('http:') && URL.canParse(target))) return Promise.resolve(null)
  return new Promise((resolve) => {
    const request =
      unix === null ? http.get(target, { agent: false }) : http.get({ socketPath, path, agent: false })
    const deadline = setTimeout(() => request.destroy(), deadlineMs)
    request.on('response', (response) => {
      response.resume()
      clearTimeout(deadline)
      resolve(response.statusCode ?? null)
      response.destroy()
    })
    request.on('error', () => resolve(null))
    request.on('close', () => {
      clearTimeout(deadline)
      resolve(null)
    })
  })
}

function endOfFile(path: string | null): string | null {
  if (path === null) return null
  try {
    return readFileSync(path, 'utf8').slice(-trialLimits.consoleTailBytesMax)
  } catch {
    return null
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}
