/**
 * A program that starts a machine and does not look after it: killed by the test that starts it.
 */
import { startMachine } from '../../../bootloader-sim/qemu/adapters/run-machine.ts'

const [directory = '', ...command] = process.argv.slice(2)
const machine = await startMachine({
  directory,
  command: ({ serial, monitor }) => [...command, serial, monitor],
})
process.stdout.write(`${machine.pid}\n`)
