/**
 * The `everboot` command: finds the command, parses its arguments, prints its errors, sets the exit status.
 * Promise: an expected failure is one line `EB-…: what; what to do`; only a bug shows a trace.
 * Leaves to others: everything that the commands do. Each part is loaded only when one of its commands runs.
 */
import { constants } from 'node:os'
import { type Command, type CommandIo, helpRow, helpText, parseCommand } from './core/command.ts'
import { EverbootError, exitStatus, exitStatusOf, fault, faultOf, faultText } from './core/errors.ts'

type Family = () => Promise<{ readonly commands: readonly Command[] }>

async function imageCommands(): Promise<{ readonly commands: readonly Command[] }> {
  const [images, sim, pi] = await Promise.all([
    import('./images/cli.ts'),
    import('./images/boards/sim/cli.ts'),
    import('./images/boards/raspberry-pi/cli.ts'),
  ])
  return { commands: [...images.commands, ...sim.commands, ...pi.commands] }
}

async function emulatorCommands(): Promise<{ readonly commands: readonly Command[] }> {
  const [board, proof] = await Promise.all([import('./bootloader-sim/cli.ts'), import('./proof/cli.ts')])
  return { commands: [...board.commands, ...proof.commands] }
}

/** First word of a command → where it lives. */
const families: Readonly<Record<string, Family>> = {
  demo: () => import('./demo/cli.ts'),
  keys: () => import('./keys/cli.ts'),
  image: imageCommands,
  flash: () => import('./images/flash/cli.ts'),
  hub: () => import('./hub/cli/main.ts'),
  publish: () => import('./hub/cli/main.ts'),
  devices: () => import('./hub/cli/main.ts'),
  rollout: () => import('./hub/cli/main.ts'),
  clips: () => import('./device/clips/cli.ts'),
  skills: () => import('./hub/cli/main.ts'),
  device: () => import('./device/cli.ts'),
  emulator: emulatorCommands,
  qemu: () => import('./proof/boards/cli.ts'),
  console: () => import('./console/cli.ts'),
  doctor: () => import('./doctor/cli.ts'),
  package: () => import('./images/package/cli.ts'),
}

async function main(args: readonly string[]): Promise<number> {
  const [first, second] = args
  if (first === undefined || first === '--help' || first === 'help') return printOverview(0)
  const family = Object.hasOwn(families, first) ? families[first] : undefined
  if (family === undefined) {
    printFault(
      fault('EB-USAGE', `there is no command ${first}`, 'see everboot --help'),
      args.includes('--json'),
    )
    return exitStatus.usage
  }
  const { commands } = await family()
  const command =
    commands.find((it) => it.name === `${first} ${second ?? ''}`) ?? commands.find((it) => it.name === first)
  if (command === undefined) {
    const own = commands.filter((it) => it.name.split(' ')[0] === first)
    for (const it of own) process.stdout.write(overviewRow(it))
    if (second === undefined || second === '--help') return second === undefined ? exitStatus.usage : 0
    printFault(
      fault('EB-USAGE', `there is no command ${first} ${second}`, `see everboot ${first} --help`),
      false,
    )
    return exitStatus.usage
  }
  return runCommand(command, args.slice(command.name.split(' ').length))
}

async function runCommand(command: Command, rest: readonly string[]): Promise<number> {
  const io = terminalIo()
  try {
    const parsed = parseCommand(command, rest)
    if (parsed.values['help'] === true) {
      io.out(helpText(command))
      return 0
    }
    return await command.run({ ...parsed, io })
  } catch (caught) {
    const it = faultOf(caught)
    printFault(it, rest.includes('--json'))
    if (it.code === 'EB-INTERNAL' && !(caught instanceof EverbootError))
      process.stderr.write(`${(caught as Error).stack ?? ''}\n`)
    return exitStatusOf(it.code)
  }
}

async function printOverview(status: number): Promise<number> {
  process.stdout.write('everboot: over-the-air A/B updates for Linux devices that always boot\n\n')
  const seen = new Set<Command>()
  for (const family of new Set(Object.values(families))) {
    for (const command of (await family()).commands) {
      if (seen.has(command)) continue
      seen.add(command)
      process.stdout.write(overviewRow(command))
    }
  }
  process.stdout.write('\neverboot COMMAND --help shows the options of a command.\n')
  return status
}

function overviewRow(command: Command): string {
  return `${helpRow(`  everboot ${command.name}`, 31, command.summary)}\n`
}

function printFault(it: ReturnType<typeof faultOf>, json: boolean): void {
  if (json) process.stdout.write(`${JSON.stringify({ error: it })}\n`)
  process.stderr.write(`${faultText(it)}\n`)
}

function terminalIo(): CommandIo {
  const stopping = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => stopping.abort(signal))
  }
  const terminal = process.stderr.isTTY === true
  let drawn = false
  const clear = (): void => {
    if (drawn) process.stderr.write('\r\x1b[K')
    drawn = false
  }
  return {
    out: (line) => {
      clear()
      process.stdout.write(`${line}\n`)
    },
    err: (line) => {
      clear()
      process.stderr.write(`${line}\n`)
    },
    terminal,
    columns: process.stderr.columns ?? 80,
    draw: (line) => {
      if (!terminal) return
      process.stderr.write(`\r\x1b[K${line}`)
      drawn = true
    },
    environment: process.env,
    interrupted: stopping.signal,
  }
}

/** A reader that has seen enough, such as `head`, ends the command without a trace, as SIGPIPE would. */
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    process.exit(128 + constants.signals.SIGPIPE)
  })
}
process.exitCode = await main(process.argv.slice(2))
