/**
 * Tells the hub the truth: keeps statuses that must arrive in the journal until the hub acknowledged them,
 * sends them in order, and shows progress in between.
 * Promise: a kept status is sent again until its acknowledgement; numbers only rise, over restarts and
 * reboots too; progress never overtakes a kept status.
 * Leaves to others: what there is to report (agent.ts).
 */
import { backoffMs } from '../../core/backoff.ts'
import { faultOf } from '../../core/errors.ts'
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
  /** Shows the present state when the hub is there; lost otherwise. */
  show(): void
  linkUp(): void
  linkDown(): void
  acknowledged(ack: Ack): void
  /** The hub acknowledged something in this boot. */
  readonly hubHeard: boolean
  /** Resolves when nothing waits for the hub any more, or after `waitMs`. */
  drain(waitMs: number): Promise<void>
}

/** @param view of the update, asked for at each status; @param onHeard when the hub answers for the first time */
export function createReporter(board: Board, view: () => UpdateView, onHeard: () => void): Reporter {
  const { clock, link, events, random } = board.ports
  const topic = deviceTopic(board.settings.deviceId, 'status')
  let nextSeq = board.journal.current.statusCeiling + 1
  let up = false
  let heard = false
  let showWanted = false
  let sending = false
  let tries = 0
  /** Number of the kept status that was sent and not yet acknowledged. */
  let awaiting: number | null = null
  let cancelResend = (): void => {}

  const pump = (): void => {
    if (!up || sending) return
    const [oldest] = board.journal.current.outbox
    if (oldest !== undefined) {
      if (oldest.seq !== awaiting) transmit(oldest)
      return
    }
    if (!showWanted || nextSeq > board.journal.current.statusCeiling) return
    showWanted = false
    transmit(snapshot(board, view(), nextSeq++, {}), false)
  }

  const transmit = (status: Status, again = true): void => {
    sending = true
    if (again) awaiting = status.seq
    const done = (): void => {
      sending = false
      if (again) scheduleResend()
      else pump()
    }
    const failed = (caught: unknown): void => {
      sending = false
      if (again) scheduleResend()
      events.emit({ event: 'status not sent', what: faultOf(caught).what })
    }
    link.publish({ topic, payload: encodeMessage(status), qos: 1, retain: false }).then(done, failed)
  }

  /** Until its acknowledgement comes, the oldest kept status is sent again. */
  const scheduleResend = (): void => {
    cancelResend()
    tries += 1
    const limits = { baseMs: wireLimits.ackTimeoutMs, ceilingMs: wireLimits.reconnectCeilingMs }
    cancelResend = clock.timer(wireLimits.ackTimeoutMs / 2 + backoffMs(tries, limits, random), () => {
      awaiting = null
      pump()
    })
  }

  return {
    get hubHeard() {
      return heard
    },
    async keep(extra, change = (journal) => journal) {
      await board.journal.save((before) => {
        const changed = change(before)
        // The snapshot must describe the journal as it will be, not as it was.
        const described = { ...board, journal: { ...board.journal, current: changed } }
        const status = snapshot(described, view(), nextSeq++, extra)
        return {
          ...changed,
          statusCeiling: nextSeq + numbersAhead,
          outbox: trimmed([...changed.outbox, status]),
        }
      })
      pump()
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
      const { outbox } = board.journal.current
      if (!outbox.some((it) => it.bootId === ack.bootId && it.seq === ack.seq)) return
      cancelResend()
      tries = 0
      awaiting = null
      const without = (journal: Journal): Journal => ({
        ...journal,
        outbox: journal.outbox.filter((it) => it.bootId !== ack.bootId || it.seq !== ack.seq),
      })
      // Not removed durably is no harm: it is sent again and the hub knows it already.
      board.journal.save(without).then(pump, (caught: unknown) => {
        events.emit({ event: 'outbox not saved', what: faultOf(caught).what })
      })
    },
    async drain(waitMs) {
      const endMs = clock.monotonicMs() + waitMs
      while (up && board.journal.current.outbox.length > 0 && clock.monotonicMs() < endMs) {
        await clock.sleep(Math.min(50, waitMs))
      }
    },
  }
}

/** Reports and notices stay; of mere snapshots only the newest does. */
function trimmed(outbox: readonly Status[]): Status[] {
  const last = outbox.length - 1
  const kept = outbox.filter(
    (it, index) => index === last || it.report !== undefined || it.notice !== undefined,
  )
  return kept.slice(-wireLimits.outboxMessagesMax)
}
