/**
 * The agent as a program: `node agent.mjs --config FILE`, and `node agent.mjs WORD …` for what `everboot device WORD …`
 * does on the device itself.
 * Promise: ends with the status of its error; one line says what was wrong.
 * Leaves to others: everything (adapters/run-agent.ts puts it together).
 */
import { parseArgs } from 'node:util'
import { type Command, helpRow, helpText, parseCommand } from '../core/command.ts'
import { EverbootError, exitStatus, exitStatusOf, faultOf, faultText, raise } from '../core/errors.ts'
import { runAgent } from './adapters/run-agent.ts'
import { terminalIo } from './adapters/terminal-io.ts'
import { commands } from './cli.ts'

async function main(args: readonly string[]): Promise<number> {
  const [word = ''] = args
  if (word === '' || word === '--help') return overview(word === '' ? exitStatus.usage : 0)
  if (word.startsWith('-')) {
    await runAgent(configOf(args))
    return 0
  }
  const command = commands.find((it) => it.name === `device ${word}`)
  if (command === undefined) return raise('EB-USAGE', `there is no ${word}`, { todo: 'see --help' })
  const parsed = parseCommand(command, args.slice(1))
  if (parsed.values['help'] === true) {
    process.stdout.write(`${helpText(command)}\n`)
    return 0
  }
  // `run` has its own idea of being stopped.
  return command.run({ ...parsed, io: terminalIo() })
}

/** @throws EverbootError EB-USAGE */
function configOf(args: readonly string[]): string {
  try {
    const { config } = parseArgs({ args: [...args], options: { config: { type: 'string' } } }).values
    if (config !== undefined) return config
  } catch (caught) {
    const [first = ''] = (caught as Error).message.split('. ')
    raise('EB-USAGE', `the agent: ${first}`)
  }
  return raise('EB-USAGE', 'the agent needs --config FILE')
}

function overview(status: number): number {
  const row = (it: Command): string => `${helpRow(`  ${it.name.replace('device ', '')}`, 20, it.summary)}\n`
  process.stdout.write(
    `The agent of a device: --config FILE runs it; or one of\n\n${commands.map(row).join('')}`,
  )
  return status
}

try {
  process.exit(await main(process.argv.slice(2)))
} catch (caught) {
  const it = faultOf(caught)
  process.stderr.write(`${faultText(it)}\n`)
  if (it.code === 'EB-INTERNAL' && !(caught instanceof EverbootError))
    process.stderr.write(`${(caught as Error).stack ?? ''}\n`)
  process.exit(exitStatusOf(it.code))
}
