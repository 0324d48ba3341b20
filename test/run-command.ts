/** Runs a command of the command line in this process and collects what it prints. */
import { type Command, parseCommand } from '../core/command.ts'
import { type ErrorCode, exitStatusOf, faultOf } from '../core/errors.ts'

export interface CommandOutcome {
  readonly status: number
  /** Code of the failure, or null. */
  readonly code: ErrorCode | null
  readonly what: string
  readonly out: string
  readonly err: string
}

/** @param args with the name of the command: `['keys', 'show', 'DIR']` */
export async function runCommand(
  commands: readonly Command[],
  args: readonly string[],
): Promise<CommandOutcome> {
  const out: string[] = []
  const err: string[] = []
  const name = `${args[0]} ${args[1]}`
  const command = commands.find((it) => it.name === name) ?? commands.find((it) => it.name === args[0])
  if (command === undefined) throw new Error(`no command ${name}`)
  const io = {
    out: (line: string) => void out.push(line),
    err: (line: string) => void err.push(line),
    terminal: false,
    columns: 80,
    draw: () => {},
    environment: {},
    interrupted: new AbortController().signal,
  }
  const printed = (): { out: string; err: string } => ({ out: out.join('\n'), err: err.join('\n') })
  try {
    const status = await command.run({
      ...parseCommand(command, args.slice(command.name.split(' ').length)),
      io,
    })
    return { status, code: null, what: '', ...printed() }
  } catch (caught) {
    const { code, what } = faultOf(caught)
    if (code === 'EB-INTERNAL') throw caught
    return { status: exitStatusOf(code), code, what, ...printed() }
  }
}
