/**
 * `everboot doctor`: what is well with this machine or board, what is not, what to do.
 * Leaves to others: the facts (adapters/), the judgement (machine-checks.ts, board-checks.ts).
 */
import { type Command, helpRow, textOption } from '../core/command.ts'
import { exitStatus } from '../core/errors.ts'
import { boardFacts } from './adapters/board-facts.ts'
import { machineFacts } from './adapters/machine-facts.ts'
import type { Check } from './check.ts'
import { isWell, machineChecks } from './machine-checks.ts'

const defaultConfig = '/etc/everboot/agent.json'

const doctor: Command = {
  name: 'doctor',
  summary: 'Look whether this machine or board is well, and say what to do; changes nothing',
  positionals: '',
  positionalsMin: 0,
  positionalsMax: 0,
  options: {
    config: {
      type: 'string',
      value: 'FILE',
      means: `configuration of the agent (default ${defaultConfig}, if it is there)`,
    },
  },
  notes: 'Ends with 0 when there is no problem, else with 7. As root it sees more.',
  async run(input) {
    const asked = textOption(input, 'config')
    const board = await boardFacts(asked ?? defaultConfig, asked !== undefined)
    const checks = machineChecks(await machineFacts(board))
    if (input.json) input.io.out(JSON.stringify({ ok: isWell(checks), checks }))
    else for (const line of report(checks)) input.io.out(line)
    return isWell(checks) ? 0 : exitStatus.environment
  },
}

export const commands: readonly Command[] = [doctor]

const left = 21

function report(checks: readonly Check[]): readonly string[] {
  const rows = checks.flatMap(({ name, state, found, todo }) => {
    const first = helpRow(`${state.padEnd(10)}${name}`, left, found)
    return todo === null ? [first] : [first, helpRow('', left, `→ ${todo}`)]
  })
  const count = (state: Check['state']): number => checks.filter((it) => it.state === state).length
  const text = isWell(checks) ? 'no problem' : `problems: ${count('problem')}`
  return [...rows, `${text}, ${count('attention')} for attention, ${count('ok')} ok`]
}
