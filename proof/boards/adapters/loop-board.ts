/**
 * The emulated board on loop devices, run by `everboot emulator run` as a user would run it.
 * Promise: boots and record are read from its disk file when its console says that a slot was handed over; the
 * system in it starts programs first, so nothing was written meanwhile. Nothing of it outlives `close`.
 * Leaves to others: cutting at a chosen write: what a loop device was given is in the host's page cache.
 */
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { askBoard } from '../../../bootloader-sim/adapters/control.ts'
import { readBoard } from '../../../bootloader-sim/adapters/runner.ts'
import { type BoardFile, boardPaths } from '../../../bootloader-sim/board-file.ts'
import { raise } from '../../../core/errors.ts'
import { slotLimits } from '../../../core/limits.ts'
import type { LogEvent } from '../../../core/ports.ts'
import { blockBytes, type SlotId } from '../../../core/units.ts'
import type { Children, Service } from '../../../demo/adapters/children.ts'
import { until } from '../../../demo/adapters/desk.ts'
import { sealOffset } from '../../../images/release/slot-layout.ts'
import type { StepOf } from '../../steps.ts'
import { logEventIn } from '../console-event.ts'
import { lostRanges, treeOffset } from '../damage.ts'
import { type BootSeen, recordRanges, seenRecord } from '../outcome.ts'
import type { RealBoard } from '../real-board.ts'
import { blockOfFile } from './file-block.ts'

/** A file that every system reads when it starts. */
const readAtStart = '/sbin/init.mjs'

export async function openLoopBoard(
  directory: string,
  children: Children,
  onLine: (line: string) => void,
): Promise<RealBoard> {
  return new LoopBoard(directory, await readBoard(directory), children, onLine)
}

class LoopBoard implements RealBoard {
  readonly kind = 'loop'
  readonly boots: BootSeen[] = []
  cuts = 0
  onLog: (event: LogEvent) => void = () => {}
  readonly #directory: string
  readonly #board: BoardFile
  readonly #children: Children
  readonly #onLine: (line: string) => void
  readonly #disk: number
  #service: Service | null = null

  constructor(directory: string, board: BoardFile, children: Children, onLine: (line: string) => void) {
    this.#directory = directory
    this.#board = board
    this.#children = children
    this.#onLine = onLine
    this.#disk = openSync(join(directory, boardPaths.disk), 'r+')
  }

  broken(): Error | null {
    return null
  }

  async powerOn(): Promise<void> {
    if (this.#service !== null) return
    const args = ['emulator', 'run', this.#directory, '--tied', '--require-loop']
    this.#service = this.#children.service(args, (line) => this.#heard(line))
    await until('the board answers', () => this.#answers())
  }

  async powerOff(): Promise<void> {
    this.cuts += 1
    await this.#service?.stop()
    this.#service = null
  }

  async powerCycle(): Promise<void> {
    this.cuts += 1
    await askBoard(this.#socket(), { do: 'power-cut' })
  }

  cutAt(): never {
    return raise('EB-UNSUPPORTED', 'a loop device cannot lose its power at a chosen write')
  }

  async rot(slot: SlotId, where: StepOf<'rot'>['where']): Promise<void> {
    const { offset, bytes } = this.#board.partitions[slot]
    if (where === 'head') return this.#put(offset, new Uint8Array(blockBytes))
    if (where === 'seal') return this.#flip(offset + sealOffset(bytes))
    if (where === 'image') {
      const block = await blockOfFile(join(this.#directory, boardPaths.disk), offset, readAtStart)
      return this.#flip(offset + block * blockBytes)
    }
    const area = this.#get(offset + sealOffset(bytes), slotLimits.sealAreaBytes)
    return this.#flip(offset + treeOffset(area))
  }

  async lose(what: StepOf<'lose'>['what']): Promise<void> {
    const { offset } = this.#board.partitions.boot
    for (const it of lostRanges(what, this.#parts())) this.#put(offset + it.offset, new Uint8Array(it.bytes))
  }

  async recordParts(): Promise<readonly Uint8Array[]> {
    return this.#parts()
  }

  async close(): Promise<void> {
    await this.#service?.stop()
    closeSync(this.#disk)
  }

  #heard(line: string): void {
    this.#onLine(line)
    const slot = /board: handover slot=([ab])/.exec(line)?.[1]
    if (slot === 'a' || slot === 'b') this.boots.push({ slot, record: seenRecord(this.#parts()) })
    const event = logEventIn(line)
    if (event !== null) this.onLog(event)
  }

  #socket(): string {
    return join(this.#directory, boardPaths.socket)
  }

  async #answers(): Promise<boolean> {
    return (await askBoard(this.#socket(), { do: 'status' }).catch(() => null)) !== null
  }

  #parts(): readonly Uint8Array[] {
    const { offset } = this.#board.partitions.boot
    return recordRanges.map((it) => this.#get(offset + it.offset, it.bytes))
  }

  #get(offset: number, bytes: number): Uint8Array {
    const into = new Uint8Array(bytes)
    readSync(this.#disk, into, 0, bytes, offset)
    return into
  }

  #put(offset: number, bytes: Uint8Array): void {
    writeSync(this.#disk, bytes, 0, bytes.length, offset)
  }

  #flip(at: number): void {
    const byte = this.#get(at, 1)
    this.#put(at, Uint8Array.of((byte[0] ?? 0) ^ 0x10))
  }
}
