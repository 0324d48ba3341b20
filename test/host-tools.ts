/**
 * Makes sure that the system tools which the tests call are there, before `make test` starts them.
 * Promise: says what it installed; a tool that cannot be had ends with its name and Debian package, except the
 * browser, without which one test is left out, and QEMU with its firmware, without which the tests on it are.
 */
import { exitStatusOf, faultOf, faultText } from '../core/errors.ts'
import { ensureHostTools, type HostTool, hostTools, qemuTools } from '../images/build/adapters/host-tools.ts'

/** Tools that tests can do without, and what is left out then. */
const spared: readonly (readonly [readonly HostTool[], string])[] = [
  [['chromium'], 'the report is not looked at in a browser'],
  [qemuTools, 'nothing is tried on QEMU'],
]

async function wanted(tools: readonly HostTool[], without: string): Promise<readonly string[]> {
  try {
    return (await ensureHostTools(tools, { install: true })).installed
  } catch (caught) {
    process.stdout.write(`${faultText(faultOf(caught))} (${without})\n`)
    return []
  }
}

try {
  const optional = new Set(spared.flatMap(([tools]) => tools))
  const needed = await ensureHostTools(
    hostTools.filter((it) => !optional.has(it)),
    { install: true },
  )
  const more: string[] = []
  for (const [tools, without] of spared) more.push(...(await wanted(tools, without)))
  const installed = [...needed.installed, ...more]
  const text = installed.length === 0 ? 'all there' : `installed ${installed.join(' ')}`
  process.stdout.write(`system tools: ${text}\n`)
} catch (caught) {
  const it = faultOf(caught)
  process.stderr.write(`${faultText(it)}\n`)
  process.exitCode = exitStatusOf(it.code)
}
