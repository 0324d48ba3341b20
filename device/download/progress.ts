/**
 * When progress is made durable, and the count of bytes.
 * Promise: the slot is flushed before the mark is saved, every 8 MiB or 2 s, on slow links at every piece.
 * While that is under way the download may run ahead, by 4 MiB at most; so a power cut costs at most 12 MiB.
 * Leaves to others: the journal (saveMark) and showing it (onProgress).
 */
import { downloadLimits } from '../../core/limits.ts'
import type { Clock } from '../../core/ports.ts'
import type { SlotWriter } from '../slots/slot-writer.ts'

/** Bytes over the network for one image in this run of the agent. */
export interface Tally {
  /** All that came, index included. */
  readonly fetched: number
  /** Sealed bytes of pieces that were written, and of pieces found in the slot past the mark. */
  readonly useful: number
}

export interface ProgressKeeper {
  fetched(bytes: number): void
  useful(bytes: number): void
  /** A piece past the mark was found whole: it had come before the last stop. */
  found(sealedBytes: number): void
  /** Bytes of index fetched so far, as a running total; a rise is shown, since nothing else moves meanwhile. */
  indexBytes(total: number, next: number): void
  /** All pieces before `next` are in the slot; the last one has `rawBytes`. */
  done(next: number, rawBytes: number): Promise<void>
  finish(next: number): Promise<void>
  /** Returns when no save is under way any more: the mark must not reach another attempt. */
  rest(): Promise<void>
}

interface ProgressTarget {
  readonly planned: {
    readonly blob: { readonly pieceBytes: number }
    readonly image: { readonly paddedBytes: number }
  }
  saveMark(mark: number, tally: Tally): Promise<void>
  onProgress(rawBytesDone: number, tally: Tally): void
}

export function progressKeeper(target: ProgressTarget, writer: SlotWriter, clock: Clock): ProgressKeeper {
  const startMs = clock.monotonicMs()
  const { blob, image } = target.planned
  let fetched = 0
  let index = 0
  let useful = 0
  let unsaved = 0
  let saving: Promise<void> = Promise.resolve()
  let savedMs = startMs
  let shownMs = startMs - downloadLimits.reportMs

  const tally = (): Tally => ({ fetched: fetched + index, useful: useful + index })
  const isSlow = (nowMs: number): boolean =>
    fetched > 0 && fetched * 1000 < downloadLimits.slowLinkBytesPerSecond * (nowMs - startMs)
  const show = (next: number): void =>
    target.onProgress(Math.min(next * blob.pieceBytes, image.paddedBytes), tally())
  /** Flush, then journal, while the download goes on; the next mark waits for it. */
  const startSaving = (next: number): void => {
    unsaved = 0
    savedMs = clock.monotonicMs()
    saving = writer.flush().then(() => target.saveMark(next, tally()))
    // Its failure is seen by whoever waits for it next.
    saving.catch(() => {})
  }
  return {
    fetched: (bytes) => {
      fetched += bytes
    },
    useful: (bytes) => {
      useful += bytes
    },
    found: (sealedBytes) => {
      fetched += sealedBytes
      useful += sealedBytes
    },
    indexBytes: (total, next) => {
      if (total === index) return
      index = total
      show(next)
    },
    async done(next, rawBytes) {
      unsaved += rawBytes
      const nowMs = clock.monotonicMs()
      const due = unsaved >= downloadLimits.progressBytes || nowMs - savedMs >= downloadLimits.progressMs
      if (due || isSlow(nowMs)) {
        await saving
        startSaving(next)
      } else if (unsaved >= downloadLimits.progressAheadBytes) await saving
      const showMs = isSlow(nowMs) ? downloadLimits.slowReportMs : downloadLimits.reportMs
      if (nowMs - shownMs >= showMs) {
        shownMs = nowMs
        show(next)
      }
    },
    async finish(next) {
      await saving
      startSaving(next)
      await saving
      target.onProgress(image.paddedBytes, tally())
    },
    rest: () => saving.catch(() => {}),
  }
}
