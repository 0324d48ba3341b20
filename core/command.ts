/**
 * What a command of the command line is: name, options, help text, action.
 * Promise: every command has `--help` and `--json`, is parsed by the same rules and fails by coded errors.
 * Leaves to others: terminal and process (`everboot.ts`), the actions themselves (each `cli`).
 */
import { parseArgs } from 'node:util'
import { raise } from './errors.ts'

export interface CommandIo {
  /** A line for standard output. */
  out(line: string): void
  /** A line for standard error: progress, warnings. */
  err(line: string): void
  /** Standard error is a terminal: progress bars may be drawn with `draw`. */
  readonly terminal: boolean
  readonly columns: number
  /** Rewrites the last line of the terminal; only when `terminal`. */
  draw(line: string): void
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Aborted at SIGINT, SIGTERM or SIGHUP. */
  readonly interrupted: AbortSignal
}

export interface CommandOption {
  readonly type: 'string' | 'boolean'
  readonly multiple?: boolean
  /** Name of the value in the help: `DIR`. */
  readonly value?: string
  readonly means: string
}

export interface CommandInput {
  readonly positionals: readonly string[]
  readonly values: Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>
  /** The text options as they were given, in their order, for options that depend on each other's place. */
  readonly given: readonly { readonly name: string; readonly value: string }[]
  readonly json: boolean
  readonly io: CommandIo
}

export interface Command {
  /** `image build` */
  readonly name: string
  readonly summary: string
  /** `ROOTFS` or empty. */
  readonly positionals: string
  readonly positionalsMin: number
  readonly positionalsMax: number
  readonly options: Readonly<Record<string, CommandOption>>
  /** Further help: examples, exit statuses that mean something special. */
  readonly notes?: string
  /** @returns the exit status; expected failures are thrown as `EverbootError`. */
  run(input: CommandInput): Promise<number>
}

/** What the narrowest terminal shows. */
const helpColumns = 80

const common: Readonly<Record<string, CommandOption>> = {
  json: { type: 'boolean', means: 'print one JSON object instead of text' },
  help: { type: 'boolean', means: 'show this help' },
}

/** @param args what follows the command's name. @throws EverbootError EB-USAGE. */
export function parseCommand(command: Command, args: readonly string[]): Omit<CommandInput, 'io'> {
  const options = Object.fromEntries(
    Object.entries({ ...command.options, ...common }).map(([name, it]) => [
      name,
      { type: it.type, multiple: it.multiple ?? false },
    ]),
  )
  const settings = { args: [...args], options, allowPositionals: true, strict: true, tokens: true } as const
  let parsed: ReturnType<typeof parseArgs<typeof settings>>
  try {
    parsed = parseArgs(settings)
  } catch (caught) {
    const [first = ''] = (caught as Error).message.split('. ')
    raise('EB-USAGE', `everboot ${command.name}: ${first}`, { todo: `see everboot ${command.name} --help` })
  }
  const { positionals, values, tokens } = parsed
  const few = positionals.length < command.positionalsMin
  if (values['help'] !== true && (few || positionals.length > command.positionalsMax)) {
    const wanted = command.positionals === '' ? 'no arguments' : command.positionals
    raise('EB-USAGE', `everboot ${command.name} takes ${wanted}, got ${positionals.length} arguments`, {
      todo: `see everboot ${command.name} --help`,
    })
  }
  const given = tokens.flatMap((it) =>
    it.kind === 'option' && it.value !== undefined ? [{ name: it.name, value: it.value }] : [],
  )
  return { positionals, values, given, json: values['json'] === true }
}

/** The text of an option, or undefined. */
export function textOption(input: CommandInput, name: string): string | undefined {
  const value = input.values[name]
  return typeof value === 'string' ? value : undefined
}

/** The text of an option that must be given. @throws EverbootError EB-USAGE. */
export function requiredOption(input: CommandInput, name: string): string {
  return textOption(input, name) ?? raise('EB-USAGE', `--${name} is missing`)
}

/** All texts of an option that may be repeated. */
export function listOption(input: CommandInput, name: string): readonly string[] {
  const value = input.values[name]
  return Array.isArray(value) ? value.filter((it): it is string => typeof it === 'string') : []
}

export function flagOption(input: CommandInput, name: string): boolean {
  return input.values[name] === true
}

/** A whole number from `min` to `max`, or undefined when the option is absent. @throws EverbootError EB-USAGE. */
export function numberOption(
  input: CommandInput,
  name: string,
  min: number,
  max: number,
): number | undefined {
  const value = textOption(input, name)
  if (value === undefined) return undefined
  const number = /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN
  if (Number.isSafeInteger(number) && number >= min && number <= max) return number
  raise('EB-USAGE', `--${name} is ${JSON.stringify(value)}, not a whole number from ${min} to ${max}`)
}

/** The help of a command, at most 80 columns wide. */
export function helpText(command: Command): string {
  const rows = Object.entries({ ...command.options, ...common }).map(([name, it]) => {
    const left = `  --${name}${it.type === 'string' ? ` ${it.value ?? 'VALUE'}` : ''}`
    return helpRow(left, 28, `${it.means}${it.multiple ? ' (may be repeated)' : ''}`)
  })
  const usage = `everboot ${command.name} ${command.positionals}`.trim()
  const notes = command.notes === undefined ? '' : `\n\n${noteText(command.notes)}`
  return `${wrapped(command.summary)}\n\nUsage: ${usage} [options]\n\n${rows.join('\n')}${notes}`
}

/** A term of `width` columns with its meaning beside it, or below where the term is longer. */
export function helpRow(term: string, width: number, means: string): string {
  const indent = ' '.repeat(width + 1)
  const text = wrapped(means, helpColumns - indent.length).replaceAll('\n', `\n${indent}`)
  return term.length > width ? `${term}\n${indent}${text}` : `${term.padEnd(width)} ${text}`
}

/** Lines that begin with `Example` are commands: they are continued as a shell reads them. */
function noteText(notes: string): string {
  const unfinishedLine = /(?<![.:])\n(?=[a-z(])/g
  return notes
    .trim()
    .replace(unfinishedLine, ' ')
    .split('\n')
    .map((line) => {
      if (!line.startsWith('Example')) return wrapped(line)
      return wrapped(line, helpColumns - 4).replaceAll('\n', ' \\\n  ')
    })
    .join('\n')
}

/** Breaks at spaces only, so a word longer than `columns` sticks out. */
function wrapped(text: string, columns: number = helpColumns): string {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last === undefined || last.length + 1 + word.length > columns) lines.push(word)
    else lines[lines.length - 1] = `${last} ${word}`
  }
  return lines.join('\n')
}
