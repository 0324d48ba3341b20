/**
 * Runs QEMU, or any program that takes its two wires, as the machine of one directory.
 * Promise: one machine a directory; nothing of it outlives `kill()`, its time, `withMachine`, or this
 * process, however that ends where setpriv is installed; what goes wrong at the start is coded.
 * Leaves to others: command lines (machine.ts), console (console.ts), monitor (monitor.ts).
 */
import { realpathSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { EverbootError, fault, raise } from '../../../core/errors.ts'
import { boardLimits, machineLimits } from '../../../core/limits.ts'
import { lockDirectory } from '../../adapters/lock.ts'
import { type SystemProcess, startSystem } from '../../adapters/system-process.ts'
import { toolEnvironment } from '../../adapters/tools.ts'
import { within } from '../../adapters/wait.ts'
import type { Wires } from '../machine.ts'
import { type MachineConsole, openConsole } from './console.ts'
import { findProgram, needProgram } from './find-program.ts'
import { type Monitor, openMonitor } from './monitor.ts'
import { refuseRunning, removePidFile, writePidFile } from './pid-file.ts'
import { listenUnix } from './unix-socket.ts'

export interface MachinePlan {
  /** Takes the two sockets and `machine.pid`; there must be room in it for a socket path. */
  readonly directory: string
  readonly command: (wires: Wires) => readonly string[]
  /** The machine is killed after so long, whatever it does. */
  readonly lifeMs?: number
}

export interface Machine {
  readonly pid: number
  readonly console: MachineConsole
  readonly monitor: Monitor
  /** Resolves, in words, when the machine has ended. */
  readonly ended: Promise<string>
  /** The reset button: the machine starts anew, its memory is lost. */
  reset(): Promise<void>
  /** The power button, which the guest may heed. */
  powerDown(): Promise<void>
  /** Ends QEMU in order. */
  quit(): Promise<void>
  /** As QEMU names it: `running`, `paused`, `shutdown`. */
  status(): Promise<string>
  kill(): Promise<void>
}

/** Runs `work` with a machine that is gone when this returns. @throws as `startMachine` */
export async function withMachine<T>(plan: MachinePlan, work: (it: Machine) => Promise<T>): Promise<T> {
  const machine = await startMachine(plan)
  try {
    return await work(machine)
  } finally {
    await machine.kill()
  }
}

/**
 * Must be called from the main thread: the death signal follows the thread that starts the process.
 * @throws EverbootError EB-BOARD-RUNNING, EB-SOCKET-IN-USE, EB-TOOL-MISSING, EB-PORT-IN-USE, EB-QEMU, EB-TIMEOUT
 */
export async function startMachine(plan: MachinePlan): Promise<Machine> {
  const directory = realpathSync(plan.directory)
  const unlock = await lockDirectory(directory)
  const pidFile = join(directory, 'machine.pid')
  const closing: (() => void)[] = [unlock]
  const closeAll = (): void => closing.splice(0).forEach((it) => void it())
  try {
    refuseRunning(pidFile)
    const wires: Wires = { serial: join(directory, 'serial.sock'), monitor: join(directory, 'monitor.sock') }
    const serial = await awaitWire(wires.serial)
    closing.push(serial.close)
    const monitor = await awaitWire(wires.monitor)
    closing.push(monitor.close)
    const launched = launch(plan, wires, () => {
      removePidFile(pidFile)
      closeAll()
    })
    if (launched.pid !== 0) writePidFile(pidFile, launched.pid)
    return await assemble(launched, serial, monitor)
  } catch (caught) {
    closeAll()
    throw caught
  }
}

interface Launched extends SystemProcess {
  /** What QEMU itself has said last. */
  readonly words: readonly string[]
}

/** @param tidyUp is called when the machine has ended */
function launch(plan: MachinePlan, wires: Wires, tidyUp: () => void): Launched {
  const [program = '', ...args] = plan.command(wires)
  const argv = [needProgram(program, 'qemu-system-arm'), ...args]
  const words: string[] = []
  const holding = findProgram('setpriv') === null ? 'bare-group' : 'group'
  const system = startSystem({ argv, environment: toolEnvironment(), holding, procAt: null }, (line) => {
    if (words.length === machineLimits.ownWordsKept) words.shift()
    words.push(line)
  })
  const lifeMs = plan.lifeMs ?? machineLimits.lifeMs
  let late = false
  const life = setTimeout(() => {
    late = true
    void system.kill()
  }, lifeMs)
  const atExit = (): void => killGroup(system.pid)
  process.once('exit', atExit)
  const ended = system.ended.then((how) => {
    clearTimeout(life)
    process.off('exit', atExit)
    tidyUp()
    return late ? `killed after ${lifeMs} ms` : how
  })
  const kill = async (): Promise<void> => {
    await system.kill()
    await within(boardLimits.killMs, ended)
  }
  return { pid: system.pid, ended, words, kill }
}

function killGroup(pid: number): void {
  try {
    if (pid > 0) process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}

async function assemble(launched: Launched, serial: Wire, monitorWire: Wire): Promise<Machine> {
  const { pid, ended, kill } = launched
  try {
    const failed = ended.then((how) => Promise.reject(endedEarly(how, launched.words)))
    const both = Promise.all([serial.connected, monitorWire.connected])
    const sockets = await within(machineLimits.startMs, Promise.race([both, failed]))
    if (sockets === null) {
      raise('EB-TIMEOUT', `the machine does not take its wires within ${machineLimits.startMs} ms`)
    }
    const console = openConsole(sockets[0], ended)
    const monitor = await Promise.race([openMonitor(sockets[1]), failed])
    return {
      ...{ pid, console, monitor, ended, kill },
      reset: async () => void (await monitor.execute('system_reset')),
      powerDown: async () => void (await monitor.execute('system_powerdown')),
      async quit() {
        // QEMU may be gone before its answer; what counts is that it ends.
        await monitor.execute('quit').catch(() => {})
        if ((await within(machineLimits.monitorMs, ended)) === null) await kill()
      },
      status: async () => String(((await monitor.execute('query-status')) as { status?: unknown }).status),
    }
  } catch (caught) {
    // A machine that ends closes its wires first; what it said counts more.
    const how = await within(machineLimits.peekMs, ended)
    await kill()
    throw how === null ? caught : endedEarly(how, launched.words)
  }
}

function endedEarly(how: string, words: readonly string[]): EverbootError {
  const said = words.join(' ')
  const taken = /host forwarding rule|Address already in use/.test(said)
  return new EverbootError(fault(taken ? 'EB-PORT-IN-USE' : 'EB-QEMU', `the machine ended (${how}): ${said}`))
}

interface Wire {
  readonly connected: Promise<Socket>
  close(): void
}

/** Waits for one connection; there is no second. */
async function awaitWire(path: string): Promise<Wire> {
  const server = createServer()
  const connected = new Promise<Socket>((resolve) => {
    server.once('connection', (socket: Socket) => {
      server.close()
      resolve(socket)
    })
  })
  await listenUnix(server, path)
  return { connected, close: () => void server.close() }
}
