/**
 * I8: nothing is fetched twice that need not be. Of each blob at most its bytes go out in one attempt, and on
 * top: per kill or broken transfer the piece in flight and one part of the body; after a cut the pieces that
 * are not on the medium. At most one progress mark's worth is at risk: a flush that is due (2 s after the
 * last) comes with the next piece, and never more than 12 MiB wait for one; a mark in the journal is never
 * ahead of the medium. No byte is taken from an answer that is not the range that was asked for.
 * Excused: what rots or is lost by a fault of storage may be fetched again, and wrong bytes of a bad network.
 */
import { downloadLimits } from '../../core/limits.ts'
import type { SlotId } from '../../core/units.ts'
import type { Attempt, Journal } from '../../device/update/journal.ts'
import type { Blob } from '../../images/release/manifest.ts'
import { checker, type Facts } from './checker.ts'
import { attemptKey, savedJournal } from './seen.ts'

/** What sealing may add to a piece that does not compress: a tag, or IV and padding. */
const sealingBytes = 64

/** What outlives a loss of power. */
interface Lasting {
  readonly attempt: string | null
  readonly release: string | null
  readonly target: SlotId | null
  readonly marks: Attempt['marks']
  /** The largest part of a body. */
  readonly partBytes: number
  /** Something was planted that may damage what was fetched, since the attempt was opened. */
  readonly spoiled: boolean
  /** A fault of storage lasts. */
  readonly faulty: boolean
  readonly badNetwork: boolean
}

/** A download as it runs. */
interface Run {
  /** Bytes that may still go out, by id of the blob; nothing went out yet of one that is not here. */
  readonly left: Readonly<Record<string, number>>
  /** What goes out just now. */
  readonly url: string
  readonly blob: Blob | null
  /** Last flush of the target slot, or first byte of the download. */
  readonly flushedMs: number | null
  readonly unflushed: number
  /** Of these, bytes that came when a flush was due. */
  readonly late: number
}

interface State {
  readonly lasting: Lasting
  readonly run: Run
}

const noRun: Run = { left: {}, url: '', blob: null, flushedMs: null, unflushed: 0, late: 0 }

const atFirst: Lasting = {
  attempt: null,
  release: null,
  target: null,
  marks: {},
  partBytes: 0,
  spoiled: false,
  faulty: false,
  badNetwork: false,
}

export const nothingTwice = checker<State>({
  id: 'I8',
  says: 'a kill costs at most the piece in flight, a cut at most what one progress mark covers',
  start: { lasting: atFirst, run: noRun },
  // What may still go out after a cut follows from the medium.
  pack: ({ lasting }) => lasting,
  unpack: (packed) => ({ lasting: packed as Lasting, run: noRun }),
  on: {
    served(state, { url, bytes, fits }, facts) {
      if (!fits)
        facts.violated(`${bytes} bytes of ${url} are taken from an answer that is not the range asked for`)
      return url.endsWith('.blob') ? served(state, url, bytes, facts) : state
    },
    flush(state, { slot }, { nowMs }) {
      const { lasting, run } = state
      const ours = slot !== null && slot === lasting.target && run.flushedMs !== null
      return ours ? { lasting, run: { ...run, flushedMs: nowMs, unflushed: 0, late: 0 } } : state
    },
    rename(state, it, facts) {
      const journal = savedJournal(it, facts)
      return journal === null ? state : saved(state, journal, facts)
    },
    cut: ({ lasting }, _, facts) => ({ lasting, run: { ...noRun, left: leftAfterCut(lasting, facts) } }),
    killed({ lasting, run }, _, facts) {
      return interrupted({ lasting, run: { ...run, flushedMs: null, unflushed: 0, late: 0 } }, facts)
    },
    'hub-restarted': (state, _, facts) => interrupted(state, facts),
    logged(state, { event }, facts) {
      if (event.event !== 'transfer failed') return state
      const code = event['code']
      const came = code === 'EB-HUB-UNREACHABLE' || code === 'EB-SLOW' || code === 'EB-ENDLESS'
      return came || state.lasting.badNetwork ? interrupted(state, facts) : state
    },
    planted({ lasting, run }, { what }, facts) {
      if (what === 'network-fault') return { lasting: { ...lasting, badNetwork: true }, run }
      if (what !== 'rot' && what !== 'storage-fault' && what !== 'data-lost') return { lasting, run }
      const faulty = lasting.faulty || what === 'storage-fault'
      return moreFor({ lasting: { ...lasting, spoiled: true, faulty }, run }, facts, (blob) => blob.bytes)
    },
    healed({ lasting, run }) {
      const healthy = !lasting.badNetwork && !lasting.faulty
      return { lasting: healthy ? lasting : { ...lasting, badNetwork: false, faulty: false }, run }
    },
  },
})

function served({ lasting, run }: State, url: string, bytes: number, facts: Facts): State {
  const blob = url === run.url ? run.blob : blobAt(url, lasting, facts)
  if (blob === null) return { lasting, run }
  const left = (run.left[blob.id] ?? fullOf(blob, lasting)) - bytes
  if (left < 0)
    facts.violated(`${-left} bytes of ${url} more than needed go out for attempt ${lasting.attempt}`)
  const flushedMs = run.flushedMs ?? facts.nowMs
  const due = facts.nowMs > flushedMs + downloadLimits.progressMs
  const late = due ? run.late + bytes : 0
  const unflushed = run.unflushed + bytes
  const partBytes = Math.max(lasting.partBytes, bytes)
  const inFlight = inFlightBytes(blob, partBytes)
  const aheadMax = downloadLimits.progressBytes + downloadLimits.progressAheadBytes + inFlight
  if (late > 2 * inFlight) {
    facts.violated(`${late} bytes came since a flush of slot ${lasting.target} was due, last ${flushedMs} ms`)
  } else if (unflushed > aheadMax) {
    facts.violated(`${unflushed} bytes came without a flush of slot ${lasting.target}`)
  }
  return {
    lasting: partBytes === lasting.partBytes ? lasting : { ...lasting, partBytes },
    run: { left: { ...run.left, [blob.id]: left }, url, blob, flushedMs, late, unflushed },
  }
}

function blobAt(url: string, lasting: Lasting, facts: Facts): Blob | null {
  return blobsOf(lasting, facts).find((it) => url.endsWith(`/${lasting.release}/${it.id}.blob`)) ?? null
}

/** What was spoiled may have to come again once a read-back has found it. */
function fullOf(blob: Blob, { spoiled }: Lasting): number {
  return spoiled ? 2 * blob.bytes : blob.bytes
}

function inFlightBytes(blob: Blob, partBytes: number): number {
  return blob.pieceBytes + sealingBytes + partBytes
}

/** A transfer ended early: what was in flight comes again. */
function interrupted(state: State, facts: Facts): State {
  const { partBytes, spoiled } = state.lasting
  return moreFor(state, facts, (blob) => inFlightBytes(blob, partBytes) + (spoiled ? blob.bytes : 0))
}

/** Of each blob that is being fetched, so much more may come. */
function moreFor({ lasting, run }: State, facts: Facts, bytesOf: (blob: Blob) => number): State {
  let { left } = run
  for (const blob of blobsOf(lasting, facts)) {
    const known = left[blob.id]
    if (known !== undefined) left = { ...left, [blob.id]: known + bytesOf(blob) }
  }
  return { lasting, run: left === run.left ? run : { ...run, left } }
}

function blobsOf({ release }: Lasting, { releases }: Facts): readonly Blob[] {
  return (release === null ? undefined : releases.get(release))?.manifest.blobs ?? []
}

/** What is on the medium has not to be fetched again. */
function leftAfterCut(lasting: Lasting, facts: Facts): Run['left'] {
  const { target, release: id, partBytes } = lasting
  const release = id === null ? undefined : facts.releases.get(id)
  const left: Record<string, number> = {}
  if (target === null || release === undefined) return left
  for (const blob of release.manifest.blobs) {
    const pieces = facts.truth.missing(target, release, blob.image, blob.pieces)
    const bytes = Math.min(blob.bytes, pieces * (blob.pieceBytes + sealingBytes))
    const damaged = lasting.spoiled ? blob.bytes : 0
    left[blob.id] = damaged + (bytes === 0 ? 0 : bytes + inFlightBytes(blob, partBytes))
  }
  return left
}

function saved(before: State, journal: Journal, facts: Facts): State {
  const { attempt } = journal
  if (attempt === null) return before
  const { releaseId: release, target, marks } = attempt
  const key = attemptKey(journal)
  const same = key === before.lasting.attempt && target === before.lasting.target
  const { faulty: spoiled } = before.lasting
  const opened: Lasting = { ...before.lasting, attempt: key, release, target, marks: {}, spoiled }
  const { lasting, run } = same ? before : { lasting: opened, run: noRun }
  const made = facts.releases.get(release)
  let moved = false
  for (const [image, mark] of Object.entries(marks)) {
    if (mark === lasting.marks[image]) continue
    moved = true
    if (made === undefined || lasting.spoiled || mark < (lasting.marks[image] ?? 0)) continue
    const missing = facts.truth.missing(target, made, image, mark)
    if (missing > 0) {
      facts.violated(
        `the journal has mark ${mark} of ${image}; ${missing} pieces before it are not in slot ${target}`,
      )
    }
  }
  moved ||= Object.keys(marks).length !== Object.keys(lasting.marks).length
  return { lasting: moved ? { ...lasting, marks } : lasting, run }
}
