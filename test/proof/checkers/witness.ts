/**
 * A scene in which every checker is heard by itself, and the ways to lie to them: happenings by hand, and
 * what is done to media and hub past the code under test.
 * Promise: `fired` has all invariants that were violated, each once, in the order of the checkers.
 */
import { writeRecord } from '../../../core/boot-partition.ts'
import { type BootRecord, bootPartition, encodeRecord, withSlot } from '../../../core/boot-record.ts'
import { encodeStamp } from '../../../core/commit-stamp.ts'
import { fault } from '../../../core/errors.ts'
import type { SlotId } from '../../../core/units.ts'
import type { Report, Status } from '../../../core/wire/messages.ts'
import { emptyJournal, encodeJournal, type Journal } from '../../../device/update/journal.ts'
import { openSeal } from '../../../images/release/seal.ts'
import { verifyEd25519 } from '../../../keys/verify-node.ts'
import { allCheckers } from '../../../proof/checkers/all.ts'
import type { AnyChecker, Facts, Happening } from '../../../proof/checkers/checker.ts'
import type { MadeRelease } from '../../../proof/publisher.ts'
import { type Cast, minute, name, type Scene, type WatchOptions, watched } from './story.ts'

export interface Witness extends Scene {
  readonly cast: Cast
  /** Ids of the checkers that fired so far, and what the first of each said. */
  fired(): readonly string[]
  said(id: string): string
}

export async function witness(cast: Cast, options?: WatchOptions): Promise<Witness> {
  const heard = new Map<string, string>()
  const scene = await watched(
    cast,
    allCheckers.map((it) => overheard(it, heard)),
    options,
  )
  const fired = () => allCheckers.map((it) => it.id).filter((id) => heard.has(id))
  return { ...scene, cast, fired, said: (id) => heard.get(id) ?? '' }
}

/** The same checker; what it finds is kept under its own name. */
function overheard(it: AnyChecker, heard: Map<string, string>): AnyChecker {
  const hooks = Object.entries(it.on).map(([kind, hook]) => {
    const listening = (state: unknown, happening: unknown, facts: Facts): unknown => {
      const violated = (what: string): void => {
        if (!heard.has(it.id)) heard.set(it.id, what)
      }
      // The other facts are read from the observer at each use.
      const own = Object.create(facts, { violated: { value: violated } }) as Facts
      return (hook as (state: unknown, happening: unknown, facts: Facts) => unknown)(state, happening, own)
    }
    return [kind, listening] as const
  })
  return { ...it, on: Object.fromEntries(hooks) }
}

export function releaseNamed({ cast }: Witness, version: string): MadeRelease {
  const found = [...cast.releases.values()].find((it) => it.manifest.version === version)
  if (found === undefined) throw new Error(`no release ${version}`)
  return found
}

/**
 * A board that runs a good update in slot B, with the factory's release in slot A. @returns the number of the
 * wish
 */
export async function updated(at: Witness, version = 'good-1'): Promise<number> {
  const seq = await at.assign(releaseNamed(at, version))
  await at.world.time.pass(5 * minute)
  return seq
}

/** Writes a changed record as any writer would, in so many copies. */
export async function writeChanged(
  at: Witness,
  change: (record: BootRecord) => BootRecord,
  copies = 2,
): Promise<void> {
  for (let copy = 0; copy < copies; copy += 1) {
    const [first, second] = at.observer.truth.copies()
    const current = at.observer.truth.newestCopy() === 0 ? 0 : 1
    const record = change(await at.board.record())
    await writeRecord(at.board.bootDisk, { copies: [first, second], current }, record)
  }
}

export function slotAs(
  slot: SlotId,
  ok: boolean,
  sv: number,
  tries: number,
): (record: BootRecord) => BootRecord {
  return (record) => withSlot(record, slot, { ok, sv, tries })
}

/** Puts bytes on the boot partition past everybody. */
export function plantFloor(board: Witness['board'], record: BootRecord, floor: number): void {
  bootPartition.copyOffsets.forEach((offset, copy) => {
    const block = encodeRecord({ ...record, floor, sequence: record.sequence + copy })
    if (block !== null) board.bootDisk.plant(offset, block)
  })
  const stamp = encodeStamp({ floor, priority: record.priority })
  if (stamp !== null) board.bootDisk.plant(bootPartition.stampOffset, stamp)
}

export function tell(at: Witness, ...happenings: readonly Happening[]): void {
  for (const it of happenings) at.observer.tell(it)
}

/** The bootloader starts this slot, says who asks. */
export function bootOf(at: Witness, slot: SlotId, release: MadeRelease): Happening {
  const bytes = Buffer.from(release.manifest.seal, 'base64')
  const seal = openSeal(bytes, at.cast.publisher.trust.seal, verifyEd25519)
  if (!seal.ok) throw new Error(seal.error.what)
  const outcome = { kind: 'start', slot, seal: seal.value, bootId: 'b', commandLine: '', trace: [] } as const
  return { kind: 'boot', outcome }
}

export function noBoot(): Happening {
  return { kind: 'boot', outcome: { kind: 'none', fault: fault('EB-NO-SLOT', 'planted'), trace: [] } }
}

/** The agent has saved this journal, and it is durable. */
export function saveJournal(at: Witness, change: Partial<Journal>): void {
  const bytes = encodeJournal({ ...emptyJournal, statusCeiling: 1_000_000, ...change })
  tell(at, { kind: 'file', name: 'journal.new', bytes })
  at.board.files.put('journal', bytes)
  tell(at, { kind: 'rename', from: 'journal.new' }, { kind: 'synced' })
}

export type Open = NonNullable<Journal['attempt']>

export function openAttempt(seq: number, release: MadeRelease, change: Partial<Open> = {}): Open {
  return {
    seq,
    releaseId: release.manifest.id,
    target: 'b',
    phase: 'opened',
    armedInBoot: null,
    desired: null,
    file: null,
    marks: {},
    bytesFetched: 0,
    bytesRefetched: 0,
    networkBefore: true,
    verdict: null,
    ...change,
  }
}

/** A status as the board could have sent it after its last one. */
export function statusOf(at: Witness, change: Partial<Status> = {}): Status {
  const last = at.world.statuses(name).at(-1)
  if (last === undefined) throw new Error('the board has not reported yet')
  const { report: _report, notice: _notice, ...rest } = last
  return { ...rest, seq: last.seq + 1, ...change }
}

export function reportOf(seq: number, release: MadeRelease, change: Partial<Report> = {}): Report {
  return { seq, release: release.manifest.id, result: 'ok', ...change }
}
