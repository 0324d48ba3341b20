/**
 * I17: nothing grows without bound: the outbox and every file, timers that wait, operations and requests of
 * one boot.
 * Bounds: an outbox of `wireLimits`; a manifest of `releaseLimits`; of what repeats, the shortest period that
 * the limits allow, over the time that passed. One run of an agent has few timers; those of a dead one last
 * until they would have fired, `trialLimits.networkDeadlineMs` at most.
 * Leaves to others: the memory of real processes (measured where they run).
 */
import { downloadLimits, releaseLimits, trialLimits, wireLimits } from '../../core/limits.ts'
import { checker, type Facts } from './checker.ts'
import { newJournalName } from './seen.ts'

/**
 * Of one run: petting, resending, keeping again, beginning again, health (checks, its deadline),
 * reconnecting, slow transfers, one wait of a download; of its board: watchdog, restart, reset. Few of them
 * at a time.
 */
const timersPerRun = 12
/** Of the world of a board: its hub, its server, whoever tells the story. */
const timersOfWorld = 16
/** Evidence has the largest share of the outbox; the other statuses are a few texts each. */
const journalBytesMax =
  wireLimits.outboxEvidencesMax * 2 * wireLimits.evidenceBytesMax +
  wireLimits.outboxMessagesMax * 2 * wireLimits.textBytesMax
/**
 * Of one boot, whatever passes: finding its place, the attempt from opening to reboot, verdict and commit,
 * each change of the journal five operations, of the record two; and the same again for a few attempts that
 * end before they erase.
 */
const operationsPerBoot = 250
/**
 * A piece is written once, and once more when read-back finds damage; on slow links each is flushed and
 * marked.
 */
const operationsPerPiece = 2 * 7
/** A status shown or kept, sent, acknowledged and removed, every `reportMs`; a mark every `progressMs`. */
const operationsPerSecond = Math.ceil((12 * 1000) / downloadLimits.reportMs)
/** Per boot: manifest, index and blob for a few attempts, with retries. */
const requestsPerBoot = 40
/** Quick retries (`retryBaseMs`, full jitter) begin again whenever a piece was gained. */
const requestsPerSecond = 2

interface State {
  /** Runs of agents that may still have timers: the time of each. */
  readonly runs: readonly number[]
  /** When this boot began, and what had been done by then. */
  readonly bootMs: number
  readonly operations: number
  readonly requests: number
}

export const bounded = checker<State>({
  id: 'I17',
  says: 'outbox, files, timers, operations and requests are bounded',
  start: { runs: [], bootMs: 0, operations: 0, requests: 0 },
  on: {
    boot(state, _, facts) {
      const { board, world, nowMs } = facts
      const { requests } = world.net.files
      return {
        ...newRun(state, facts),
        bootMs: nowMs,
        operations: board.operations.length,
        requests: requests.length,
      }
    },
    killed: (state, _, facts) => newRun(state, facts),
    file(state, { name, bytes }, { violated }) {
      const max = name === newJournalName ? journalBytesMax : releaseLimits.manifestBytesMax
      if (bytes.length > max) violated(`file ${name} has ${bytes.length} bytes, limit ${max}`)
      return state
    },
    rename(state, _, facts) {
      workDone(state, facts)
      outboxLength(facts)
      return state
    },
    flush(state, _, facts) {
      workDone(state, facts)
      return state
    },
    served(state, _, facts) {
      workDone(state, facts)
      return state
    },
    end(state, _, facts) {
      workDone(state, facts)
      timersLeft(state.runs, facts)
      return state
    },
  },
})

function newRun(state: State, facts: Facts): State {
  const { nowMs } = facts
  const since = nowMs - trialLimits.networkDeadlineMs
  const runs = [...state.runs.filter((it) => it >= since), nowMs]
  timersLeft(runs, facts)
  return { ...state, runs }
}

function timersLeft(runs: readonly number[], { world, nowMs, violated }: Facts): void {
  const boards = Math.max(1, world.store.tables.devices.size)
  const alive = runs.filter((it) => it >= nowMs - trialLimits.networkDeadlineMs).length + 1
  const max = timersOfWorld + boards * alive * timersPerRun
  const timers = world.time.timers()
  if (timers > max) violated(`${timers} timers wait after ${alive} runs of the agent, limit ${max}`)
}

function workDone(
  { bootMs, operations, requests }: State,
  { board, world, nowMs, releases, violated }: Facts,
): void {
  const seconds = Math.ceil((nowMs - bootMs) / 1000)
  const done = board.operations.length - operations
  if (done > operationsPerBoot + seconds * operationsPerSecond) {
    let pieces = 0
    for (const { manifest } of releases.values()) for (const it of manifest.blobs) pieces += it.pieces
    const max = operationsPerBoot + seconds * operationsPerSecond + pieces * operationsPerPiece
    if (done > max) violated(`${done} operations in ${seconds} s of one boot, limit ${max}`)
  }
  const asked = world.net.files.requests.length - requests
  const askedMax =
    (requestsPerBoot + seconds * requestsPerSecond) * Math.max(1, world.store.tables.devices.size)
  if (asked > askedMax) violated(`${asked} requests in ${seconds} s of one boot, limit ${askedMax}`)
}

function outboxLength({ board, journal, violated }: Facts): void {
  const bytes = board.files.content('journal')
  const length = bytes === null ? 0 : (journal(bytes)?.outbox.length ?? 0)
  if (length > wireLimits.outboxMessagesMax) {
    violated(`${length} statuses in the outbox, limit ${wireLimits.outboxMessagesMax}`)
  }
}
