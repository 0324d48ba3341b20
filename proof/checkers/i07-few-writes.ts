/**
 * I7: an update makes at most 24 durable changes of state (copies of the record, stamp, wiping and writing of
 * the seal, journals in which more than progress or statuses is new); progress marks apart, at most one per
 * 8 MiB and per 2 s. Counted from the opening of one attempt to that of the next, the boots in between included.
 * Each cut or kill may cost a bounded recovery on top; a reboot that the agent asked for is no cut.
 * On links below 64 KiB/s the agent makes every piece durable at once: such marks are counted by pieces.
 */
import { bootPartition } from '../../core/boot-record.ts'
import { downloadLimits, slotLimits } from '../../core/limits.ts'
import type { Journal } from '../../device/update/journal.ts'
import { checker, type Facts } from './checker.ts'
import { attemptKey, savedJournal } from './seen.ts'

const transitionsMax = 24
/**
 * What one cut or kill may cost: a try taken and given back, the floor raised in both copies, the seal wiped
 * again, the record cleared again in both copies, the arming or commit under way done again (journal, record,
 * stamp, floor in both copies), the outcome in the journal.
 */
export const recoveryTransitionsMax = 8

interface State {
  readonly attempt: string | null
  readonly transitions: number
  /** Cuts, kills and planted faults since the attempt was opened. */
  readonly blows: number
  readonly rebooting: boolean
  readonly marks: number
  readonly startMs: number
  readonly served: number
  /** The part of the journal that is state, and its marks. */
  readonly state: string
  readonly marked: string
}

export const fewWrites = checker<State>({
  id: 'I7',
  says: 'an update makes at most 24 durable changes of state, and few progress marks',
  start: {
    attempt: null,
    transitions: 0,
    blows: 0,
    rebooting: false,
    marks: 0,
    startMs: 0,
    served: 0,
    state: '',
    marked: '',
  },
  on: {
    write(state, { slot, offset, partition }, facts) {
      const { board } = facts
      if (slot === null) return isEntry(offset) ? counted(state, 'the boot partition', facts) : state
      const { sizeBytes } = board.partition(slot, partition)
      const first = partition === board.settings.partitions[0]
      const sealed = first && offset >= sizeBytes - slotLimits.sealAreaBytes
      return sealed ? counted(state, `the seal of slot ${slot}`, facts) : state
    },
    rename(state, it, facts) {
      const journal = savedJournal(it, facts)
      return journal === null ? state : saved(state, journal, facts)
    },
    served: (state, { url, bytes }) =>
      url.endsWith('.blob') ? { ...state, served: state.served + bytes } : state,
    logged: (state, { event }) => (event.event === 'reboot' ? { ...state, rebooting: true } : state),
    cut: (state) => ({ ...state, blows: state.blows + (state.rebooting ? 0 : 1), rebooting: false }),
    killed: (state) => ({ ...state, blows: state.blows + 1 }),
    planted: (state) => ({ ...state, blows: state.blows + 1 }),
  },
})

function isEntry(offset: number): boolean {
  return offset === bootPartition.stampOffset || bootPartition.copyOffsets.includes(offset)
}

function counted(state: State, what: string, { violated }: Facts): State {
  const transitions = state.transitions + 1
  const max = transitionsMax + recoveryTransitionsMax * state.blows
  if (transitions > max)
    violated(`${what} is change ${transitions} of attempt ${state.attempt}, limit ${max}`)
  return { ...state, transitions }
}

function saved(before: State, journal: Journal, facts: Facts): State {
  const key = attemptKey(journal)
  const opened = key !== null && key !== before.attempt
  const fresh = { transitions: 0, blows: 0, marks: 0, startMs: facts.nowMs, served: 0 }
  const state = opened ? { ...before, ...fresh, attempt: key } : before
  const now = stateOf(journal)
  const marked = JSON.stringify(journal.attempt?.marks ?? null)
  if (now !== state.state) return counted({ ...state, state: now, marked }, 'the journal', facts)
  return marked === state.marked ? state : progressed({ ...state, marked }, journal, facts)
}

/** What is neither progress nor bookkeeping of statuses. */
function stateOf({ attempt, finished, lived, handedBack }: Journal): string {
  const { seq, target, phase, armedInBoot, verdict } = attempt ?? {}
  return JSON.stringify([
    seq,
    attempt?.releaseId,
    target,
    phase,
    armedInBoot,
    verdict,
    finished,
    lived,
    handedBack,
  ])
}

function progressed(before: State, { attempt }: Journal, { nowMs, releases, violated }: Facts): State {
  const state = { ...before, marks: before.marks + 1 }
  const release = attempt === null ? undefined : releases.get(attempt.releaseId)
  if (release === undefined) return state
  const { images, blobs } = release.manifest
  const bytes = images.reduce((sum, it) => sum + it.paddedBytes, 0)
  const elapsedMs = nowMs - state.startMs
  const pieceBytes = Math.min(...blobs.map((it) => it.pieceBytes))
  const slowly = Math.min(state.served, (downloadLimits.slowLinkBytesPerSecond * elapsedMs) / 1000)
  const max =
    Math.ceil(bytes / downloadLimits.progressBytes) +
    Math.ceil(elapsedMs / downloadLimits.progressMs) +
    // The end of each image, and one more after a read-back that found damage or a start.
    images.length +
    state.blows +
    Math.ceil(slowly / pieceBytes)
  if (state.marks > max) {
    violated(
      `mark ${state.marks} of attempt ${state.attempt} after ${elapsedMs} ms and ${bytes} bytes, limit ${max}`,
    )
  }
  return state
}
