/**
 * How long a rollout to a thousand simulated boards takes, with faults: real agents, real bootloaders, real
 * hub core, in one process and in virtual time. `node bench/fleet.ts [boards]`, one line of JSON.
 */
import { rememberingParts } from '../proof/adapters/parts.ts'
import { runFleet } from '../proof/fleet.ts'

const boards = Number(process.argv[2] ?? 1000)
const began = performance.now()
const result = await runFleet({ boards, seed: 1, pieces: 6, faultsPerBoard: 2 }, rememberingParts)
const seconds = Number(((performance.now() - began) / 1000).toFixed(1))
const { wrong, ...rest } = result
process.stdout.write(
  `${JSON.stringify({ name: 'fleet', ...rest, wrong: wrong.length, examples: wrong.slice(0, 5), seconds })}\n`,
)
process.exitCode = wrong.length === 0 && result.succeeded === boards ? 0 : 1
