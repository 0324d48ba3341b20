/**
 * The agent as a program: `node agent.mjs --config FILE`.
 * Promise: ends with the status of its error; one line says what was wrong.
 * Leaves to others: everything (adapters/run-agent.ts puts it together).
 */
import { parseArgs } from 'node:util'
import { EverbootError, exitStatusOf, fault, faultOf, faultText } from '../core/errors.ts'
import { runAgent } from './adapters/run-agent.ts'

try {
  const { values } = parseArgs({ options: { config: { type: 'string' } } })
  if (values.config === undefined) throw new EverbootError(fault('EB-USAGE', 'the agent needs --config FILE'))
  await runAgent(values.config)
  process.exit(0)
} catch (caught) {
  const it = faultOf(caught)
  process.stderr.write(`${faultText(it)}\n`)
  if (!(caught instanceof EverbootError)) process.stderr.write(`${(caught as Error).stack ?? ''}\n`)
  process.exit(exitStatusOf(it.code))
}
