/**
 * `everboot emulator …`: makes, runs and torments an emulated board.
 * Leaves to others: everything but options and printing (adapters/).
 */
import { realpath } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type Command,
  type CommandInput,
  type CommandOption,
  flagOption,
  numberOption,
  requiredOption,
} from '../core/command.ts'
import { EverbootError, raise } from '../core/errors.ts'
import { boardLimits, releaseLimits } from '../core/limits.ts'
import { bytesText, MiB } from '../core/units.ts'
import { type Answer, askBoard, type ControlRequest } from './adapters/control.ts'
import { createBoard } from './adapters/create.ts'
import { type Damage, damageSlot, damages } from './adapters/damage.ts'
import { chooseMode, enter, hasEntered } from './adapters/mode.ts'
import { factsOnDisk, readBoard, runBoard } from './adapters/runner.ts'
import { boardPaths } from './board-file.ts'
import { link } from './cli/link.ts'
import { statusLines } from './status-text.ts'

const oneDirectory = { positionals: 'DIR', positionalsMin: 1, positionalsMax: 1 } as const

const create: Command = {
  name: 'emulator create',
  summary: 'Make an emulated board with a factory system',
  ...oneDirectory,
  options: {
    release: {
      type: 'string',
      value: 'FILE.ebr',
      means: 'factory release, with a key wrap for the device (required)',
    },
    keys: { type: 'string', value: 'KEYDIR', means: 'key directory of the publisher (required)' },
    identity: { type: 'string', value: 'FILE', means: 'identity made by everboot devices add (required)' },
    'slot-bytes': { type: 'string', value: 'N', means: 'size of a slot (default: the image and 64 MiB)' },
    'watchdog-ms': {
      type: 'string',
      value: 'MS',
      means: `silence after which the watchdog resets (default ${boardLimits.watchdogMs})`,
    },
  },
  notes: 'Example: everboot emulator create board --release v1.ebr --keys keys --identity device.json',
  async run(input) {
    const directory = directoryOf(input)
    const made = await createBoard({
      directory,
      release: requiredOption(input, 'release'),
      keys: requiredOption(input, 'keys'),
      identity: requiredOption(input, 'identity'),
      slotBytes: numberOption(input, 'slot-bytes', MiB, releaseLimits.imageBytesMax) ?? null,
      watchdogMs: numberOption(input, 'watchdog-ms', 100, boardLimits.settingMsMax) ?? boardLimits.watchdogMs,
      progress: (done, total) => input.io.draw(`factory system: ${Math.floor((100 * done) / total)} %`),
    })
    const { deviceId, partitions } = made.board
    const { releaseId: release, version } = made
    if (input.json) {
      input.io.out(JSON.stringify({ directory, deviceId, release, version, slotBytes: partitions.a.bytes }))
    } else {
      input.io.out(
        `${directory} holds board ${deviceId}: ${release} in slot a, slots of ${bytesText(partitions.a.bytes)}`,
      )
      input.io.out(`next: everboot emulator run ${directory}`)
    }
    return 0
  },
}

const run: Command = {
  name: 'emulator run',
  summary: 'Run an emulated board until interrupted',
  ...oneDirectory,
  options: {
    plain: { type: 'boolean', means: 'without loop devices and mounts' },
    'require-loop': { type: 'boolean', means: 'fail rather than run without them' },
    boots: { type: 'string', value: 'N', means: 'end after N boots' },
    tied: { type: 'boolean', means: 'end at once when the program that started it ends' },
  },
  notes: `As root the board has real loop devices and mounts the booted slot; else its partitions are parts of the
disk file, and programs run from an unpacked slot. The console is kept in DIR/console.log.
With --json each event is one JSON line on standard output.`,
  async run(input) {
    const directory = await existing(input)
    const board = await readBoard(directory)
    const wish = { plain: flagOption(input, 'plain'), requireLoop: flagOption(input, 'require-loop') }
    const choice = await chooseMode(directory, board, wish)
    if (!hasEntered()) await enter(choice.mode, flagOption(input, 'tied'))
    const prefix = `[${board.deviceId}] `
    await runBoard({
      directory,
      board,
      choice,
      boots: numberOption(input, 'boots', 1, Number.MAX_SAFE_INTEGER) ?? null,
      stop: input.io.interrupted,
      event: (event) => {
        if (input.json && event.event !== 'console') input.io.out(JSON.stringify(event))
      },
      line: (line) => {
        if (!input.json) input.io.out(`${prefix}${line}`)
      },
    })
    return 0
  },
}

const status: Command = {
  name: 'emulator status',
  summary: 'Show what a board runs and what its boot record says',
  ...oneDirectory,
  options: {},
  async run(input) {
    const directory = await existing(input)
    const board = await readBoard(directory)
    const found = await ask(directory, { do: 'status' }).catch(async (caught: unknown) => {
      if (!(caught instanceof EverbootError) || caught.fault.code !== 'EB-NO-BOARD') throw caught
      return {
        running: false,
        directory,
        deviceId: board.deviceId,
        record: await factsOnDisk(directory, board),
      }
    })
    if (input.json) input.io.out(JSON.stringify(found))
    else for (const line of statusLines(found)) input.io.out(line)
    return 0
  },
}

const reset: Command = {
  name: 'emulator reset',
  summary: 'Press the reset button of a running board',
  ...oneDirectory,
  options: {},
  run: (input) => order(input, { do: 'reset' }, () => 'the board was reset'),
}

const powerCut: Command = {
  name: 'emulator power-cut',
  summary: 'Cut the power of a running board and switch it on again',
  ...oneDirectory,
  options: {},
  run: (input) => order(input, { do: 'power-cut' }, () => 'the power was cut and is back'),
}

const kill: Command = {
  name: 'emulator kill',
  summary: 'Kill a process inside a running board (SIGKILL)',
  positionals: 'DIR agent|service',
  positionalsMin: 2,
  positionalsMax: 2,
  options: {},
  run(input) {
    const [, program] = input.positionals
    if (program !== 'agent' && program !== 'service') {
      raise('EB-USAGE', `${JSON.stringify(program)} is neither agent nor service`)
    }
    return order(input, { do: 'kill', program }, (it) => `${program}, process ${it['killed']}, was killed`)
  },
}

const slotOption: CommandOption = { type: 'string', value: 'a|b', means: 'the slot (required)' }

const damage: Command = {
  name: 'emulator damage',
  summary: 'Destroy bytes of a slot, as rot would',
  ...oneDirectory,
  options: {
    slot: slotOption,
    what: { type: 'string', value: damages.join('|'), means: 'what to destroy (default init)' },
  },
  notes: 'The board may be running. Its bootloader notices at the next boot.',
  async run(input) {
    const directory = await existing(input)
    const board = await readBoard(directory)
    const slot = requiredOption(input, 'slot')
    if (slot !== 'a' && slot !== 'b') raise('EB-USAGE', `--slot is ${JSON.stringify(slot)}, not a or b`)
    const what = damageOf(input)
    const offset = await damageSlot(directory, board, slot, what)
    if (input.json) input.io.out(JSON.stringify({ slot, what, offset }))
    else input.io.out(`${what} of slot ${slot} was destroyed, at byte ${offset}`)
    return 0
  },
}

export const commands: readonly Command[] = [create, run, status, reset, powerCut, kill, damage, link]

function damageOf(input: CommandInput): Damage {
  const value = input.values['what'] ?? 'init'
  const found = damages.find((it) => it === value)
  return found ?? raise('EB-USAGE', `--what is ${JSON.stringify(value)}, not ${damages.join(', ')}`)
}

function directoryOf(input: CommandInput): string {
  return input.positionals[0] ?? raise('EB-USAGE', 'DIR is missing')
}

async function existing(input: CommandInput): Promise<string> {
  const directory = directoryOf(input)
  return realpath(directory).catch((cause) =>
    raise('EB-NO-BOARD', `${directory} does not exist`, {
      todo: 'create it with everboot emulator create',
      cause,
    }),
  )
}

function ask(directory: string, it: ControlRequest): Promise<Answer> {
  return askBoard(join(directory, boardPaths.socket), it)
}

async function order(
  input: CommandInput,
  it: ControlRequest,
  say: (answer: Answer) => string,
): Promise<number> {
  const answer = await ask(await existing(input), it)
  input.io.out(input.json ? JSON.stringify(answer) : say(answer))
  return 0
}
