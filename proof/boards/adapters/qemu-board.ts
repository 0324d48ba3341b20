/**
 * The board in QEMU as the player of scenarios needs it: stock U-Boot, a Linux, the agent, over a disk that loses
 * its power as the simulated ones do.
 * Promise: operations on its disk have the names that the simulated board gives them (`boot write 0+65536`); what
 * is seen of record and boots is read from the disk behind QEMU, not told by the guest. Nothing of it outlives
 * `close`.
 * Leaves to others: making disk and flash (images/boards/qemu-arm64).
 */
import { join } from 'node:path'
import { type Fate, fatesOf, type Pending } from '../../../bootloader-sim/devices/fate.ts'
import { type ImageFile, openImageFile } from '../../../bootloader-sim/qemu/adapters/image-file.ts'
import { type NbdServer, serveNbd } from '../../../bootloader-sim/qemu/adapters/nbd-server.ts'
import { losePower, resetAfterCut, restorePower } from '../../../bootloader-sim/qemu/adapters/power-cut.ts'
import { type Machine, startMachine } from '../../../bootloader-sim/qemu/adapters/run-machine.ts'
import type { DiskOperation } from '../../../bootloader-sim/qemu/disk-tally.ts'
import { type VirtBoard, virtCommand } from '../../../bootloader-sim/qemu/machine.ts'
import { type NbdDisk, nbdDisk } from '../../../bootloader-sim/qemu/nbd-disk.ts'
import { present } from '../../../core/assert.ts'
import { slotLimits } from '../../../core/limits.ts'
import type { LogEvent } from '../../../core/ports.ts'
import { seededRandom } from '../../../core/prng.ts'
import { blockBytes, type SlotId, slotIds } from '../../../core/units.ts'
import { sectorBytes } from '../../../images/boards/arm64/partition.ts'
import type { QemuBoard } from '../../../images/boards/qemu-arm64/adapters/board.ts'
import type { PartitionName } from '../../../images/boards/qemu-arm64/layout.ts'
import { sealOffset } from '../../../images/release/slot-layout.ts'
import { nextCut } from '../../next-cut.ts'
import type { Left, StepOf } from '../../steps.ts'
import { logEventIn } from '../console-event.ts'
import { lostRanges, treeOffset } from '../damage.ts'
import { type BootSeen, recordRanges, seenRecord } from '../outcome.ts'
import type { RealBoard } from '../real-board.ts'
import { blockOfFile } from './file-block.ts'

export interface QemuBoardRun {
  readonly board: Pick<QemuBoard, 'directory' | 'disk' | 'flash0' | 'flash1' | 'layout'>
  readonly forwards?: VirtBoard['forwards']
  /** By the work of its processor: as a story wants it. Default. */
  readonly clock?: VirtBoard['clock']
  /** Told of each line of the console. */
  readonly onLine: (line: string) => void
  /** QEMU is ended after so long, whatever happens. */
  readonly lifeMs: number
}

const memoryMiB = 512
/** A file that every system reads when it starts. */
const readAtStart = '/usr/lib/everboot/agent.mjs'

/** @throws EverbootError EB-FILE, EB-SOCKET-IN-USE */
export async function openQemuBoard(run: QemuBoardRun): Promise<RealBoard> {
  const image = openImageFile(run.board.disk)
  const disk = nbdDisk({ name: 'disk', medium: image, sectorBytes })
  const server = await serveNbd({ disk, socketPath: join(run.board.directory, 'disk.sock') })
  // Like a board on a shelf it has no power until it is switched on.
  await disk.cutNow()
  return new QemuInstance(run, image, disk, server)
}

class QemuInstance implements RealBoard {
  readonly kind = 'qemu'
  readonly boots: BootSeen[] = []
  cuts = 0
  onLog: (event: LogEvent) => void = () => {}
  readonly #run: QemuBoardRun
  readonly #image: ImageFile
  readonly #disk: NbdDisk
  readonly #server: NbdServer
  #machine: Machine | null = null
  #planned: StepOf<'cut-at'> | null = null
  #broken: Error | null = null
  /** Losing power and getting it back, one after the other. */
  #work: Promise<void> = Promise.resolve()

  constructor(run: QemuBoardRun, image: ImageFile, disk: NbdDisk, server: NbdServer) {
    this.#run = run
    this.#image = image
    this.#disk = disk
    this.#server = server
    disk.onCut = (at) => {
      if (at !== null) this.#atCut()
    }
  }

  broken(): Error | null {
    return this.#broken
  }

  async powerOn(): Promise<void> {
    if (this.#machine !== null) return
    await restorePower([this.#server], () => [])
    await this.#start()
  }

  async powerOff(left: Left): Promise<void> {
    const machine = present(this.#machine, 'a machine that runs')
    this.#machine = null
    this.cuts += 1
    await this.#disk.cutNow()
    await machine.kill()
    await losePower([this.#server])
    await restorePower([this.#server], (it) => fatesFor(left, it.pending()))
    await this.#disk.cutNow()
  }

  async powerCycle(left: Left): Promise<void> {
    this.cuts += 1
    await this.#disk.cutNow()
    await this.#resetWith(left)
  }

  cutAt(cut: StepOf<'cut-at'>): void {
    const pattern = new RegExp(cut.operation)
    this.#planned = cut
    this.#disk.plan({
      at: 'any',
      skip: cut.nth,
      // A write that is durable at once is left to fate too, as on the simulated disk before its flush.
      time: cut.when === 'before' ? 'before' : 'inside',
      matching: (it) => {
        const name = this.#nameOf(it)
        return name !== null && pattern.test(name)
      },
    })
  }

  async rot(slot: SlotId, where: StepOf<'rot'>['where']): Promise<void> {
    const { offset, bytes } = this.#run.board.layout.partitions[slot]
    if (where === 'head') return this.#image.write(offset, new Uint8Array(blockBytes))
    if (where === 'seal') return this.#flip(offset + sealOffset(bytes))
    if (where === 'image') {
      const block = await blockOfFile(this.#run.board.disk, offset, readAtStart)
      return this.#flip(offset + block * blockBytes)
    }
    const area = new Uint8Array(slotLimits.sealAreaBytes)
    await this.#image.read(offset + sealOffset(bytes), area)
    return this.#flip(offset + treeOffset(area))
  }

  async lose(what: StepOf<'lose'>['what']): Promise<void> {
    const { offset } = this.#run.board.layout.partitions.record
    for (const it of lostRanges(what, await this.recordParts()))
      await this.#image.write(offset + it.offset, new Uint8Array(it.bytes))
  }

  async recordParts(): Promise<readonly Uint8Array[]> {
    const { offset } = this.#run.board.layout.partitions.record
    const parts: Uint8Array[] = []
    for (const range of recordRanges) {
      const into = new Uint8Array(range.bytes)
      await this.#image.read(offset + range.offset, into)
      parts.push(into)
    }
    return parts
  }

  async close(): Promise<void> {
    await this.#work.catch(() => {})
    await this.#machine?.kill()
    this.#machine = null
    await this.#server.close()
    this.#image.close()
  }

  async #start(): Promise<void> {
    const { directory, flash0, flash1 } = this.#run.board
    const { forwards = [], clock = 'work' } = this.#run
    const disks = [this.#server.socketPath]
    const virt = { clock, memoryMiB, firmware: flash0, environment: flash1, disks, forwards }
    const machine = await startMachine({
      directory,
      command: (wires) => virtCommand(virt, wires),
      lifeMs: this.#run.lifeMs,
    })
    this.#machine = machine
    machine.console.onLine = (line) => void this.#heard(line)
    for (const line of machine.console.log.lines()) void this.#heard(line)
    void machine.ended.then((how) => {
      if (this.#machine === machine) this.#broken = new Error(`QEMU has ended: ${how}`)
    })
  }

  async #heard(line: string): Promise<void> {
    this.#run.onLine(line)
    const slot = /^everboot: starts ([ab])$/.exec(line)?.[1]
    if (slot === 'a' || slot === 'b') {
      // U-Boot writes through, and the system writes seconds later.
      this.boots.push({ slot, record: seenRecord(await this.recordParts()) })
      return
    }
    const event = logEventIn(line)
    if (event !== null) this.onLog(event)
  }

  #atCut(): void {
    const planned = this.#planned
    const next = planned === null ? null : nextCut(planned)
    this.#planned = null
    this.cuts += 1
    if (next !== null) this.cutAt(next)
    const left = planned?.left ?? 'lost'
    this.#work = (
      next === null && planned?.stays === 'off' ? this.#stayOff(left) : this.#resetWith(left)
    ).catch((caught: Error) => {
      this.#broken = caught
    })
  }

  async #resetWith(left: Left): Promise<void> {
    const machine = present(this.#machine, 'a machine that runs')
    await resetAfterCut(machine, [this.#server], (it) => fatesFor(left, it.pending()))
  }

  async #stayOff(left: Left): Promise<void> {
    const machine = this.#machine
    this.#machine = null
    await machine?.kill()
    await losePower([this.#server])
    await restorePower([this.#server], (it) => fatesFor(left, it.pending()))
    await this.#disk.cutNow()
  }

  /** As the simulated board names it; null: of no partition that a scenario knows. */
  #nameOf({ kind, offset, length }: DiskOperation): string | null {
    if (kind === 'read' || kind === 'flush') return null
    for (const [name, label] of names) {
      const part = this.#run.board.layout.partitions[name]
      if (offset >= part.offset && offset < part.offset + part.bytes)
        return `${label} write ${offset - part.offset}+${length}`
    }
    return null
  }

  async #flip(at: number): Promise<void> {
    const sector = new Uint8Array(sectorBytes)
    const start = at - (at % sectorBytes)
    await this.#image.read(start, sector)
    sector[at - start] = (sector[at - start] ?? 0) ^ 0x10
    await this.#image.write(start, sector)
  }
}

const names: readonly (readonly [PartitionName, string])[] = [
  ['record', 'boot'],
  ...slotIds.map((slot) => [slot, `slot ${slot}`] as const),
]

function fatesFor(left: Left, pending: readonly Pending[]): readonly Fate[] {
  if (left === 'front' || left === 'back') return pending.map(() => left)
  return fatesOf(left, pending, seededRandom(1))
}
