/**
 * Tells the hub the truth: keeps statuses that must arrive in the journal until the hub acknowledged them,
 * sends them in order, and shows progress in between.
 * Promise: a kept status is sent again until its acknowledgement; numbers only rise, over restarts and
 * reboots too; progress never overtakes a kept status.
 * Leaves to others: what there is to report (agent.ts).
 */
import { backoffMs } from '../../core/backoff.ts'
import { EverbootError, type Fault, faultOf } from '../../core/errors.ts'
import { wireLimits } from '../../core/limits.ts'
import { type Ack, encodeMessage, type Status } from '../../core/wire/messages.ts'
import { deviceTopic } from '../../core/wire/topics.ts'
import type { Board } from '../board.ts'
import type { Journal } from '../update/journal.ts'
import { type Extra, snapshot, type UpdateView } from './snapshot.ts'

/** Numbers set aside with one save of the journal, for statuses that are not kept. */
const numbersAhead = 1024

export interface Reporter {
  /** Keeps a status and, in the same step, changes the journal. @throws EverbootError EB-DATA-* */
  keep(extra: Extra, change?: (journal: Journal) => Journal): Promise<void>
  /**
   * As `keep`; what the data partition does not take is tried again until it does, or this run ends. Until
   * then a notice goes with what is shown.
   */
  keepSoon(extra: Extra, change?: (journal: Journal) => Journal): Promise<void>
  /** Shows the present state when the hub is there; lost otherwise. */
  show(): void
  linkUp(): void
  linkDown(): void
  acknowledged(ack: Ack): void
  /** Why statuses wait for the data partition, or null. */
  readonly hindrance: Fault | null
  /** The hub acknowledged something in this boot. */
  readonly hubHeard: boolean
  /** Resolves when nothing waits for the hub any more, or after `waitMs`. */
  drain(waitMs: number): Promise<void>
  /** The run ends: nothing is sent or tried any more. */
  close(): void
}

/** A status that the journal has not taken yet. */
interface Waiting {
  readonly extra: Extra
  readonly change: (journal: Journal) => Journal
}

/** @param view of the update, asked for at each status; @param onHeard when the hub answers for the first time */
export function createReporter(board: Board, view: () => UpdateView, onHeard: () => void): Reporter {
  const { clock, link, events, random } = board.ports
  const topic = deviceTopic(board.settings.deviceId, 'status')
  let nextSeq = board.journal.current.statusCeiling + 1
  let up = false
  let heard = false
  let showWanted = false
  /** Statuses that are being kept: their numbers are given, the journal does not have them yet. */
  let keeps = 0
  let sending = false
  let tries = 0
  /** Number of the kept status that was sent and not yet acknowledged. */
  let awaiting: number | null = null
  /** Known to the hub, but not removed from the journal yet: sent no more. */
  const known = new Set<string>()
  let cancelResend = (): void => {}
  let waiting: readonly Waiting[] = []
  let keeping: Promise<void> | null = null
  let cancelKeeping = (): void => {}
  let cancelSaving = (): void => {}
  let closed = false
  let hindrance: Fault | null = null

  const unacknowledged = ({ outbox }: Journal): readonly Status[] =>
    outbox.filter((it) => !known.has(keyOf(it)))

  const pump = (): void => {
    if (!up || sending) return
    const [oldest] = unacknowledged(board.journal.current)
    if (oldest !== undefined) {
      if (oldest.seq !== awaiting) transmit(oldest)
      return
    }
    // What is being kept has its number already and goes first.
    if (keeps > 0 || !showWanted || nextSeq > board.journal.current.statusCeiling) return
    showWanted = false
    const untold = waiting.find((it) => it.extra.notice !== undefined)
    transmit(snapshot(board, view(), nextSeq++, untold?.extra ?? {}), false)
  }

  const transmit = (status: Status, again = true): void => {
    sending = true
    if (again) awaiting = status.seq
    // The hub's acknowledgement may come before the broker's: then nothing is awaited, and the next can go.
    const unanswered = (): boolean => again && awaiting === status.seq
    const done = (): void => {
      sending = false
      if (unanswered()) scheduleResend()
      else pump()
    }
    const failed = (caught: unknown): void => {
      sending = false
      if (unanswered()) scheduleResend()
      else if (again) pump()
      events.emit({ event: 'status not sent', what: faultOf(caught).what })
    }
    link.publish({ topic, payload: encodeMessage(status), qos: 1, retain: false }).then(done, failed)
  }

  /** Until its acknowledgement comes, the oldest kept status is sent again. */
  const scheduleResend = (): void => {
    cancelResend()
    if (closed) return
    tries += 1
    const limits = { baseMs: wireLimits.ackTimeoutMs, ceilingMs: wireLimits.reconnectCeilingMs }
    cancelResend = clock.timer(wireLimits.ackTimeoutMs / 2 + backoffMs(tries, limits, random), () => {
      awaiting = null
      pump()
    })
  }

  const keep = async (extra: Extra, change = unchanged): Promise<void> => {
    keeps += 1
    const saved = board.journal.save((before) => {
      const changed = change(before)
      // The snapshot must describe the journal as it will be, not as it was.
      const described = { ...board, journal: { ...board.journal, current: changed } }
      const status = snapshot(described, view(), nextSeq++, extra)
      return {
        ...changed,
        statusCeiling: nextSeq + numbersAhead,
        outbox: trimmed([...unacknowledged(changed), status]),
      }
    })
    try {
      await saved
    } finally {
      keeps -= 1
      forgetKnown()
    }
  }

  /** What is no longer in the journal need not be remembered. */
  const forgetKnown = (): void => {
    const left = new Set(board.journal.current.outbox.map(keyOf))
    for (const key of known) if (!left.has(key)) known.delete(key)
    pump()
  }

  /** Takes what the hub knows out of the journal. No harm when that fails: the hub would only hear it twice. */
  const saveOutbox = (): void => {
    cancelSaving()
    if (closed) return
    const without = (journal: Journal): Journal => ({ ...journal, outbox: [...unacknowledged(journal)] })
    board.journal.save(without).then(forgetKnown, (caught: unknown) => {
      events.emit({ event: 'outbox not saved', what: faultOf(caught).what })
      cancelSaving = clock.timer(wireLimits.keepRetryMs, saveOutbox)
      pump()
    })
  }

  /** The hub has in its database what the kernel had kept; the kernel's room is small. */
  const forgetCrash = (status: Status | undefined): void => {
    const crash = status?.report?.evidence?.crash ?? status?.notice?.evidence?.crash
    if (crash === undefined) return
    board.ports.machine.forgetCrash?.(crash).catch((caught: unknown) => {
      events.emit({ event: 'crash not forgotten', what: faultOf(caught).what })
    })
  }

  const keepWaiting = async (): Promise<void> => {
    cancelKeeping()
    for (let [first] = waiting; first !== undefined && !closed; [first] = waiting) {
      try {
        await keep(first.extra, first.change)
      } catch (caught) {
        if (!(caught instanceof EverbootError)) throw caught
        hindrance = caught.fault
        events.emit({ event: 'status not kept', code: hindrance.code, what: hindrance.what })
        cancelKeeping = clock.timer(wireLimits.keepRetryMs, startKeeping)
        return
      }
      const done = first
      waiting = waiting.filter((it) => it !== done)
      hindrance = null
    }
  }

  const startKeeping = (): Promise<void> => {
    keeping ??= keepWaiting().finally(() => {
      keeping = null
    })
    return keeping
  }

  return {
    get hindrance() {
      return hindrance
    },
    get hubHeard() {
      return heard
    },
    keep,
    keepSoon(extra, change = unchanged) {
      waiting = [...waiting, { extra, change }].slice(-wireLimits.keepsWaitingMax)
      return startKeeping()
    },
    show() {
      showWanted = true
      pump()
    },
    linkUp() {
      up = true
      tries = 0
      awaiting = null
      pump()
    },
    linkDown() {
      up = false
      cancelResend()
    },
    acknowledged(ack) {
      if (!heard && ack.bootId === board.handOver.bootId) {
        heard = true
        onHeard()
      }
      if (awaiting === ack.seq) {
        cancelResend()
        tries = 0
        awaiting = null
      }
      const key = keyOf(ack)
      // A snapshot may have made room for a newer status meanwhile, which can go now.
      if (!unacknowledged(board.journal.current).some((it) => keyOf(it) === key)) return pump()
      forgetCrash(board.journal.current.outbox.find((it) => keyOf(it) === key))
      known.add(key)
      saveOutbox()
    },
    async drain(waitMs) {
      const endMs = clock.monotonicMs() + waitMs
      while (up && unacknowledged(board.journal.current).length > 0 && clock.monotonicMs() < endMs) {
        await clock.sleep(Math.min(50, waitMs))
      }
    },
    close() {
      closed = true
      up = false
      cancelResend()
      cancelKeeping()
      cancelSaving()
    },
  }
}

const keyOf = ({ bootId, seq }: { readonly bootId: string; readonly seq: number }): string =>
  `${bootId} ${seq}`

const unchanged = (journal: Journal): Journal => journal

/**
 * Of mere snapshots only the newest stays, and number 1, which tells the hub of a new life. Where there is no room for all, notices go before reports, the
 * oldest first; evidence stays with the newest that have some.
 */
function trimmed(outbox: readonly Status[]): Status[] {
  const last = outbox.length - 1
  let kept = outbox.filter(
    (it, index) => index === last || it.seq === 1 || it.report !== undefined || it.notice !== undefined,
  )
  while (kept.length > wireLimits.outboxMessagesMax) {
    const first = kept.find((it) => it.report === undefined) ?? kept[0]
    kept = kept.filter((it) => it !== first)
  }
  const proved = kept.filter(hasEvidence).slice(-wireLimits.outboxEvidencesMax)
  return kept.map((it) => (hasEvidence(it) && !proved.includes(it) ? withoutEvidence(it) : it))
}

function hasEvidence({ report, notice }: Status): boolean {
  return report?.evidence !== undefined || notice?.evidence !== undefined
}

function withoutEvidence(status: Status): Status {
  const { report, notice, ...rest } = status
  const bare = <T extends { evidence?: unknown }>({ evidence: _, ...it }: T): Omit<T, 'evidence'> => it
  return {
    ...rest,
    ...(report === undefined ? {} : { report: bare(report) }),
    ...(notice === undefined ? {} : { notice: bare(notice) }),
  }
}
