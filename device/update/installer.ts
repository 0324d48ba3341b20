/**
 * Does what the update table asks for between an assignment and the reboot: download, read-back, seal,
 * arming.
 * Promise: the order of rule 7. Nothing is erased before every check has passed; the seal is written only
 * over an image that read back intact; the record names the spare only after the seal read back too.
 * Leaves to others: when (agent.ts), health, commit and rollback (boot-duty.ts).
 */
import { assert } from '../../core/assert.ts'
import { EverbootError, type Fault, fault, faultOf } from '../../core/errors.ts'
import { trialLimits } from '../../core/limits.ts'
import type { HookName } from '../../core/ports.ts'
import { fail, ok, type Result } from '../../core/result.ts'
import type { Progress } from '../../core/wire/messages.ts'
import type { Board } from '../board.ts'
import { type DownloadEnd, downloadImage } from '../download/fetcher.ts'
import type { Tally } from '../download/progress.ts'
import type { RetryHost } from '../download/retrying.ts'
import { sealPartition } from '../settings.ts'
import { isIntact } from '../slots/slot.ts'
import { holdsSeal, writeSeal } from '../slots/slot-writer.ts'
import { readBack } from '../verify/slot-readback.ts'
import { onTrialInPlace, spareArmed, spareCleared } from './boot-rules.ts'
import type { Attempt } from './journal.ts'
import type { UpdateEvent } from './machine.ts'
import { type OpenImage, type Prepared, prepare } from './preparation.ts'

/** What a step came to. */
export interface StepOutcome {
  readonly event: UpdateEvent
  readonly fault?: Fault
  /** After the report, the spare must be booted: it is the only good slot. */
  readonly bootTheSpare?: boolean
}

export interface InstallHost extends RetryHost {
  onProgress(progress: Progress): void
  hubHeard(): boolean
  /** Resolves when the new system may be activated, or the attempt is withdrawn. */
  untilActive(): Promise<void>
}

/** One attempt, from its first check to the armed record. Steps are called in the order of the table. */
export interface Installer {
  checkAndDownload(): Promise<StepOutcome>
  downloadDamaged(): Promise<StepOutcome>
  readBack(): Promise<StepOutcome>
  sealAndArm(): Promise<StepOutcome>
  /** Lets the devices go; after it no step may be called. */
  close(): Promise<void>
}

export function createInstaller(board: Board, host: InstallHost): Installer {
  let prepared: Prepared = { kind: 'cancelled' }
  let repaired = false

  const attempt = (): Attempt => {
    const open = board.journal.current.attempt
    assert(open !== null, 'an attempt is open')
    return open
  }
  const close = async (): Promise<void> => {
    const open = prepared
    prepared = { kind: 'cancelled' }
    if (open.kind === 'install') await open.close()
  }
  /** A step that throws a coded error has failed by it. */
  const step = (run: () => Promise<StepOutcome>) => async (): Promise<StepOutcome> => {
    let outcome: StepOutcome
    try {
      outcome = await run()
    } catch (caught) {
      if (caught instanceof Undecided) throw caught
      outcome = { event: 'failed', fault: faultOf(caught) }
    }
    if (outcome.event === 'failed' || outcome.event === 'withdrawn') await close()
    return outcome
  }
  const download = async (): Promise<StepOutcome> => {
    if (prepared.kind !== 'install') return { event: 'downloaded' }
    const got = await downloadAll(board, host, prepared, repaired)
    if (!got.ok) return { event: 'failed', fault: got.error }
    return { event: got.value === 'complete' ? 'downloaded' : 'withdrawn' }
  }

  return {
    close,
    checkAndDownload: step(async () => {
      await retarget(board, attempt())
      const outcome = await prepare(board, attempt(), host)
      if (!outcome.ok) return { event: 'failed', ...outcome.error }
      prepared = outcome.value
      if (prepared.kind === 'held') return { event: 'held' }
      if (prepared.kind === 'cancelled') return { event: 'withdrawn' }
      const hooked = await runHook(board, 'pre-install', attempt().releaseId)
      if (!hooked.ok) return { event: 'failed', fault: hooked.error }
      if (prepared.kind !== 'own in place') await clearSpare(board)
      if (prepared.kind === 'install') await wipeSeal(board, prepared.images)
      return download()
    }),
    downloadDamaged: step(download),
    readBack: step(async () => {
      const verified = await verify(board, prepared, attempt(), host)
      if (verified.ok) return { event: 'intact' }
      if (verified.error.code !== 'EB-READBACK' || repaired || prepared.kind !== 'install') {
        return { event: 'failed', fault: verified.error }
      }
      board.ports.events.emit({ event: 'repair', what: verified.error.what })
      repaired = true
      await saveMarks(board, {})
      return { event: 'damaged' }
    }),
    sealAndArm: step(async () => {
      await host.untilActive()
      if (host.cancelled.aborted) return { event: 'withdrawn' }
      const hooked = await runHook(board, 'post-install', attempt().releaseId)
      if (!hooked.ok) return { event: 'failed', fault: hooked.error }
      const armed = await arm(board, prepared, host.hubHeard())
      if (!armed.ok) return { event: 'failed', fault: armed.error }
      await close()
      return { event: 'armed' }
    }),
  }
}

/** An attempt that was only opened when the board fell over to its target goes into the other slot now. */
async function retarget(board: Board, attempt: Attempt): Promise<void> {
  if (attempt.target === board.spare) return
  await board.journal.save((it) =>
    it.attempt === null ? it : { ...it, attempt: { ...it.attempt, target: board.spare, marks: {} } },
  )
}

/** Rule 7, first write: the spare promises nothing, in both copies. */
async function clearSpare(board: Board): Promise<void> {
  const { ok: committed, sv, tries } = board.boot.record[board.spare]
  if (committed || sv !== 0 || tries !== 0 || board.boot.promisesMore(board.spare)) {
    await board.boot.writeBoth(spareCleared(board.boot.record, board.spare))
  }
}

async function wipeSeal(board: Board, images: readonly OpenImage[]): Promise<void> {
  const [first] = images
  assert(
    first !== undefined && first.planned.image.name === sealPartition(board.settings),
    'the seal partition',
  )
  await writeSeal(first.device, null)
  await board.refreshSeal(board.spare)
}

async function downloadAll(
  board: Board,
  host: InstallHost,
  prepared: Prepared & { kind: 'install' },
  repaired: boolean,
): Promise<Result<DownloadEnd, Fault>> {
  const { ports, journal } = board
  const total = prepared.images.reduce((sum, it) => sum + it.planned.image.paddedBytes, 0)
  const base = {
    fetched: journal.current.attempt?.bytesFetched ?? 0,
    again: journal.current.attempt?.bytesRefetched ?? 0,
  }
  let doneBefore = 0
  for (const { planned, device } of prepared.images) {
    const { blob, image } = planned
    const sums = (tally: Tally) => ({
      bytesFetched: base.fetched + tally.fetched,
      bytesRefetched: base.again + tally.fetched - tally.useful,
    })
    let last: Tally = { fetched: 0, useful: 0 }
    const attempt = journal.current.attempt
    const ended = await downloadImage(
      {
        releaseId: prepared.manifest.id,
        planned,
        device,
        indexUrl: `${prepared.baseUrl}/${blob.id}.index`,
        blobUrl: `${prepared.baseUrl}/${blob.id}.blob`,
        mark: attempt?.marks[image.name] ?? 0,
        rescan: board.spareDoubted ? 'none' : prepared.worthRescan || repaired ? 'all' : 'window',
        throttle: attempt?.desired?.throttle ?? null,
        cancelled: host.cancelled,
        waitForLink: host.waitForLink,
        saveMark: (mark, tally) =>
          saveMarks(board, { ...journal.current.attempt?.marks, [image.name]: mark }, sums(tally)),
        onProgress: (done, tally) => {
          last = tally
          host.onProgress({ bytesDone: doneBefore + done, bytesTotal: total, ...sums(tally) })
        },
      },
      { ...ports, fetch: prepared.fetch },
    )
    if (!ended.ok || ended.value === 'cancelled') return ended
    doneBefore += image.paddedBytes
    base.fetched += last.fetched
    base.again += last.fetched - last.useful
  }
  return ok('complete')
}

async function saveMarks(
  board: Board,
  marks: Attempt['marks'],
  sums?: { bytesFetched: number; bytesRefetched: number },
): Promise<void> {
  await board.journal.save((it) =>
    it.attempt === null ? it : { ...it, attempt: { ...it.attempt, marks, ...sums } },
  )
}

async function verify(
  board: Board,
  prepared: Prepared,
  attempt: Attempt,
  host: InstallHost,
): Promise<Result<void, Fault>> {
  const { ports, settings, own } = board
  if (prepared.kind === 'own in place') {
    const intact = await isIntact(ports.disks, own, prepared.seal)
    return intact ? ok(undefined) : fail(fault('EB-READBACK', `slot ${own} is damaged`))
  }
  // In place: prepare() has just re-read it.
  if (prepared.kind !== 'install') return ok(undefined)
  const total = prepared.images.reduce((sum, it) => sum + it.planned.image.paddedBytes, 0)
  let before = 0
  for (const { planned, device } of prepared.images) {
    const checked = await readBack(device, planned.image, settings.trust.rsa, (bytes) =>
      host.onProgress({
        bytesDone: before + bytes,
        bytesTotal: total,
        bytesFetched: attempt.bytesFetched,
        bytesRefetched: attempt.bytesRefetched,
      }),
    )
    if (!checked.ok) return checked
    before += planned.image.paddedBytes
  }
  return ok(undefined)
}

/** Rule 7, end: seal, read-back of the seal, journal, record. */
async function arm(board: Board, prepared: Prepared, hubHeard: boolean): Promise<Result<void, Fault>> {
  const { boot, handOver, journal, own, spare } = board
  if (prepared.kind === 'install') {
    const sealed = await putSeal(board, prepared)
    if (!sealed.ok) return sealed
  }
  assert(prepared.kind !== 'held' && prepared.kind !== 'cancelled', 'something to arm')
  const target = prepared.kind === 'own in place' ? own : spare
  await journal.save((it) =>
    it.attempt === null
      ? it
      : {
          ...it,
          attempt: {
            ...it.attempt,
            target,
            phase: 'arming',
            armedInBoot: handOver.bootId,
            // What the hub wished came over the network, whatever was heard since.
            networkBefore: it.attempt.seq > 0 || hubHeard,
            verdict: null,
          },
        },
  )
  const next =
    target === own
      ? onTrialInPlace(boot.record, own)
      : spareArmed(boot.record, spare, prepared.seal.securityVersion)
  const before = boot.record
  try {
    await boot.write(next)
  } catch (caught) {
    // It may be on the medium all the same. Only once it is taken back is "failed" the truth.
    await boot.writeBoth(before).catch(() => {
      throw new Undecided(faultOf(caught))
    })
    throw caught
  }
  return ok(undefined)
}

/** The record may say that the new system is to be tried, or not: the next start reads it and decides. */
class Undecided extends EverbootError {}

async function putSeal(board: Board, prepared: Prepared & { kind: 'install' }): Promise<Result<void, Fault>> {
  const [first] = prepared.images
  assert(first !== undefined, 'a first image')
  const seal = Buffer.from(prepared.manifest.seal, 'base64')
  await writeSeal(first.device, seal)
  if (await holdsSeal(first.device, seal)) {
    await board.refreshSeal(board.spare)
    return ok(undefined)
  }
  return fail(fault('EB-READBACK', 'the seal does not read back as written'))
}

async function runHook(board: Board, name: HookName, releaseId: string): Promise<Result<void, Fault>> {
  const environment = { EVERBOOT_RELEASE: releaseId, EVERBOOT_SLOT: board.own, EVERBOOT_SPARE: board.spare }
  const ran = await board.ports.machine.hook(name, environment, trialLimits.hookMs)
  if (ran === null || ran.status === 0) return ok(undefined)
  const end = ran.timedOut ? 'took too long' : `ended with ${ran.status ?? 'a signal'}`
  return fail(fault('EB-HOOK', `hook ${name} ${end}: ${ran.output}`))
}
