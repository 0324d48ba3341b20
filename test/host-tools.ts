/**
 * Makes sure that the system tools which the tests call are there, before `make test` starts them.
 * Promise: says what it installed; a tool that cannot be had ends with its name and Debian package, except the
 * browser, without which one test is left out.
 */
import { exitStatusOf, faultOf, faultText } from '../core/errors.ts'
import { ensureHostTools, type HostTool, hostTools } from '../images/build/adapters/host-tools.ts'

const browser: HostTool = 'chromium'

try {
  const needed = await ensureHostTools(
    hostTools.filter((it) => it !== browser),
    { install: true },
  )
  const wanted = await ensureHostTools([browser], { install: true }).then(
    (it) => it.installed,
    (caught: unknown) => {
      process.stdout.write(`${faultText(faultOf(caught))} (the report is not looked at in a browser)\n`)
      return []
    },
  )
  const installed = [...needed.installed, ...wanted]
  const text = installed.length === 0 ? 'all there' : `installed ${installed.join(' ')}`
  process.stdout.write(`system tools: ${text}\n`)
} catch (caught) {
  const it = faultOf(caught)
  process.stderr.write(`${faultText(it)}\n`)
  process.exitCode = exitStatusOf(it.code)
}
