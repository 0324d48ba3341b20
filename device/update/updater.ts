/**
 * Drives one attempt after another through the update table.
 * Promise: one action at a time; each ends in one event; the end of an attempt and its report are one step
 * of the journal, so exactly one final report exists for it.
 * Leaves to others: events from outside (agent.ts), health and commit (boot-duty.ts).
 */
import { assert } from '../../core/assert.ts'
import { type ErrorCode, EverbootError, type Fault, fault, faultOf } from '../../core/errors.ts'
import { downloadLimits, trialLimits, wireLimits } from '../../core/limits.ts'
import type { Desired, Evidence, Progress, Report, UpdateState } from '../../core/wire/messages.ts'
import type { Board } from '../board.ts'
import type { Reporter } from '../report/reporter.ts'
import { tail } from '../report/snapshot.ts'
import { createInstaller, type Installer, type StepOutcome } from './installer.ts'
import type { Attempt, Journal } from './journal.ts'
import { step, type UpdateAction, type UpdateEvent } from './machine.ts'
import { forgetManifest } from './manifest-source.ts'

/** What an attempt is for. */
export type Assignment =
  | { readonly kind: 'hub'; readonly desired: Desired }
  | { readonly kind: 'file'; readonly desired: Desired; readonly path: string }
  | { readonly kind: 'return'; readonly releaseId: string }

export interface Updater {
  readonly state: UpdateState
  readonly progress: Progress | null
  /** The last final report of this run of the agent. */
  readonly lastReport: Report | null
  /** Begins an attempt; only in IDLE. @throws EverbootError EB-DATA-* when the journal cannot take it */
  begin(assignment: Assignment): Promise<void>
  /** Goes on with an attempt of the journal, at a state that fits its outcome. */
  resume(state: UpdateState, event: UpdateEvent | null, cause?: AttemptEnd): Promise<void>
  /** Something outside decided: committed, unhealthy, stuck. */
  fire(event: UpdateEvent, cause?: AttemptEnd): Promise<void>
  /** Stops a download for something newer. */
  withdraw(): void
}

/** Why an attempt failed. */
export interface AttemptEnd {
  readonly fault: Fault
  readonly evidence?: Evidence
}

export interface UpdaterHost {
  readonly reporter: Reporter
  waitForLink(waitMs: number, cancelled: AbortSignal): Promise<void>
  untilActive(cancelled: AbortSignal): Promise<void>
  /** Runs `work` when all that came before it is done; one at a time. */
  enqueue(work: () => Promise<void>): void
  reboot(): Promise<never>
  rollBack(): Promise<void>
  /** The spare is the only good slot: it is booted. */
  leave(): Promise<never>
  /** IDLE again. */
  idle(): void
}

export function createUpdater(board: Board, host: UpdaterHost): Updater {
  const { events, clock, files } = board.ports
  let state: UpdateState = 'IDLE'
  let progress: Progress | null = null
  let shownMs = 0
  let cancelling = new AbortController()
  let end: AttemptEnd | null = null
  let lastReport: Report | null = null
  let bootTheSpare = false
  let installer = newInstaller()

  function newInstaller(): Installer {
    cancelling = new AbortController()
    const { signal } = cancelling
    return createInstaller(board, {
      cancelled: signal,
      waitForLink: (waitMs) => host.waitForLink(waitMs, signal),
      hubHeard: () => host.reporter.hubHeard,
      untilActive: () => host.untilActive(signal),
      onProgress: (now) => {
        progress = now
        if (clock.monotonicMs() - shownMs < downloadLimits.reportMs) return
        shownMs = clock.monotonicMs()
        host.reporter.show()
      },
    })
  }

  const fire = async (event: UpdateEvent, cause?: AttemptEnd): Promise<void> => {
    const row = step(state, event)
    events.emit({
      event: 'update',
      from: state,
      on: event,
      to: row?.to ?? state,
      code: cause?.fault.code ?? null,
    })
    if (row === null) return
    state = row.to
    if (cause !== undefined) end = cause
    host.reporter.show()
    await perform(row.does)
  }

  const perform = async (action: UpdateAction): Promise<void> => {
    switch (action) {
      case 'check and download':
        return run(() => installer.checkAndDownload())
      case 'download what is damaged':
        return run(() => installer.downloadDamaged())
      case 'read back':
        return run(() => installer.readBack())
      case 'seal and arm':
        return run(() => installer.sealAndArm())
      case 'reboot':
        return host.reboot()
      case 'roll back and reboot':
        return host.rollBack()
      case 'watch health':
        return
      case 'report success':
        return report('ok')
      case 'report failure':
        return report('failed')
      case 'take the next assignment':
        progress = null
        installer = newInstaller()
        return host.idle()
    }
  }

  /** Runs a long step beside the event loop; its end is an event. */
  const run = (work: () => Promise<StepOutcome>): void => {
    work().then(
      (outcome) => host.enqueue(() => ended(outcome)),
      (caught: unknown) => host.enqueue(() => Promise.reject(caught)),
    )
  }

  const ended = (outcome: StepOutcome): Promise<void> => {
    bootTheSpare = outcome.bootTheSpare === true
    const cancelled = fault('EB-CANCELLED', 'a newer assignment came')
    const cause = outcome.event === 'withdrawn' ? cancelled : outcome.fault
    return fire(outcome.event, cause === undefined ? undefined : { fault: cause })
  }

  const report = async (result: 'ok' | 'failed'): Promise<void> => {
    const { attempt } = board.journal.current
    assert(attempt !== null, 'an attempt is open')
    await installer.close()
    const document = reportOf(attempt, result, end)
    if (!(await isKept(document, attempt, result))) {
      // A full data partition must not swallow the truth: the attempt stays open until there is room.
      clock.timer(wireLimits.keepRetryMs, () => host.enqueue(() => report(result)))
      return
    }
    end = null
    lastReport = document
    await forget()
    if (bootTheSpare) return host.leave()
    if (result === 'failed' && attempt.verdict !== null) await afterRollback(attempt)
    await fire('reported')
  }

  const isKept = async (document: Report, attempt: Attempt, result: 'ok' | 'failed'): Promise<boolean> => {
    try {
      const leaving = bootTheSpare ? { leaving: board.handOver.bootId } : {}
      await host.reporter.keep({ report: document }, (it) => ({
        ...finished(it, attempt, result, document.code),
        ...leaving,
      }))
      return true
    } catch (caught) {
      if (!(caught instanceof EverbootError)) throw caught
      events.emit({ event: 'report not kept', what: caught.fault.what })
      return false
    }
  }

  /** The kept manifest only takes room now. */
  const forget = async (): Promise<void> => {
    try {
      await forgetManifest(files)
    } catch (caught) {
      events.emit({ event: 'manifest not removed', what: faultOf(caught).what })
    }
  }

  const afterRollback = async (attempt: Attempt): Promise<void> => {
    const environment = { EVERBOOT_RELEASE: attempt.releaseId, EVERBOOT_SLOT: board.own }
    const ran = await board.ports.machine.hook('post-rollback', environment, trialLimits.hookMs)
    if (ran !== null && ran.status !== 0)
      events.emit({ event: 'hook failed', hook: 'post-rollback', what: ran.output })
  }

  return {
    get state() {
      return state
    },
    get progress() {
      return progress
    },
    get lastReport() {
      return lastReport
    },
    fire,
    async begin(assignment) {
      assert(state === 'IDLE', `begin in ${state}`)
      const attempt = newAttempt(assignment, board)
      await host.reporter.keep({}, (it) => ({ ...it, attempt }))
      await fire('assigned')
    },
    async resume(at, event, cause) {
      state = at
      if (event !== null) await fire(event, cause)
    },
    withdraw: () => cancelling.abort(),
  }
}

function newAttempt(assignment: Assignment, board: Board): Attempt {
  const seq = assignment.kind === 'hub' ? assignment.desired.seq : 0
  return {
    seq,
    releaseId: assignment.kind === 'return' ? assignment.releaseId : assignment.desired.release.id,
    target: board.spare,
    phase: 'opened',
    armedInBoot: null,
    desired: assignment.kind === 'return' ? null : assignment.desired,
    file: assignment.kind === 'file' ? assignment.path : null,
    marks: {},
    bytesFetched: 0,
    bytesRefetched: 0,
    networkBefore: false,
    verdict: null,
  }
}

function reportOf(attempt: Attempt, result: 'ok' | 'failed', end: AttemptEnd | null): Report {
  const base = { seq: attempt.seq, release: attempt.releaseId, result }
  if (result === 'ok') return base
  const cause = end ?? { fault: fault('EB-NO-VERDICT', 'the attempt ended without a reason') }
  return {
    ...base,
    code: cause.fault.code,
    what: tail(cause.fault.what, wireLimits.textBytesMax),
    ...(cause.evidence === undefined ? {} : { evidence: cause.evidence }),
  }
}

function finished(journal: Journal, attempt: Attempt, result: 'ok' | 'failed', code?: ErrorCode): Journal {
  const entry = { seq: attempt.seq, releaseId: attempt.releaseId, result, code: code ?? null }
  return { ...journal, attempt: null, finished: attempt.seq > 0 ? entry : journal.finished }
}
