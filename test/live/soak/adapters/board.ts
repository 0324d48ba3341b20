/**
 * The real emulated board as a process: switched on and off, reset, unplugged, watched.
 * Promise: whoever watches hears every line of its console; an end that nobody asked for is told.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Answer, askBoard, type ControlRequest } from '../../../../bootloader-sim/adapters/control.ts'
import { readBoard } from '../../../../bootloader-sim/adapters/runner.ts'
import { type BoardFile, boardPaths } from '../../../../bootloader-sim/board-file.ts'
import { EverbootError } from '../../../../core/errors.ts'
import { remains } from '../../../bootloader-sim/real-board.ts'
import { soakLimits } from '../limits.ts'
import { type Sighting, Watcher } from '../phases.ts'
import type { PowerOff } from '../plan.ts'
import { type Program, startProgram } from './programs.ts'
import { unplug } from './unplug.ts'
import { type Patience, waitFor } from './wait.ts'

export interface BoardOptions {
  readonly directory: string
  readonly log: string
  readonly patience: Patience
  readonly onSighting: (it: Sighting) => void
  readonly onLost: (how: string) => void
}

export class SoakBoard {
  readonly directory: string
  readonly watcher = new Watcher()
  readonly #options: BoardOptions
  readonly #lines: string[] = []
  #program: Program | null = null

  constructor(options: BoardOptions) {
    this.#options = options
    this.directory = options.directory
  }

  /** What `board.json` says. */
  file(): Promise<BoardFile> {
    return readBoard(this.directory)
  }

  /** Of its program; 0 while it is off. */
  get pid(): number {
    return this.#program?.pid ?? 0
  }

  /** The end of its console. */
  lastLines(): readonly string[] {
    return this.#lines
  }

  on(): void {
    const { log, onLost } = this.#options
    const args = ['emulator', 'run', this.directory, '--require-loop', '--tied']
    const program = startProgram(args, log, (line) => this.#heard(line))
    this.#program = program
    program.ended.then((how) => {
      if (this.#program === program) onLost(how)
    })
  }

  /**
   * Switches it off, or pulls the plug. Nothing of it runs when this resolves; whether the kernel still holds
   * any of it is `left`.
   */
  async off(how: PowerOff): Promise<void> {
    const program = this.#program
    this.#program = null
    if (program === null) return
    if (how === 'switch') {
      await program.end('SIGTERM')
      return
    }
    await unplug(program, this.directory, await this.file())
    // A switched-off board shows it on the console; one without power shows nothing.
    for (const it of this.watcher.unplugged()) this.#options.onSighting(it)
  }

  /** Gives an order, to a board that may just have been switched on. @throws EverbootError what it refuses */
  async order(it: ControlRequest): Promise<Answer> {
    const socket = join(this.directory, boardPaths.socket)
    return waitFor('the board listens', soakLimits.orderMs, this.#options.patience, () =>
      askBoard(socket, it).catch((caught: unknown) => {
        if (caught instanceof EverbootError && caught.fault.code === 'EB-NO-BOARD') return null
        throw caught
      }),
    )
  }

  /** Loop devices, mounts and processes of the board that are there after it has had time to go. */
  async left(): Promise<readonly string[]> {
    const end = performance.now() + soakLimits.goneMs
    for (;;) {
      const found = await remains(this.directory)
      if (found.length === 0 || performance.now() > end) return found
      await sleep(soakLimits.pollMs)
    }
  }

  #heard(line: string): void {
    this.#lines.push(line)
    if (this.#lines.length > soakLimits.linesShown) this.#lines.shift()
    for (const it of this.watcher.take(line)) this.#options.onSighting(it)
  }
}
