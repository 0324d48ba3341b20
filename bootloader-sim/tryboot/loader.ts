/**
 * One boot of an emulated Raspberry Pi: the firmware chooses a partition, the initramfs there checks seals, starts
 * its slot or sends the board on to the other one. Real bytes: a FAT file system, the record, seals.
 * Promise: writes nothing but the count of boots; what it starts has an authentic seal at or above the floor. Unlike the emulated loader it
 * does not read the images: on a board dm-verity does, block by block, after the start.
 * Leaves to others: the two tables (firmware.ts, initramfs.ts), the flag's life (whoever has the power).
 */
import { assert, present } from '../../core/assert.ts'
import { readWhole } from '../../core/block-io.ts'
import { readBootCount, writeBootCount } from '../../core/boot-count.ts'
import { currentRecord, readRecord, readStamp } from '../../core/boot-partition.ts'
import { EverbootError, fault, faultOf, faultText } from '../../core/errors.ts'
import { autobootName, findFatFile, readFatFile } from '../../core/fat-file.ts'
import { boardLimits } from '../../core/limits.ts'
import type { BlockDevice, Disks, Entropy } from '../../core/ports.ts'
import { hex, type SlotId, slotIds } from '../../core/units.ts'
import type { Seal } from '../../images/release/seal.ts'
import type { BootOutcome, TraceLine } from '../bootloader.ts'
import { type Firmware, sealVerdict } from '../verified-slot.ts'
import { choosePartition } from './firmware.ts'
import { decideInitramfs, type InitramfsKnowledge } from './initramfs.ts'

export interface TrybootBoard {
  readonly disks: Disks
  readonly entropy: Entropy
  /** Number of the boot partition of each slot. */
  readonly partitions: Readonly<Record<SlotId, number>>
}

/** What the device tree says of the boot. */
export interface TrybootBoot {
  readonly outcome: BootOutcome
  readonly partition: number
  readonly tryboot: boolean
}

/** @param flag the one-shot flag as the last boot left it; it is gone once this begins */
export async function bootByTryboot(
  board: TrybootBoard,
  firmware: Firmware,
  flag: boolean,
): Promise<TrybootBoot> {
  const trace: TraceLine[] = []
  let tryboot = flag
  let requested = 0
  for (let hops = 0; hops < boardLimits.handOversMax; hops += 1) {
    const autoboot = await readAutoboot(board.disks, trace)
    const bootable = await bootablePartitions(board, firmware)
    const partition = choosePartition({ autoboot, tryboot, requested, bootable })
    const text = `${tryboot ? 'tryboot, ' : ''}${requested > 0 ? `reboot ${requested}, ` : ''}partition ${partition}`
    trace.push({ row: null, what: `firmware: ${text}` })
    if (partition === null) return stopped(trace, 0, tryboot, 'no partition is bootable')
    const next = await runInitramfs(board, firmware, { partition, tryboot }, trace)
    if (next.kind === 'stop') return stopped(trace, partition, tryboot, next.why)
    if (next.kind === 'start') {
      const bootId = `boot-${hex(board.entropy.bytes(8))}`
      const commandLine = `everboot.slot=${next.slot} everboot.boot=${bootId}`
      return { outcome: { ...next, bootId, commandLine, trace }, partition, tryboot }
    }
    requested = next.partition
    tryboot = false
  }
  return stopped(trace, requested, tryboot, 'the slots hand over to each other without end')
}

function stopped(trace: readonly TraceLine[], partition: number, tryboot: boolean, why: string): TrybootBoot {
  return { outcome: { kind: 'none', fault: fault('EB-NO-SLOT', why), trace }, partition, tryboot }
}

type Next =
  | { readonly kind: 'start'; readonly slot: SlotId; readonly seal: Seal }
  | { readonly kind: 'reboot'; readonly partition: number }
  | { readonly kind: 'stop'; readonly why: string }

async function runInitramfs(
  { disks, partitions }: TrybootBoard,
  firmware: Firmware,
  { partition, tryboot }: { readonly partition: number; readonly tryboot: boolean },
  trace: TraceLine[],
): Promise<Next> {
  const floor = await floorOf(disks)
  const seals: Record<SlotId, Seal | null> = { a: null, b: null }
  const refusals: string[] = []
  const own = slotIds.find((slot) => partitions[slot] === partition) ?? null
  const boots = own === null ? 0 : ((await withDevice(disks.openBoot(), (it) => readBootCount(it, own))) ?? 0)
  let known: InitramfsKnowledge = { own, seals: { a: null, b: null }, boots, tryboot }
  for (let steps = 0; ; steps += 1) {
    assert(steps < boardLimits.bootStepsMax, `the table of the initramfs did not end in ${steps} steps`)
    const { row, step } = decideInitramfs(known)
    if (step.do === 'stop') return { kind: 'stop', why: refusals.join('; ') || row.when }
    if (step.do === 'reboot') {
      await count(disks, step.slot, 0)
      trace.push({ row: row.id, what: `slot ${step.slot} is booted instead` })
      return { kind: 'reboot', partition: partitions[step.slot] }
    }
    if (step.do === 'start') {
      const seal = present(seals[step.slot], 'seal of a slot that is good')
      if (step.boots !== null && step.boots !== boots) await count(disks, step.slot, step.boots)
      trace.push({ row: row.id, what: `slot ${step.slot} starts: ${seal.releaseId}` })
      return { kind: 'start', slot: step.slot, seal }
    }
    const found = await sealVerdict(disks, firmware, step.slot, floor)
    if (found.verified) seals[step.slot] = found.seal
    else refusals.push(`slot ${step.slot}: ${found.why}`)
    const what = found.verified ? 'has a good seal' : `is refused: ${found.why}`
    trace.push({ row: row.id, what: `slot ${step.slot} ${what}` })
    known = { ...known, seals: { ...known.seals, [step.slot]: found.verified ? 'good' : 'refused' } }
  }
}

/** Where it cannot be counted the board boots all the same. */
async function count(disks: Disks, slot: SlotId, boots: number): Promise<void> {
  await withDevice(disks.openBoot(), (device) => writeBootCount(device, slot, boots))
}

/** The highest that record and stamp say; what cannot be read says nothing. */
async function floorOf(disks: Disks): Promise<number> {
  const floors = await withDevice(disks.openBoot(), async (device) => {
    const stamp = await readStamp(device)
    return [stamp?.floor ?? 0, currentRecord(await readRecord(device))?.floor ?? 0]
  })
  return Math.max(0, ...(floors ?? []))
}

async function readAutoboot(disks: Disks, trace: TraceLine[]): Promise<Uint8Array | null> {
  try {
    const opening = disks.openAutoboot?.()
    if (opening === undefined) return null
    const device = await opening
    try {
      return await readFatFile(device, await findFatFile(device, autobootName))
    } finally {
      await device.close()
    }
  } catch (caught) {
    if (!(caught instanceof EverbootError)) throw caught
    trace.push({ row: null, what: `no autoboot.txt: ${faultText(faultOf(caught))}` })
    return null
  }
}

/** Of an emulated slot its first block stands for what the firmware looks for: start.elf or config.txt. */
async function bootablePartitions(
  { disks, partitions }: TrybootBoard,
  { sealImage }: Firmware,
): Promise<ReadonlySet<number>> {
  const bootable = new Set<number>()
  for (const slot of slotIds) {
    const found = await withDevice(disks.openSlot(slot, sealImage, 'read'), async (device) => {
      const block = device.allocate(device.sectorBytes)
      await readWhole(device, 0, block, 'the slot')
      return block.some((byte) => byte !== 0)
    })
    if (found === true) bootable.add(partitions[slot])
  }
  return bootable
}

/** @returns null when the device cannot be opened or read */
async function withDevice<T>(
  opening: Promise<BlockDevice>,
  work: (device: BlockDevice) => Promise<T>,
): Promise<T | null> {
  try {
    const device = await opening
    try {
      return await work(device)
    } finally {
      await device.close()
    }
  } catch (caught) {
    if (!(caught instanceof EverbootError)) throw caught
    return null
  }
}
