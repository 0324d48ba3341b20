/**
 * The emulated board: power on, bootloader, watchdog, system, reset, and again.
 * Promise: the watchdog is armed before the system starts; whatever ends a boot, everything of it is gone
 * before the next decision; boots that fail at once are paced.
 * Leaves to others: disks, mounts and processes (`Hardware`), the boot decision (bootloader.ts).
 */
import { EverbootError, faultText } from '../core/errors.ts'
import { boardLimits } from '../core/limits.ts'
import type { Clock, Disks, Entropy, Events } from '../core/ports.ts'
import type { SlotId } from '../core/units.ts'
import type { Seal } from '../images/release/seal.ts'
import { type BootOutcome, boot, type TraceLine, traceText } from './bootloader.ts'
import { type ConsoleTail, consoleTail } from './console-tail.ts'
import type { Firmware } from './verified-slot.ts'

/** What the bootloader loads. */
export interface Load {
  readonly slot: SlotId
  readonly seal: Seal
  readonly bootId: string
  readonly commandLine: string
  readonly lastConsole: string
  readonly bootTrace: string
}

/** What happens on the wires between a running system and the board. */
export interface Wires {
  pet(): void
  /** What the system asks of the power switch: a word such as `reboot`. */
  power(word: string): void
  console(line: string): void
}

/** A running system. */
export interface RunningSystem {
  /** Resolves, in words, when its process 1 has ended. */
  readonly ended: Promise<string>
  /** Resolves when nothing of it is left. */
  kill(): Promise<void>
}

/** Disks, mounts, processes. */
export interface Hardware {
  /** Fresh disks, as after a cold start. */
  powerOn(): Promise<Disks>
  start(load: Load, wires: Wires): Promise<RunningSystem>
  /** Lets go of mounts and disks. */
  powerOff(): Promise<void>
}

export interface BoardPorts {
  readonly hardware: Hardware
  readonly clock: Clock
  readonly entropy: Entropy
  readonly events: Events
}

export interface BoardSettings {
  readonly firmware: Firmware
  readonly watchdogMs: number
  /** End after so many boots; null: go on. */
  readonly boots: number | null
  /** Console of the boot before the power came on, if known. */
  readonly lastConsole: string
}

export interface BoardState {
  readonly boot: number
  readonly phase: 'off' | 'loading' | 'running' | 'pausing'
  readonly slot: SlotId | null
  readonly release: string | null
  readonly version: string | null
  readonly bootId: string | null
  /** Milliseconds since the last sign of life; null while no watchdog is armed. */
  readonly silentMs: number | null
}

interface Running {
  readonly load: Load
  readonly end: (why: string) => void
  lastPetMs: number
}

export class Board {
  readonly #ports: BoardPorts
  readonly #settings: BoardSettings
  readonly #traces: string[] = []
  #number = 0
  #phase: BoardState['phase'] = 'off'
  #running: Running | null = null
  #tail: ConsoleTail = consoleTail()
  #stopping = false
  /** Ends what the board is waiting for; null when it waits for nothing. */
  #interrupt: ((why: string) => void) | null = null
  #resetWanted: string | null = null
  #waiting: (() => void)[] = []

  constructor(ports: BoardPorts, settings: BoardSettings) {
    this.#ports = ports
    this.#settings = settings
    if (settings.lastConsole !== '') this.#tail.add(settings.lastConsole.trimEnd())
  }

  /** Resolves when the board was switched off or has booted as often as it should. */
  async run(): Promise<void> {
    const { boots } = this.#settings
    this.#phase = 'loading'
    while (!this.#stopping && (boots === null || this.#number < boots)) await this.#oneBoot()
    this.#phase = 'off'
  }

  /** Ends this boot at once and starts the next. Resolves when everything of the old boot is gone. */
  async reset(why: string): Promise<void> {
    if (this.#phase === 'off') return
    const gone = new Promise<void>((resolve) => this.#waiting.push(resolve))
    this.#resetWanted = why
    this.#interrupt?.(why)
    await gone
  }

  /** Switches the power off. */
  stop(): void {
    this.#stopping = true
    this.#interrupt?.('switched off')
  }

  state(): BoardState {
    const running = this.#running
    const seal = running?.load.seal ?? null
    return {
      boot: this.#number,
      phase: this.#phase,
      slot: running?.load.slot ?? null,
      release: seal?.releaseId ?? null,
      version: seal?.version ?? null,
      bootId: running?.load.bootId ?? null,
      silentMs: running === null ? null : this.#ports.clock.monotonicMs() - running.lastPetMs,
    }
  }

  async #oneBoot(): Promise<void> {
    const { hardware, clock, entropy } = this.#ports
    this.#number += 1
    this.#phase = 'loading'
    this.#emit('power-on', {})
    const begun = clock.monotonicMs()
    let why: string
    try {
      const disks = await hardware.powerOn()
      const outcome = await boot({ disks, entropy }, this.#settings.firmware)
      this.#traceOf(outcome.trace)
      why = outcome.kind === 'none' ? await this.#nothingToStart(outcome) : await this.#runSystem(outcome)
    } catch (caught) {
      if (!(caught instanceof EverbootError)) throw caught
      why = `the board failed: ${faultText(caught.fault)}`
    }
    await hardware.powerOff()
    const ranMs = clock.monotonicMs() - begun
    this.#emit('reset', { why, ranMs })
    if (ranMs < boardLimits.bootMsMin) await this.#pause(boardLimits.pauseMs)
    this.#resetWanted = null
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  async #nothingToStart(outcome: BootOutcome & { kind: 'none' }): Promise<string> {
    const { code, what } = outcome.fault
    this.#emit('no-slot', { code, what })
    await this.#pause(boardLimits.noSlotPauseMs)
    return faultText(outcome.fault)
  }

  async #runSystem(outcome: BootOutcome & { kind: 'start' }): Promise<string> {
    const { slot, seal, bootId, commandLine } = outcome
    const load: Load = {
      ...{ slot, seal, bootId, commandLine },
      lastConsole: this.#tail.text(),
      bootTrace: this.#traces.join(''),
    }
    this.#tail = consoleTail()
    let system: RunningSystem | null = null
    let disarm = (): void => {}
    try {
      const over = new Promise<string>((end) => {
        this.#running = { load, end, lastPetMs: this.#ports.clock.monotonicMs() }
        this.#interrupt = end
        disarm = this.#armWatchdog(this.#running)
      })
      if (this.#stopping || this.#resetWanted !== null) return this.#resetWanted ?? 'switched off'
      const { releaseId: release, version } = seal
      this.#emit('handover', { slot, release, version, bootId })
      system = await this.#ports.hardware.start(load, this.#wires(this.#running))
      this.#phase = 'running'
      this.#emit('running', { slot, release, version, bootId })
      return await Promise.race([over, system.ended.then((how) => `process 1 ended: ${how}`)])
    } finally {
      disarm()
      this.#interrupt = null
      await system?.kill()
      this.#running = null
    }
  }

  /** Armed before anything of the system runs. @returns a function that disarms. */
  #armWatchdog(running: Running): () => void {
    const { clock } = this.#ports
    const { watchdogMs } = this.#settings
    let cancel = (): void => {}
    const look = (): void => {
      const silentMs = clock.monotonicMs() - running.lastPetMs
      if (silentMs < watchdogMs) {
        cancel = clock.timer(watchdogMs - silentMs, look)
        return
      }
      const what = `the watchdog bites after ${silentMs} ms of silence`
      this.#console(`board: ${what}`)
      this.#emit('watchdog', { silentMs })
      running.end(what)
    }
    cancel = clock.timer(watchdogMs, look)
    return () => cancel()
  }

  #wires(running: Running | null): Wires {
    return {
      pet: () => {
        if (running !== null) running.lastPetMs = this.#ports.clock.monotonicMs()
      },
      power: (word) => running?.end(`the system asked for: ${word}`),
      console: (line) => this.#console(line),
    }
  }

  async #pause(durationMs: number): Promise<void> {
    if (this.#stopping) return
    this.#phase = 'pausing'
    await new Promise<void>((resolve) => {
      const cancel = this.#ports.clock.timer(durationMs, resolve)
      this.#interrupt = () => {
        cancel()
        resolve()
      }
    })
    this.#interrupt = null
  }

  #traceOf(trace: readonly TraceLine[]): void {
    this.#traces.push(`boot ${this.#number}:\n${traceText(trace)}`)
    while (this.#traces.length > boardLimits.tracesKept) this.#traces.shift()
    for (const { row, what } of trace) this.#emit('loader', { row, what })
  }

  #console(line: string): void {
    this.#tail.add(line)
    this.#emit('console', { line })
  }

  #emit(event: string, fields: Record<string, string | number | null>): void {
    this.#ports.events.emit({ event, boot: this.#number, ...fields })
  }
}
