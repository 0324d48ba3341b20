/**
 * I7: an update makes at most 24 durable changes of state (copies of the record, stamp, wiping and writing of
 * the seal, journals in which more than progress or statuses is new); progress marks apart, at most one per 8
 * MiB and per 2 s. Counted from the opening of one attempt to that of the next, the boots in between
 * included. Each cut or kill may cost a bounded recovery on top; a reboot that the agent asked for is no cut.
 * On links below 64 KiB/s the agent makes every piece durable at once: such marks are counted by pieces.
 */
import type { Page } from '../../bootloader-sim/devices/block-device.ts'
import { bootPartition } from '../../core/boot-record.ts'
import { downloadLimits } from '../../core/limits.ts'
import type { Journal } from '../../device/update/journal.ts'
import { sealOffset } from '../../images/release/slot-layout.ts'
import { pageBytes } from '../slot-pages.ts'
import { checker, type Facts } from './checker.ts'
import { attemptKey, savedJournal } from './seen.ts'

const transitionsMax = 24
/**
 * What one cut or kill may cost: a try taken and given back, the floor raised in both copies, the seal wiped
 * again, the record cleared again in both copies, the arming or commit under way done again (journal, record,
 * stamp, floor in both copies), the outcome in the journal.
 */
const recoveryTransitionsMax = 8

type Places = readonly (Page | undefined)[]

const placePages = [
  bootPartition.copyOffsets[0] / pageBytes,
  bootPartition.copyOffsets[1] / pageBytes,
  bootPartition.stampOffset / pageBytes,
] as const

interface State {
  readonly attempt: string | null
  readonly transitions: number
  /** Cuts, kills and planted faults since the attempt was opened. */
  readonly blows: number
  readonly rebooting: boolean
  readonly marks: number
  readonly startMs: number
  /** Bytes that the file server had sent when the attempt was opened. */
  readonly sentBefore: number
  readonly places: Places | null
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
    sentBefore: 0,
    places: null,
    state: '',
    marked: '',
  },
  on: {
    flush: (state, _, facts) => withPlaces(state, facts),
    rename(state, it, facts) {
      const journal = savedJournal(it, facts)
      return journal === null ? state : saved(state, journal, facts)
    },
    logged: (state, { event }) => (event.event === 'reboot' ? { ...state, rebooting: true } : state),
    cut(before, _, facts) {
      const state = withPlaces(before, facts)
      return { ...state, blows: state.blows + (state.rebooting ? 0 : 1), rebooting: false }
    },
    killed: (state) => ({ ...state, blows: state.blows + 1 }),
    planted: (state) => ({ ...state, blows: state.blows + 1 }),
  },
})

/** Counts what is new in a place since the last look; two writes between two flushes are one change. */
function withPlaces(state: State, facts: Facts): State {
  const { places } = state
  const now = placesOf(facts)
  if (places === null) return { ...state, places: now }
  let changed = 0
  for (let index = 0; index < now.length; index += 1) if (now[index] !== places[index]) changed += 1
  if (changed === 0) return state
  let next: State = { ...state, places: now }
  for (let one = 0; one < changed; one += 1) next = counted(next, 'boot partition or seal', facts)
  return next
}

/** First pages of both copies, of the stamp, of both seals, on the medium: nothing there is changed in place. */
function placesOf({ board: { bootDisk, slots } }: Facts): Places {
  const [boot, a, b] = [bootDisk.pages(), slots.a.pages(), slots.b.pages()]
  const seal = sealOffset(slots.a.sizeBytes) / pageBytes
  const [first, second, stamp] = placePages
  return [boot[first], boot[second], boot[stamp], a[seal], b[seal]]
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
  const sentBefore = facts.world.net.files.sent
  const fresh = { transitions: 0, blows: 0, marks: 0, startMs: facts.nowMs, sentBefore }
  const state = opened ? { ...before, ...fresh, attempt: key } : before
  const now = stateOf(journal)
  const marked = marksOf(journal)
  if (now !== state.state) return counted({ ...state, state: now, marked }, 'the journal', facts)
  return marked === state.marked ? state : progressed({ ...state, marked }, journal, facts)
}

/** What is neither progress nor bookkeeping of statuses. */
function stateOf({ attempt, finished, lived, handedBack }: Journal): string {
  const last = finished === null ? '' : `${finished.seq} ${finished.releaseId} ${finished.result}`
  const rest = `${last} ${lived} ${handedBack}`
  if (attempt === null) return rest
  const { seq, releaseId, target, phase, armedInBoot, verdict } = attempt
  return `${seq} ${releaseId} ${target} ${phase} ${armedInBoot} ${verdict?.code} ${rest}`
}

function marksOf({ attempt }: Journal): string {
  if (attempt === null) return ''
  return Object.entries(attempt.marks)
    .map(([image, mark]) => `${image} ${mark}`)
    .join()
}

function progressed(before: State, { attempt }: Journal, facts: Facts): State {
  const { nowMs, releases, violated, world } = facts
  const state = { ...before, marks: before.marks + 1 }
  const release = attempt === null ? undefined : releases.get(attempt.releaseId)
  if (release === undefined) return state
  const { images, blobs } = release.manifest
  const bytes = images.reduce((sum, it) => sum + it.paddedBytes, 0)
  const elapsedMs = nowMs - state.startMs
  const pieceBytes = Math.min(...blobs.map((it) => it.pieceBytes))
  const sent = world.net.files.sent - state.sentBefore
  const slowly = Math.min(sent, (downloadLimits.slowLinkBytesPerSecond * elapsedMs) / 1000)
  const max =
    Math.ceil(bytes / downloadLimits.progressBytes) +
    Math.ceil(elapsedMs / downloadLimits.progressMs) +
    // The end of each image; where a read-back has found damage, a new beginning and that once more.
    2 * images.length +
    1 +
    state.blows +
    Math.ceil(slowly / pieceBytes)
  if (state.marks > max) {
    violated(
      `mark ${state.marks} of attempt ${state.attempt} after ${elapsedMs} ms and ${bytes} bytes, limit ${max}`,
    )
  }
  return state
}
