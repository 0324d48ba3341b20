/**
 * A stand-in for QEMU: connects to its wires, answers a little QMP, prints a console and echoes what is typed.
 * Words after the two sockets: `deaf` connects to nothing, `quick` ends at once, `mute` answers no command.
 */
import { connect } from 'node:net'

const [serialPath = '', monitorPath = '', way = ''] = process.argv.slice(2)
setTimeout(() => process.exit(9), 60_000)

if (way === 'quick') {
  process.stderr.write('no such option\n')
  process.exit(1)
}
if (way === 'taken') {
  process.stderr.write("Could not set up host forwarding rule 'tcp:127.0.0.1:1-:2'\n")
  process.exit(1)
}
if (way !== 'deaf') {
  const serial = connect(serialPath)
  serial.write('banner\r\nready> ')
  serial.on('data', (bytes) => serial.write(`${bytes}\nready> `))
  const monitor = connect(monitorPath)
  const say = (value) => monitor.write(`${JSON.stringify(value)}\r\n`)
  say({ QMP: { version: { qemu: { major: 7, minor: 2, micro: 1 }, package: '' }, capabilities: [] } })
  let open = ''
  monitor.on('data', (bytes) => {
    const lines = `${open}${bytes}`.split('\n')
    open = lines.pop() ?? ''
    for (const { execute, id } of lines.map((line) => JSON.parse(line))) {
      if (way === 'mute' && execute !== 'qmp_capabilities') continue
      if (execute === 'system_reset') {
        say({ event: 'RESET', data: { guest: false }, timestamp: { seconds: 1, microseconds: 2 } })
        serial.write('banner\r\n')
      }
      if (execute === 'query-status') say({ return: { status: 'running', running: true }, id })
      else if (execute === 'no-such') say({ error: { class: 'CommandNotFound', desc: 'not found' }, id })
      else say({ return: {}, id })
      if (execute === 'quit') setTimeout(() => process.exit(0), 10)
    }
  })
}
