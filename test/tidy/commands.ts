/**
 * Rules about the command line: what each command shows and takes.
 * Leaves to others: what the commands do.
 */
import { type Command, helpText, parseCommand } from '../../core/command.ts'
import type { Source } from './source.ts'

const columnsMax = 80

/** Paths of the files that hold the commands, from the imports of `everboot.ts`. */
export function commandFiles(files: readonly Source[]): readonly string[] {
  const entry = files.find((file) => file.path === 'everboot.ts')
  const paths = entry?.imports.filter((it) => it.dynamic).map((it) => it.from.replace('./', '')) ?? []
  return [...new Set(paths)]
}

export function commandFaults(command: Command): readonly string[] {
  const help = helpText(command).split('\n')
  const said = (what: string, wrong: boolean): readonly string[] =>
    wrong ? [`everboot ${command.name}: ${what}`] : []
  const means = Object.entries(command.options).filter(
    ([, it]) => it.means === '' || /^[A-Z][a-z]|\.$/.test(it.means),
  )
  return [
    ...help.filter((it) => it.length > columnsMax).flatMap((it) => said(`help is too wide: ${it}`, true)),
    ...said('the help does not name --json and --help', !/--json[\s\S]*--help/.test(help.join('\n'))),
    ...said('it has its own --json or --help', 'json' in command.options || 'help' in command.options),
    ...said('it does not take --json --help', !takes(command, ['--json', '--help'])),
    ...said('it takes an option that it does not name', takes(command, ['--help', '--no-such-option'])),
    ...said('the summary is no phrase with a capital', !/^[A-Z].*[^.]$/.test(command.summary)),
    ...means.flatMap(([name]) => said(`--${name} is explained like a sentence, or not at all`, true)),
  ]
}

function takes(command: Command, args: readonly string[]): boolean {
  try {
    const { values, json } = parseCommand(command, args)
    return values['help'] === true && (json || !args.includes('--json'))
  } catch {
    return false
  }
}
