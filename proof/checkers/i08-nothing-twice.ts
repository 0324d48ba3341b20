/**
 * I8: nothing is fetched twice that need not be. Of each blob at most its bytes go out in one attempt, and on
 * top: per kill or broken transfer the piece in flight and one part of the body; after a cut the pieces that
 * are not on the medium. At most one progress mark's worth is at risk: no piece is left unflushed longer than
 * until the first one that ends 2 s after the last flush, and never more than 12 MiB; a mark in the journal is never
 * ahead of the medium. No byte is taken from an answer that is not the range that was asked for.
 * Excused: what rots or is lost by a fault of storage may be fetched again, and wrong bytes of a bad network.
 */
import { downloadLimits } from '../../core/limits.ts'
import type { SlotId } from '../../core/units.ts'
import type { Attempt, Journal } from '../../device/update/journal.ts'
import type { Blob } from '../../images/release/manifest.ts'
import type { MadeRelease } from '../publisher.ts'
import { checker, type Facts } from './checker.ts'
import { attemptKey, savedJournal } from './seen.ts'

/** What sealing may add to a piece that does not compress: a tag, or IV and padding. */
const sealingBytes = 64

/** Of one blob: bytes that went out, and how many may. */
interface Served {
  readonly bytes: number
  readonly max: number
}

interface State {
  readonly attempt: string | null
  readonly release: string | null
  readonly target: SlotId | null
  readonly marks: Attempt['marks']
  /** By id of the blob. */
  readonly blobs: Readonly<Record<string, Served>>
  /** The largest part of a body. */
  readonly partBytes: number
  /** Last flush of the target slot, or first byte after the download began. */
  readonly flushedMs: number | null
  readonly unflushed: number
  /** Of these, bytes that came when a flush was due. */
  readonly late: number
  readonly spoiled: boolean
  readonly badNetwork: boolean
}

const noDownload = { blobs: {}, flushedMs: null, unflushed: 0, late: 0 }

export const nothingTwice = checker<State>({
  id: 'I8',
  says: 'a kill costs at most the piece in flight, a cut at most what one progress mark covers',
  start: {
    ...noDownload,
    attempt: null,
    release: null,
    target: null,
    marks: {},
    partBytes: 0,
    spoiled: false,
    badNetwork: false,
  },
  on: {
    served(state, { url, bytes, fits }, facts) {
      if (!fits)
        facts.violated(`${bytes} bytes of ${url} are taken from an answer that is not the range asked for`)
      return url.endsWith('.blob') ? served(state, url, bytes, facts) : state
    },
    flush: (state, { slot }, { nowMs }) =>
      slot === null || slot !== state.target || state.flushedMs === null
        ? state
        : { ...state, flushedMs: nowMs, unflushed: 0, late: 0 },
    rename(state, it, facts) {
      const journal = savedJournal(it, facts)
      return journal === null ? state : saved(state, journal, facts)
    },
    cut: (state, _, facts) => afterCut(state, facts),
    killed: (state, _, facts) => interrupted({ ...state, flushedMs: null, unflushed: 0, late: 0 }, facts),
    'hub-restarted': (state, _, facts) => interrupted(state, facts),
    logged(state, { event }, facts) {
      if (event.event !== 'transfer failed') return state
      const code = event['code']
      const came = code === 'EB-HUB-UNREACHABLE' || code === 'EB-SLOW' || code === 'EB-ENDLESS'
      return came || state.badNetwork ? interrupted(state, facts) : state
    },
    planted(state, { what }, facts) {
      if (what === 'network-fault') return { ...state, badNetwork: true }
      if (what !== 'rot' && what !== 'storage-fault' && what !== 'data-lost') return state
      return moreFor({ ...state, spoiled: true }, facts, (blob) => blob.bytes)
    },
    healed: (state) => (state.badNetwork ? { ...state, badNetwork: false } : state),
  },
})

function served(before: State, url: string, bytes: number, facts: Facts): State {
  const [release, blob] = blobAt(url, facts)
  if (release === null || blob === null || release.manifest.id !== before.release) return before
  const partBytes = Math.max(before.partBytes, bytes)
  const known = before.blobs[blob.id] ?? { bytes: 0, max: before.spoiled ? 2 * blob.bytes : blob.bytes }
  const now = { ...known, bytes: known.bytes + bytes }
  if (now.bytes > now.max) {
    facts.violated(
      `${now.bytes} bytes of ${url} were fetched for attempt ${before.attempt}, limit ${now.max}`,
    )
  }
  const flushedMs = before.flushedMs ?? facts.nowMs
  const due = facts.nowMs > flushedMs + downloadLimits.progressMs
  const late = due ? before.late + bytes : 0
  const unflushed = before.unflushed + bytes
  const inFlight = inFlightBytes(blob, partBytes)
  const aheadMax = downloadLimits.progressBytes + downloadLimits.progressAheadBytes + inFlight
  if (late > 2 * inFlight) {
    facts.violated(`${late} bytes came since a flush of slot ${before.target} was due, last ${flushedMs} ms`)
  } else if (unflushed > aheadMax)
    facts.violated(`${unflushed} bytes came without a flush of slot ${before.target}`)
  return { ...before, blobs: { ...before.blobs, [blob.id]: now }, partBytes, flushedMs, late, unflushed }
}

function blobAt(url: string, { releases }: Facts): readonly [MadeRelease | null, Blob | null] {
  const [file = '', id = ''] = url.split('/').reverse()
  const release = releases.get(id) ?? null
  const blob = release?.manifest.blobs.find((it) => `${it.id}.blob` === file) ?? null
  return [release, blob]
}

function inFlightBytes(blob: Blob, partBytes: number): number {
  return blob.pieceBytes + sealingBytes + partBytes
}

/** A transfer ended early: what was in flight comes again; after damage a new read-back may ask for all. */
function interrupted(state: State, facts: Facts): State {
  return moreFor(
    state,
    facts,
    (blob) => inFlightBytes(blob, state.partBytes) + (state.spoiled ? blob.bytes : 0),
  )
}

/** Of each blob that is being fetched, so much more may come. */
function moreFor(state: State, { releases }: Facts, bytesOf: (blob: Blob) => number): State {
  const release = state.release === null ? undefined : releases.get(state.release)
  if (release === undefined) return state
  let { blobs } = state
  for (const blob of release.manifest.blobs) {
    const known = blobs[blob.id]
    if (known !== undefined) blobs = { ...blobs, [blob.id]: { ...known, max: known.max + bytesOf(blob) } }
  }
  return blobs === state.blobs ? state : { ...state, blobs }
}

/** What is on the medium has not to be fetched again. */
function afterCut(before: State, facts: Facts): State {
  const state = { ...before, flushedMs: null, unflushed: 0, late: 0 }
  const { target, release: id } = state
  const release = id === null ? undefined : facts.releases.get(id)
  if (target === null || release === undefined) return state
  let { blobs } = state
  for (const blob of release.manifest.blobs) {
    const known = blobs[blob.id]
    if (known === undefined) continue
    const pieces = facts.truth.missing(target, release, blob.image, blob.pieces)
    const again = Math.min(blob.bytes, pieces * (blob.pieceBytes + sealingBytes))
    const max = known.bytes + again + (again > 0 ? inFlightBytes(blob, state.partBytes) : 0)
    blobs = { ...blobs, [blob.id]: { ...known, max: Math.max(max, known.bytes) } }
  }
  return { ...state, blobs }
}

function saved(before: State, { attempt }: Journal, facts: Facts): State {
  if (attempt === null) return before
  const key = attemptKey({ attempt } as Journal)
  const { releaseId: release, target, marks } = attempt
  const opened: State = { ...before, ...noDownload, attempt: key, marks: {}, spoiled: false }
  const state = { ...(key === before.attempt ? before : opened), release, target }
  const made = facts.releases.get(release)
  for (const [image, mark] of Object.entries(marks)) {
    if (made === undefined || state.spoiled || mark <= (state.marks[image] ?? 0)) continue
    const missing = facts.truth.missing(target, made, image, mark)
    if (missing > 0) {
      facts.violated(
        `the journal has mark ${mark} for ${image}, ${missing} pieces before it are not in slot ${target}`,
      )
    }
  }
  return { ...state, marks }
}
