/**
 * A program that starts a machine and does not look after it: killed by the test that starts it.
 */
import { startMachine } from '../../../bootloader-sim/qemu/adapters/run-machine.ts'
import { qemuProgram, wireArguments } from '../../../bootloader-sim/qemu/machine.ts'

const [directory = '', ...command] = process.argv.slice(2)
const machine = await startMachine({
  directory,
  command: (wires) =>
    command[0] === qemuProgram
      ? [...command, ...wireArguments(wires)]
      : [...command, wires.serial, wires.monitor],
})
process.stdout.write(`${machine.pid}\n`)
