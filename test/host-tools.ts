/**
 * Makes sure that the system tools which the tests call are there, before `make test` starts them.
 * Promise: says what it installed; a tool that cannot be had ends with its name and Debian package, except the
 * browser and what the QEMU board, a Debian system and real sound take, without which their tests are left out.
 */
import { exitStatusOf, faultOf, faultText } from '../core/errors.ts'
import {
  boardTools,
  ensureHostTools,
  type HostTool,
  hostTools,
  soundTools,
  systemTools,
} from '../images/build/adapters/host-tools.ts'

const browser: HostTool = 'chromium'

try {
  const needed = await ensureHostTools(
    hostTools.filter((it) => it !== browser),
    { install: true },
  )
  const wanted = [
    ...(await ifPossible([browser], 'the report is not looked at in a browser')),
    ...(await ifPossible(boardTools, 'the QEMU board is not run')),
    ...(await ifPossible(systemTools, 'the agent is not run on a Debian system')),
    ...(await ifPossible(soundTools, 'no real sound is made and played')),
  ]
  const installed = [...needed.installed, ...wanted]
  const text = installed.length === 0 ? 'all there' : `installed ${installed.join(' ')}`
  process.stdout.write(`system tools: ${text}\n`)
} catch (caught) {
  const it = faultOf(caught)
  process.stderr.write(`${faultText(it)}\n`)
  process.exitCode = exitStatusOf(it.code)
}

/** @returns the packages that were installed */
async function ifPossible(tools: readonly HostTool[], otherwise: string): Promise<readonly string[]> {
  try {
    return (await ensureHostTools(tools, { install: true })).installed
  } catch (caught) {
    process.stdout.write(`${faultText(faultOf(caught))} (${otherwise})\n`)
    return []
  }
}
