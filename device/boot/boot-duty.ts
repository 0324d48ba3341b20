/**
 * What each boot owes: to find out what became of an open attempt, to prove itself healthy, to commit or
 * give way, and to put the record right.
 * Promise: the record decides what became of an attempt; only a slot on trial commits or rolls back; a
 * committed system that is sick stays up and says so.
 * Leaves to others: the sequences of writes (commit.ts), the rules (update/boot-rules.ts).
 */
import { type ErrorCode, EverbootError, fault, faultOf, isErrorCode } from '../../core/errors.ts'
import { trialLimits } from '../../core/limits.ts'
import { otherSlot } from '../../core/units.ts'
import type { Evidence } from '../../core/wire/messages.ts'
import type { Board } from '../board.ts'
import { type FinalVerdict, watchHealth } from '../health/health-watch.ts'
import type { Reporter } from '../report/reporter.ts'
import { evidenceOf } from '../report/snapshot.ts'
import {
  attemptOutcome,
  claimsPriority,
  closed,
  mayRollBack,
  spareFirst,
  standingOf,
  tidied,
} from '../update/boot-rules.ts'
import type { Attempt } from '../update/journal.ts'
import type { AttemptEnd, Updater } from '../update/updater.ts'
import { commit, finishWithdrawal, handBack, rollBack, tidy } from './commit.ts'

export interface BootDuty {
  /** Until then no assignment is begun: the boot has not found its place. */
  readonly settled: boolean
  /** First thing after the start of the agent; does not return when it ends in a reboot. */
  begin(): Promise<void>
  /** Rule 9: journal, record, a last word, reboot. */
  giveWay(): Promise<void>
  /** Rule 10, the last case: the running slot is damaged and the spare is the only good one. */
  leave(): Promise<never>
}

export interface DutyHost {
  readonly reporter: Reporter
  readonly updater: Updater
  enqueue(work: () => Promise<void>): void
  reboot(): Promise<never>
  stopped(): boolean
  /** Now assignments may begin. */
  onSettled(): Promise<void>
}

export function createBootDuty(board: Board, host: DutyHost): BootDuty {
  const { boot, journal, own, handOver, ports } = board
  let settled = false
  let verdict: FinalVerdict | null = null
  /** Why the loader could not be told, when that was last said to the hub. */
  let untold: ErrorCode | null = null

  const settle = async (): Promise<void> => {
    settled = true
    ports.events.emit({ event: 'settled' })
    host.reporter.show()
    await host.onSettled()
  }

  /** Rule 13. */
  const placeAttempt = async (attempt: Attempt): Promise<void> => {
    const sealed = board.seal(attempt.target)?.releaseId ?? null
    const outcome = attemptOutcome(attempt, boot.record, own, handOver.bootId, sealed)
    ports.events.emit({ event: 'attempt found', release: attempt.releaseId, outcome })
    switch (outcome) {
      case 'succeeded':
        // A cut may have come between the writes of the commit: all of them stand before it is reported.
        if (attempt.target === own) await commit(board)
        return host.updater.resume('REBOOTING', 'committed')
      case 'trial':
        return host.updater.resume('REBOOTING', 'trial')
      case 'reboot':
        return host.updater.resume('APPLYING', 'armed')
      case 'failed':
        if (attempt.target !== own) await boot.writeBoth(closed(boot.record, own))
        return host.updater.resume('REBOOTING', 'fell back', await endOf(attempt))
      case 'resume':
        return
    }
  }

  /** On boards whose firmware cannot read the record: a boot that ended up in the wrong slot goes on to the right one. */
  const findPlace = async (): Promise<void> => {
    const why = await board.loader.misplaced(boot)
    // An agent that is killed once the loader is told must not take its boot for a fall back.
    if (why === 'strayed') await willLeave(handOver.bootId)
    const told = await tellLoader()
    if (why === 'strayed' && !told) return willLeave('')
    if (why === null) return
    ports.events.emit({ event: 'misplaced', slot: own, why })
    await host.reboot()
  }

  const willLeave = async (leaving: string): Promise<void> => {
    try {
      await journal.save((it) => ({ ...it, leaving }))
    } catch (caught) {
      ports.events.emit({ event: 'leaving not kept', what: faultOf(caught).what })
    }
  }

  /** A loader that cannot be told is told again at the next start; until then this system runs on. */
  const tellLoader = async (): Promise<boolean> => {
    try {
      await board.loader.tell(boot)
      return true
    } catch (caught) {
      if (!(caught instanceof EverbootError)) throw caught
      const { code, what } = caught.fault
      if (untold !== code) await host.reporter.keepSoon({ notice: { code, what } })
      untold = code
      return false
    }
  }

  const endOf = async (attempt: Attempt): Promise<AttemptEnd> => {
    const words = await ports.machine.lastWords()
    const seen = attempt.verdict
    if (seen === null) {
      const what = `${attempt.releaseId} never reported health in slot ${attempt.target}`
      return { fault: fault('EB-NO-VERDICT', what), evidence: evidenceOf(words) }
    }
    const code: ErrorCode = isErrorCode(seen.code) ? seen.code : 'EB-HEALTH'
    const evidence: Evidence = { ...evidenceOf(words), ...seen.evidence }
    return { fault: fault(code, seen.what), evidence }
  }

  const watch = (): void => {
    const facts = {
      hubNeeded: standingOf(boot.record, own) === 'trial',
      hubHeardBefore: journal.current.attempt?.networkBefore ?? false,
      hubHeard: () => host.reporter.hubHeard,
      hindrance: () => host.reporter.hindrance?.what ?? null,
      stopped: () => host.stopped(),
    }
    watchHealth(board, facts).then((found) => {
      if (found !== null) host.enqueue(() => judged(found))
    })
  }

  const judged = async (found: FinalVerdict): Promise<void> => {
    verdict = found
    const standing = standingOf(boot.record, own)
    const what = found.kind === 'unhealthy' ? sick(found) : null
    ports.events.emit({ event: 'health', verdict: found.kind, standing, what })
    if (found.kind === 'healthy') {
      if (standing === 'trial') await commitTrial()
      else if (standing === 'committed') await putRight()
      return settle()
    }
    const end = { fault: fault(found.code, sick(found)), evidence: evidenceFrom(found) }
    // With an attempt on trial the update table says what follows; without one, this does.
    const attempted = host.updater.state === 'REBOOTING'
    if (mayRollBack(boot.record, own)) return attempted ? host.updater.fire('unhealthy', end) : giveWay()
    if (!attempted) {
      await host.reporter.keepSoon({
        notice: { code: found.code, what: sick(found), evidence: end.evidence },
      })
    }
    await settle()
    if (attempted) await host.updater.fire('stuck', end)
  }

  const commitTrial = async (): Promise<void> => {
    const hook = await ports.machine.hook('pre-commit', { EVERBOOT_SLOT: own }, trialLimits.hookMs)
    if (hook !== null && hook.status !== 0) {
      const check = { name: 'pre-commit hook', passed: false, output: hook.output }
      return judged({ kind: 'unhealthy', code: 'EB-HOOK', check })
    }
    await commit(board)
    await provedHere()
    await host.reporter.keepSoon({}, (it) => ({ ...it, handedBack: false, lived: null }))
    await host.updater.fire('committed')
  }

  const putRight = async (): Promise<void> => {
    // Told first: once the record is right again, nothing shows that the board fell back.
    if (tidied(boot.record, own, claimsPriority(journal.current.attempt)).fellBack) await tellFallBack()
    await tidy(board)
    await provedHere()
  }

  const provedHere = async (): Promise<void> => {
    await tellLoader()
    await board.loader.proved()
  }

  const tellFallBack = async (): Promise<void> => {
    const before = boot.record.priority
    const lost =
      board.seal(otherSlot(own))?.releaseId ?? journal.current.finished?.releaseId ?? 'nothing sealed'
    const what = `slot ${before} (${lost}) gave way to slot ${own} (${board.seal(own)?.releaseId ?? 'unsealed'})`
    const evidence = evidenceOf(await ports.machine.lastWords())
    await host.reporter.keepSoon({ notice: { code: 'EB-FELL-BACK', what, evidence } })
  }

  const giveWay = async (): Promise<void> => {
    if (verdict?.kind === 'unhealthy') await rememberVerdict(verdict)
    await rollBack(board)
    await ports.clock.sleep(board.settings.rebootDelayMs)
    await host.reboot()
  }

  const leave = async (): Promise<never> => {
    await boot.writeBoth(spareFirst(boot.record, own))
    return host.reboot()
  }

  /** "It lived": the record may lose its way back here, the reason must not. A full disk does not stop a rollback. */
  const rememberVerdict = async (found: FinalVerdict & { kind: 'unhealthy' }): Promise<void> => {
    const entry = { code: found.code, what: sick(found), evidence: evidenceFrom(found) }
    const lived = board.seal(own)?.releaseId ?? null
    try {
      await journal.save((it) => ({
        ...it,
        lived,
        attempt: it.attempt === null ? null : { ...it.attempt, verdict: entry },
      }))
    } catch (caught) {
      ports.events.emit({ event: 'verdict not kept', what: faultOf(caught).what })
    }
  }

  /**
   * Rule 11. Where the journal cannot say that it handed back, it would do so for ever: then only tries that
   * the other slot has left anyway are used.
   */
  const mayLeaveRescue = async (): Promise<boolean> => {
    if (host.reporter.hindrance !== null) return boot.record[otherSlot(own)].tries > 0
    const lost = await handBack(board)
    if (lost !== null) await host.reporter.keepSoon({ notice: { code: lost.code, what: lost.what } })
    return true
  }

  return {
    get settled() {
      return settled
    },
    async begin() {
      await findPlace()
      await finishWithdrawal(board)
      const { attempt, leaving } = journal.current
      if (leaving === handOver.bootId) return leave()
      if (attempt !== null) await placeAttempt(attempt)
      const standing = standingOf(boot.record, own)
      ports.events.emit({ event: 'standing', slot: own, standing, boot: handOver.bootId })
      if (standing === 'rescue' && !journal.current.handedBack && (await mayLeaveRescue())) {
        return host.reboot()
      }
      if (standing === 'committed' && journal.current.handedBack) {
        await host.reporter.keepSoon({}, (it) => ({ ...it, handedBack: false }))
      }
      watch()
    },
    giveWay,
    leave,
  }
}

function sick(found: FinalVerdict & { kind: 'unhealthy' }): string {
  return `check ${found.check.name}: ${found.check.output}`
}

function evidenceFrom(found: FinalVerdict & { kind: 'unhealthy' }): Evidence {
  return evidenceOf({ check: found.check.name, output: found.check.output })
}
