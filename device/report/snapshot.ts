/**
 * The status document: what the device says of itself, from the board and the state of the update.
 * Promise: pure; texts are cut to the limits of the wire, so that a status is never refused for its length.
 * Leaves to others: numbering, keeping and sending (reporter.ts).
 */
import { wireLimits } from '../../core/limits.ts'
import { inhibitLimits } from '../../core/service-limits.ts'
import type { SlotId } from '../../core/units.ts'
import type { Evidence, Progress, Report, SlotReport, Status, UpdateState } from '../../core/wire/messages.ts'
import type { Board } from '../board.ts'
import type { Inhibited } from '../update/inhibit.ts'

/** The part of a status that changes while an update runs. */
export interface UpdateView {
  readonly state: UpdateState
  readonly progress: Progress | null
  readonly inhibited?: Inhibited | null
}

/** What a status may say once. */
export interface Extra {
  readonly report?: Report
  readonly notice?: NonNullable<Status['notice']>
}

export function snapshot(board: Board, view: UpdateView, seq: number, extra: Extra): Status {
  const { attempt, finished } = board.journal.current
  return {
    v: 1,
    bootId: board.handOver.bootId,
    seq,
    state: view.state,
    slot: board.own,
    floor: board.boot.floor,
    slots: { a: slotReport(board, 'a'), b: slotReport(board, 'b') },
    hardware: [...board.ports.machine.hardware()],
    attempt: attempt === null ? null : { seq: attempt.seq, release: attempt.releaseId },
    progress: view.progress,
    ...(view.inhibited == null ? {} : { inhibited: cutReason(view.inhibited) }),
    finished: finished === null ? null : { seq: finished.seq, result: finished.result },
    ...(extra.report === undefined ? {} : { report: cut(extra.report) }),
    ...(extra.notice === undefined ? {} : { notice: cut(extra.notice) }),
  }
}

function cutReason({ step, by, why }: Inhibited): Inhibited {
  return { step, by: tail(by, inhibitLimits.whyMax), why: tail(why, inhibitLimits.whyMax) }
}

/** The text within the limit of the wire: one that is too long would be refused, and with it the journal that keeps it. */
function cut<T extends { readonly what?: string | undefined }>(it: T): T {
  return it.what === undefined ? it : { ...it, what: tail(it.what, wireLimits.textBytesMax) }
}

function slotReport(board: Board, slot: SlotId): SlotReport {
  const seal = board.seal(slot)
  const { ok, tries } = board.boot.record[slot]
  return { release: seal?.releaseId ?? null, version: seal?.version ?? null, ok, tries }
}

/** Evidence within the limits of the wire: the ends of texts are kept, that is where the failure shows. */
export function evidenceOf(parts: {
  readonly check?: string
  readonly output?: string
  readonly console?: string | null
  readonly bootTrace?: string | null
  readonly crash?: string | null
}): Evidence {
  const { check, output, console, bootTrace, crash } = parts
  const share = Math.floor(wireLimits.evidenceBytesMax / 2)
  return {
    ...(check === undefined ? {} : { check: tail(check, 256) }),
    ...(output === undefined ? {} : { output: tail(output, wireLimits.textBytesMax) }),
    ...(console === undefined || console === null ? {} : { console: tail(console, share) }),
    ...(bootTrace === undefined || bootTrace === null ? {} : { bootTrace: tail(bootTrace, share) }),
    // Its newest entry comes first.
    ...(crash === undefined || crash === null ? {} : { crash: crash.slice(0, wireLimits.evidenceBytesMax) }),
  }
}

export function tail(text: string, charactersMax: number): string {
  return text.length <= charactersMax ? text : text.slice(text.length - charactersMax)
}
