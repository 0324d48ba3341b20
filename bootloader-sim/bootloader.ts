/**
 * The boot loop: reads record and stamp, asks the boot table what to do, does it, until a slot starts or
 * nobody can. Runs alike on a real disk and under simulation, since it touches nothing but ports.
 * Promise: what it starts verified in this boot (or, for firmware that cannot verify, claims to be whole), at or
 * above the floor, and its try is on the medium first;
 * every refusal is in the trace, in words. BOOT rules 1 to 5.
 * Leaves to others: the table (decide.ts), loading what is in the slot, pausing and resetting (the board).
 */
import { assert, present } from '../core/assert.ts'
import { currentRecord, readRecord, readStamp, recordText, writeRecord } from '../core/boot-partition.ts'
import type { BootRecord, RecordCopies } from '../core/boot-record.ts'
import type { CommitStamp } from '../core/commit-stamp.ts'
import { EverbootError, type Fault, fault, faultText } from '../core/errors.ts'
import { boardLimits } from '../core/limits.ts'
import type { BlockDevice, Disks, Entropy } from '../core/ports.ts'
import { hex, type SlotId } from '../core/units.ts'
import type { Seal } from '../images/release/seal.ts'
import { hasKernel } from './claimed-slot.ts'
import {
  after,
  atPowerOn,
  decide,
  floorOf,
  type Knowledge,
  refused,
  type Step,
  type Verdict,
} from './decide.ts'
import { type Firmware, sealVerdict, verifySlot } from './verified-slot.ts'

export interface BootPorts {
  readonly disks: Disks
  readonly entropy: Entropy
}

/** One thing the loader did. */
export interface TraceLine {
  /** Row of the boot table that fired; null for what came before the table. */
  readonly row: string | null
  readonly what: string
}

export type BootOutcome =
  | {
      readonly kind: 'start'
      readonly slot: SlotId
      readonly seal: Seal
      /** Different for every boot; safe in paths and topics. */
      readonly bootId: string
      /** Words for the kernel command line: the hand-over. */
      readonly commandLine: string
      readonly trace: readonly TraceLine[]
    }
  | { readonly kind: 'none'; readonly fault: Fault; readonly trace: readonly TraceLine[] }

/** One boot. Never throws for what is on the disk: the outcome says it. */
export async function boot(ports: BootPorts, firmware: Firmware): Promise<BootOutcome> {
  const trace: TraceLine[] = []
  const partition = await openPartition(ports.disks, trace)
  const loader = new Loader(ports.disks, firmware, partition, trace)
  let known = await loader.start()
  for (let steps = 0; ; steps += 1) {
    assert(steps < boardLimits.bootStepsMax, `the boot table did not end in ${steps} steps`)
    const { row, step } = decide(known)
    if (step.do === 'start') {
      if (firmware.looks === 'claim' && !(await hasKernel(ports.disks, firmware, step.slot))) {
        const why = 'no kernel can be loaded'
        trace.push({ row: row.id, what: `slot ${step.slot} does not start: ${why}` })
        known = refused(known, step.slot, why)
        continue
      }
      const seal = present(loader.seals[step.slot], 'seal of a verified slot')
      trace.push({ row: row.id, what: `slot ${step.slot} starts: ${seal.releaseId}` })
      await partition?.close()
      return { kind: 'start', slot: step.slot, seal, ...handOver(step.slot, ports.entropy), trace }
    }
    if (step.do === 'stop') {
      trace.push({ row: row.id, what: 'no slot can be started' })
      await partition?.close()
      return { kind: 'none', fault: nobody(known), trace }
    }
    known = after(known, step, await loader.carryOut(row.id, step, known))
  }
}

/** Trace as text, one line each. */
export function traceText(trace: readonly TraceLine[]): string {
  return trace.map((it) => `${it.row === null ? '' : `[${it.row}] `}${it.what}\n`).join('')
}

/** Carries steps out and remembers the copies on the medium. */
class Loader {
  readonly seals: Record<SlotId, Seal | null> = { a: null, b: null }
  readonly #disks: Disks
  readonly #firmware: Firmware
  readonly #partition: BlockDevice | null
  readonly #trace: TraceLine[]
  #copies: RecordCopies = { copies: [null, null], current: null }

  constructor(disks: Disks, firmware: Firmware, partition: BlockDevice | null, trace: TraceLine[]) {
    this.#disks = disks
    this.#firmware = firmware
    this.#partition = partition
    this.#trace = trace
  }

  async start(): Promise<Knowledge> {
    if (this.#partition === null) return atPowerOn(null, null, false)
    const stamp = await readStamp(this.#partition)
    await this.#readCopies(this.#partition)
    const record = currentRecord(this.#copies)
    const bad = this.#copies.copies.filter((it) => it === null).length
    const copy = bad === 0 ? '' : `, ${bad} of 2 copies bad`
    this.#note(null, record === null ? `record: none${copy}` : `record: ${recordText(record)}${copy}`)
    this.#note(null, stampText(stamp))
    return atPowerOn(record, stamp, true)
  }

  /** @returns the verdict of a look, or whether the medium kept a write */
  async carryOut(
    row: string,
    step: Exclude<Step, { do: 'start' | 'stop' }>,
    known: Knowledge,
  ): Promise<Verdict | boolean> {
    if (step.do === 'look') return this.#look(row, step.slot, known)
    const doing = { rebuild: 'record rebuilt', rearm: 're-armed', take: 'a try is taken' }[step.do]
    const of = step.do === 'take' ? ` from slot ${step.slot}` : ''
    const written = await this.#write(row, step.record)
    const now = currentRecord(this.#copies)
    if (written && now !== null) this.#note(row, `${doing}${of}: ${recordText(now)}`)
    return written
  }

  async #look(row: string, slot: SlotId, known: Knowledge): Promise<Verdict> {
    const look = this.#firmware.looks === 'claim' ? sealVerdict : verifySlot
    const found = await look(this.#disks, this.#firmware, slot, floorOf(known))
    if (!found.verified) {
      this.#note(row, `slot ${slot} is refused: ${found.why}`)
      return found
    }
    const { releaseId, securityVersion } = found.seal
    this.seals[slot] = found.seal
    this.#note(row, `slot ${slot} verifies: ${releaseId}, security version ${securityVersion}`)
    return { verified: true, securityVersion, releaseId }
  }

  async #write(row: string, record: BootRecord): Promise<boolean> {
    if (this.#partition === null) return false
    try {
      this.#copies = await writeRecord(this.#partition, this.#copies, record)
      return true
    } catch (caught) {
      if (!(caught instanceof EverbootError)) throw caught
      this.#note(row, `the record cannot be written: ${faultText(caught.fault)}`)
      return false
    }
  }

  /** Copies that cannot be read count as bad; whether they can be written shows when it is tried. */
  async #readCopies(partition: BlockDevice): Promise<void> {
    try {
      this.#copies = await readRecord(partition)
    } catch (caught) {
      if (!(caught instanceof EverbootError)) throw caught
      this.#note(null, faultText(caught.fault))
    }
  }

  #note(row: string | null, what: string): void {
    this.#trace.push({ row, what })
  }
}

async function openPartition(disks: Disks, trace: TraceLine[]): Promise<BlockDevice | null> {
  try {
    return await disks.openBoot()
  } catch (caught) {
    if (!(caught instanceof EverbootError)) throw caught
    trace.push({ row: null, what: `no boot partition: ${faultText(caught.fault)}` })
    return null
  }
}

function handOver(slot: SlotId, entropy: Entropy): { readonly bootId: string; readonly commandLine: string } {
  const bootId = `boot-${hex(entropy.bytes(8))}`
  return { bootId, commandLine: `everboot.slot=${slot} everboot.boot=${bootId}` }
}

function stampText(stamp: CommitStamp | null): string {
  return stamp === null ? 'stamp: none' : `stamp: floor=${stamp.floor} priority=${stamp.priority}`
}

function nobody(known: Knowledge): Fault {
  const each = (['a', 'b'] as const).map((slot) => {
    const verdict = known.verdicts[slot]
    if (verdict === null) return `slot ${slot} was not looked at`
    return verdict.verified ? `slot ${slot} verifies but may not start` : `slot ${slot}: ${verdict.why}`
  })
  return fault('EB-NO-SLOT', each.join('; '))
}
