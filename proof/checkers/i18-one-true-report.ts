/**
 * I18: every attempt has exactly one final report at the hub, and it is true when it is made (first written
 * to the journal): `ok` when a committed slot holds that release whole and was proved by running; `failed`
 * when the board does not run that release committed; "no verdict" only when the trial had its three boots.
 * An attempt ends only together with its report, and a report leaves the outbox only when the hub has it.
 * Excused: the truth after a loss of record copies, rot in the slot; repetition after a loss of the data
 * partition.
 */
import type { BootRecord } from '../../core/boot-record.ts'
import { slotLimits, wireLimits } from '../../core/limits.ts'
import { otherSlot, type SlotId, slotIds } from '../../core/units.ts'
import type { Report, Status } from '../../core/wire/messages.ts'
import type { Journal } from '../../device/update/journal.ts'
import type { BootSeen } from '../board-facts.ts'
import { checker, type Facts } from './checker.ts'
import { currentJournal, newJournalName, runningSlot } from './seen.ts'

interface State {
  /** Final reports at the hub. */
  readonly reported: readonly { readonly seq: number; readonly result: Report['result'] }[]
  /** Reports whose truth was looked at, by key of their status. */
  readonly made: readonly string[]
  readonly attempt: { readonly seq: number; readonly release: string; readonly target: SlotId } | null
  /** Reports in the outbox, by key of their status. */
  readonly outbox: readonly string[]
  readonly slots: Slots
  /** The agent hands over to the trial: what ends this boot is no blow. */
  readonly rebooting: boolean
  readonly rotten: boolean
  readonly recordLost: boolean
  readonly copyLost: boolean
  readonly storage: boolean
  readonly dataLost: boolean
}

type Slots = Readonly<Record<SlotId, SlotSeen>> | null

interface SlotSeen {
  readonly ok: boolean
  readonly tries: number
  /** Release that was committed while it ran. */
  readonly proved: string | null
  /** Tries that were taken one by one since the slot was armed. */
  readonly taken: number
  /** Boots of it since then, and cuts and kills between a try and its boot: where the agent takes the try. */
  readonly booted: number
  readonly blows: number
}

export const oneTrueReport = checker<State>({
  id: 'I18',
  says: 'every attempt has exactly one final report at the hub, and it is true',
  start: {
    reported: [],
    made: [],
    attempt: null,
    outbox: [],
    slots: null,
    rebooting: false,
    rotten: false,
    recordLost: false,
    copyLost: false,
    storage: false,
    dataLost: false,
  },
  on: {
    flush: (state, { slot }, facts) => (slot === null ? withRecord(state, facts) : state),
    boot: (state, { outcome }, facts) => withBoot(withRecord(state, facts), outcome, facts),
    killed: (state, _, facts) => withBlow(state, facts),
    cut: (state, _, facts) => withJournal(withRecord(withBlow(state, facts), facts), currentJournal(facts)),
    logged: (state, { event }) => (event.event === 'hand over' ? { ...state, rebooting: true } : state),
    file(state, { name, bytes }, facts) {
      if (name !== newJournalName) return state
      const journal = facts.journal(bytes)
      return journal === null ? state : looked(state, journal.outbox, facts)
    },
    synced(state, _, facts) {
      const journal = currentJournal(facts)
      if (journal === null) return state
      endsWithReport(state, journal, facts)
      leavesWhenKept(state, journal, facts)
      return withJournal(state, journal)
    },
    kept(before, { status }, facts) {
      const { report } = status
      if (report === undefined) return before
      const state = looked(before, [status], facts)
      const { seq, result } = report
      const again = seq > 0 && state.reported.some((it) => it.seq === seq)
      if (again && !state.dataLost)
        facts.violated(`a second final report of attempt ${seq}: ${reportText(report)}`)
      return { ...state, reported: [...state.reported, { seq, result }] }
    },
    planted(state, { what }, { truth }) {
      if (what === 'rot') return { ...state, rotten: true }
      if (what === 'record') return { ...state, recordLost: true, slots: null }
      if (what === 'record-copy')
        return { ...state, copyLost: true, slots: seenFirst(truth.record(), state.slots) }
      if (what === 'storage-fault' || what === 'data-fault') return { ...state, storage: true }
      return what === 'data-lost' ? { ...state, dataLost: true, attempt: null, outbox: [] } : state
    },
    end(state, _, facts) {
      for (const it of facts.world.store.tables.attempts.values()) {
        if (it.device !== facts.board.id || it.seq === 0 || it.state === 'superseded') continue
        const report = state.reported.find(({ seq }) => seq === it.seq)
        if (report === undefined)
          facts.violated(`attempt ${it.seq} of ${it.release} has no final report, it is ${it.state}`)
        else if ((report.result === 'ok') !== (it.state === 'succeeded')) {
          facts.violated(`attempt ${it.seq} was reported as ${report.result} and is ${it.state} at the hub`)
        }
      }
      return state
    },
  },
})

function keyOf({ bootId, seq }: Status): string {
  return `${bootId} ${seq}`
}

function reportsIn(outbox: readonly Status[]): readonly Status[] {
  return outbox.filter((it) => it.report !== undefined)
}

function reportText({ release, result, code }: Report): string {
  return `${release} ${result}${code === undefined ? '' : ` ${code}`}`
}

function withJournal(state: State, journal: Journal | null): State {
  const open = journal?.attempt ?? null
  const attempt = open === null ? null : { seq: open.seq, release: open.releaseId, target: open.target }
  const same =
    attempt?.seq === state.attempt?.seq &&
    attempt?.release === state.attempt?.release &&
    attempt?.target === state.attempt?.target
  const outbox = reportsIn(journal?.outbox ?? []).map(keyOf)
  if (same && outbox.length === 0 && state.outbox.length === 0) return state
  return { ...state, attempt: same ? state.attempt : attempt, outbox }
}

/** What the record says of each slot now: commits, tries taken by the loader, arming by the agent. */
function withRecord(state: State, facts: Facts): State {
  const record = facts.truth.record()
  if (record === null) return state
  if (state.slots === null) return { ...state, slots: seenFirst(record, null, facts) }
  const a = slotAfter('a', state.slots.a, record, facts)
  const b = slotAfter('b', state.slots.b, record, facts)
  return a === state.slots.a && b === state.slots.b ? state : { ...state, slots: { a, b } }
}

/** Whatever is committed when it is seen first counts as proved. */
function seenFirst(record: BootRecord | null, before: Slots, facts?: Facts): Slots {
  if (record === null) return null
  const seen = (slot: SlotId): SlotSeen => {
    const { ok, tries } = record[slot]
    const held = facts?.truth.sealed(slot)?.manifest.id ?? null
    return {
      ok,
      tries,
      proved: before?.[slot].proved ?? (ok ? held : null),
      taken: before?.[slot].taken ?? 0,
      booted: before?.[slot].booted ?? 0,
      blows: before?.[slot].blows ?? 0,
    }
  }
  return { a: seen('a'), b: seen('b') }
}

function slotAfter(slot: SlotId, before: SlotSeen, record: BootRecord, facts: Facts): SlotSeen {
  const { ok, tries } = record[slot]
  if (ok === before.ok && tries === before.tries) return before
  const committed = ok && !before.ok && runningSlot(facts) === slot
  const proved = committed ? (facts.truth.sealed(slot)?.manifest.id ?? null) : before.proved
  const armed = !ok && tries === slotLimits.trialTries
  // An agent takes all tries or none; a loader one for each boot.
  const took = !ok && tries === before.tries - 1
  const { booted, blows } = armed ? { booted: 0, blows: 0 } : before
  return { ok, tries, proved, taken: armed ? 0 : before.taken + (took ? 1 : 0), booted, blows }
}

/** What the agent has taken a try for must be started, or a cut or kill came between. */
function withBoot(state: State, outcome: BootSeen, { board }: Facts): State {
  const { slots } = state
  if (board.loader !== 'tryboot' || slots === null) return state
  const rested = { ...state, rebooting: false }
  if (outcome.kind === 'none' || slots[outcome.slot].ok) return rested
  const { slot } = outcome
  return { ...rested, slots: { ...slots, [slot]: { ...slots[slot], booted: slots[slot].booted + 1 } } }
}

function withBlow(state: State, facts: Facts): State {
  const { slots } = state
  const slot = runningSlot(facts)
  if (facts.board.loader !== 'tryboot' || slots === null || slot === null) return state
  const waits = otherSlot(slot)
  // The reset by which the agent hands over is none.
  if (state.rebooting || slots[waits].ok) return state
  return { ...state, slots: { ...slots, [waits]: { ...slots[waits], blows: slots[waits].blows + 1 } } }
}

/** Looks at the truth of each report that is seen for the first time. */
function looked(before: State, outbox: readonly Status[], facts: Facts): State {
  let state = before
  for (const status of reportsIn(outbox)) {
    const key = keyOf(status)
    const { report } = status
    if (report === undefined || state.made.includes(key)) continue
    const untrue = state.recordLost ? null : untruth(report, state, facts)
    if (untrue !== null)
      facts.violated(`report ${reportText(report)} of attempt ${report.seq} is not true: ${untrue}`)
    state = { ...state, made: [...state.made, key] }
  }
  return state
}

/** @returns what contradicts the report, or null */
function untruth(report: Report, state: State, facts: Facts): string | null {
  const record = facts.truth.record()
  if (record === null) return 'both copies of the record are bad'
  return report.result === 'ok'
    ? notDone(report, state, record, facts)
    : notFailed(report, state, record, facts)
}

function notDone(
  { release }: Report,
  { slots, rotten }: State,
  record: BootRecord,
  { truth }: Facts,
): string | null {
  const holds = (slot: SlotId) => (rotten ? truth.sealed(slot) : truth.slot(slot))?.manifest.id === release
  const held = slotIds.filter((slot) => record[slot].ok && holds(slot))
  if (held.length === 0) return 'no committed slot holds it whole'
  if (slots === null || held.some((slot) => slots[slot].proved === release)) return null
  return `slot ${held.join()} was never committed by its own run`
}

function notFailed({ release, code }: Report, state: State, record: BootRecord, facts: Facts): string | null {
  const { slots, attempt, copyLost, rotten, storage, dataLost } = state
  const { board } = facts
  const running = runningSlot(facts)
  if (running === null || copyLost) return null
  if (record[running].ok && facts.truth.verifies(running)?.manifest.id === release) {
    return `it runs in slot ${running}, committed`
  }
  if (code !== 'EB-NO-VERDICT' || rotten || storage || dataLost) return null
  if (slots === null || attempt?.release !== release || attempt.target === running) return null
  const { taken, booted, blows } = slots[attempt.target]
  const seen = board.loader === 'tryboot' ? Math.min(taken, booted + blows) : taken
  return seen < slotLimits.trialTries ? `its trial had ${seen} of ${slotLimits.trialTries} boots` : null
}

/**
 * The end of an attempt and its report are one step of the journal. Journals count that are durable: a save
 * that failed halfway may have left a file that the agent knows nothing of.
 */
function endsWithReport(state: State, journal: Journal, { violated }: Facts): void {
  const { attempt, dataLost, reported } = state
  if (attempt === null || dataLost) return
  const { seq, release } = attempt
  if (journal.attempt?.seq === seq && journal.attempt.releaseId === release) return
  const waits = journal.outbox.some((it) => it.report?.seq === seq && it.report.release === release)
  if (!waits && !reported.some((it) => it.seq === seq))
    violated(`attempt ${seq} of ${release} ends without a report`)
}

function leavesWhenKept({ outbox }: State, journal: Journal, { board, world, violated }: Facts): void {
  if (outbox.length === 0 || journal.outbox.length >= wireLimits.outboxMessagesMax) return
  const left = new Set(journal.outbox.map(keyOf))
  for (const key of outbox) {
    if (left.has(key) || world.store.tables.statuses.has(`${board.id} ${key}`)) continue
    violated(`the report in status ${key} leaves the outbox, and the hub does not have it`)
  }
}
