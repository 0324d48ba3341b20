/**
 * A board process: hardware, board, console, control socket, put together.
 * Promise: one per directory; when it ends, by itself or not, nothing of the board is left.
 * Leaves to others: which hardware (mode.ts), the command line (cli.ts).
 */
import { randomBytes } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { orThrow, raise } from '../../core/errors.ts'
import type { LogEvent } from '../../core/ports.ts'
import { decodeTrust } from '../../keys/trust.ts'
import { Board } from '../board.ts'
import { type BoardFile, boardPaths, decodeBoard } from '../board-file.ts'
import { verifyNoble } from '../verify-noble.ts'
import { type BootFacts, bootFacts } from './boot-facts.ts'
import { realClock } from './clock.ts'
import { endOfConsole, openConsoleFile } from './console-file.ts'
import { type Answer, type ControlRequest, checkSocketPath, serveControl } from './control.ts'
import type { EmulatedHardware } from './emulated-hardware.ts'
import { openFileDevice } from './file-device.ts'
import { lockDirectory } from './lock.ts'
import { loopHardware } from './loop-hardware.ts'
import type { ModeChoice } from './mode.ts'
import { plainHardware } from './plain-hardware.ts'
import { ExecutableHashes, factsOf, findProgram, type ProcessFacts, type Program } from './processes.ts'

export interface RunRequest {
  /** Absolute, symbolic links resolved. */
  readonly directory: string
  readonly board: BoardFile
  readonly choice: ModeChoice
  readonly boots: number | null
  readonly stop: AbortSignal
  /** Every event of the board, console lines too. */
  readonly event: (event: LogEvent) => void
  /** A line of the console, of the system or of the board. */
  readonly line: (line: string) => void
}

/** @throws EverbootError EB-NO-BOARD */
export async function readBoard(directory: string): Promise<BoardFile> {
  const path = join(directory, boardPaths.board)
  const text = await readFile(path, 'utf8').catch((cause) =>
    raise('EB-NO-BOARD', `${directory} holds no board`, {
      todo: 'create it with everboot emulator create',
      cause,
    }),
  )
  return orThrow(decodeBoard(text, path))
}

/** What is on the disk of a board that is not running. */
export async function factsOnDisk(directory: string, board: BoardFile): Promise<BootFacts> {
  const part = { path: join(directory, boardPaths.disk), ...board.partitions.boot }
  return bootFacts(await openFileDevice(part, 'read'))
}

/** Runs until stopped. @throws EverbootError EB-BOARD-RUNNING, EB-USAGE, EB-KEY */
export async function runBoard(request: RunRequest): Promise<void> {
  checkSocketPath(join(request.directory, boardPaths.run, 'everboot', 'agent.sock'))
  const unlock = await lockDirectory(request.directory)
  try {
    await runLocked(request)
  } finally {
    unlock()
  }
}

async function runLocked(request: RunRequest): Promise<void> {
  const { directory, board, choice } = request
  const socket = join(directory, boardPaths.socket)
  const hardware = choice.mode === 'loop' ? loopHardware(directory, board) : plainHardware(directory, board)
  const consolePath = join(directory, boardPaths.console)
  const lastConsole = endOfConsole(consolePath)
  const file = openConsoleFile(consolePath)
  const note = (event: LogEvent): void => take(event, request, file.add)
  const emulated = await boardOn(hardware, request, lastConsole, note)
  const stop = (): void => emulated.stop()
  request.stop.addEventListener('abort', stop)
  if (request.stop.aborted) stop()
  const hashes = new ExecutableHashes()
  const server = await serveControl(socket, (it) => act(it, emulated, hardware, request, hashes))
  try {
    note({ event: 'board', pid: process.pid, socket, ...choice })
    await emulated.run()
  } finally {
    await hardware.powerOff()
    request.stop.removeEventListener('abort', stop)
    server.close()
    await rm(socket, { force: true })
    file.close()
  }
}

async function boardOn(
  hardware: EmulatedHardware,
  request: RunRequest,
  lastConsole: string,
  note: (event: LogEvent) => void,
): Promise<Board> {
  const { directory, board, boots } = request
  const path = join(directory, boardPaths.trust)
  const trust = orThrow(decodeTrust(await readFile(path), path))
  const entropy = { bytes: (count: number) => randomBytes(count) }
  const firmware = {
    looks: 'verify' as const,
    sealKeys: trust.seal,
    verify: verifyNoble,
    sealImage: board.image,
  }
  return new Board(
    { hardware, clock: realClock, entropy, events: { emit: note } },
    { firmware, watchdogMs: board.watchdogMs, boots, lastConsole },
  )
}

/** Console lines and events in words go to the file and to people; events go to programs. */
function take(event: LogEvent, request: RunRequest, keep: (line: string) => void): void {
  request.event(event)
  const line = inWords(event)
  keep(line)
  request.line(line)
}

/** An event as a line of the console. */
function inWords(it: LogEvent): string {
  const { event, boot, ...rest } = it
  if (event === 'console') return `${it['line']}`
  if (event === 'loader') return `loader: ${it['row'] === null ? '' : `[${it['row']}] `}${it['what']}`
  const fields = Object.entries(rest)
    .filter(([, value]) => value !== null)
    .map(
      ([key, value]) =>
        `${key}=${typeof value === 'string' && /\s/.test(value) ? JSON.stringify(value) : value}`,
    )
  const number = boot === undefined ? '' : ` ${boot}`
  return `board: ${event}${event === 'power-on' ? `, boot${number}` : ''} ${fields.join(' ')}`.trimEnd()
}

async function act(
  it: ControlRequest,
  board: Board,
  hardware: EmulatedHardware,
  request: RunRequest,
  hashes: ExecutableHashes,
): Promise<Answer> {
  switch (it.do) {
    case 'status':
      return status(board, hardware, request, hashes)
    case 'reset':
    case 'power-cut': {
      const { boot } = board.state()
      await board.reset(it.do === 'reset' ? 'reset button' : 'power cut')
      return { ended: boot }
    }
    case 'kill': {
      const pid = await pidOf(hardware, it.program)
      if (pid === null)
        raise('EB-NOT-FOUND', `no ${it.program} runs on this board`, { todo: 'see emulator status' })
      process.kill(pid, 'SIGKILL')
      return { killed: pid }
    }
  }
}

async function status(
  board: Board,
  hardware: EmulatedHardware,
  request: RunRequest,
  hashes: ExecutableHashes,
): Promise<Answer> {
  const { silentMs, ...state } = board.state()
  const processes: Record<Program, ProcessFacts | null> = {
    agent: await programFacts(hardware, 'agent', hashes),
    service: await programFacts(hardware, 'service', hashes),
  }
  const disks = hardware.disks()
  const record =
    disks === null
      ? await factsOnDisk(request.directory, request.board)
      : await bootFacts(await disks.openBoot())
  return {
    running: true,
    directory: request.directory,
    deviceId: request.board.deviceId,
    pid: process.pid,
    ...request.choice,
    ...state,
    watchdog: { timeoutMs: request.board.watchdogMs, silentMs },
    slotRoot: hardware.running()?.slotRoot ?? null,
    processes,
    record,
  }
}

async function pidOf(hardware: EmulatedHardware, program: Program): Promise<number | null> {
  const running = hardware.running()
  return running === null ? null : findProgram(running.pid, program)
}

async function programFacts(
  hardware: EmulatedHardware,
  program: Program,
  hashes: ExecutableHashes,
): Promise<ProcessFacts | null> {
  const pid = await pidOf(hardware, program)
  const running = hardware.running()
  if (pid === null || running === null) return null
  return factsOf(pid, running.slotRoot, hardware.mode === 'loop', hashes)
}
