/**
 * Makes sure that the system tools which the tests call are there, before `make test` starts them.
 * Promise: says what it installed; a tool that cannot be had ends with its name and Debian package.
 */
import { exitStatusOf, faultOf, faultText } from '../core/errors.ts'
import { ensureHostTools, hostTools } from '../images/build/adapters/host-tools.ts'

try {
  const { installed } = await ensureHostTools(hostTools, { install: true })
  const text = installed.length === 0 ? 'all there' : `installed ${installed.join(' ')}`
  process.stdout.write(`system tools: ${text}\n`)
} catch (caught) {
  const it = faultOf(caught)
  process.stderr.write(`${faultText(it)}\n`)
  process.exitCode = exitStatusOf(it.code)
}
