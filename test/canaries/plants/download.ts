/**
 * Planted bugs in the download: marks, ranges, retries.
 */
import type { Plant } from './planted.ts'

const progress = 'device/download/progress.ts'

export const downloadPlants: readonly Plant[] = [
  {
    name: 'journal before flush',
    from: 'faults',
    edits: [
      {
        file: progress,
        find: 'saving = writer.flush().then(() => target.saveMark(next, tally()))',
        replace: 'saving = target.saveMark(next, tally()).then(() => writer.flush())',
      },
    ],
    how: 'Good update: a cut that drops unflushed writes between the journal with a mark and the flush of the slot; pieces before the mark are fetched again.',
  },
  {
    name: 'trust the journal past its flush',
    from: 'faults',
    edits: [
      {
        file: progress,
        find: '  const startSaving = (next: number): void => {',
        replace: '  const startSaving = (next: number, due = true): void => {',
      },
      {
        file: progress,
        find: `    savedMs = clock.monotonicMs()
`,
        replace: `    if (due) savedMs = clock.monotonicMs()
`,
      },
      {
        file: progress,
        find: 'saving = writer.flush().then(',
        replace: 'saving = (due ? writer.flush() : Promise.resolve()).then(',
      },
      {
        file: progress,
        find: `        startSaving(next)
      } else`,
        replace: `        startSaving(next, due)
      } else`,
      },
    ],
    how: 'Good update over a link so slow that every piece has its mark, but with more than one piece in two seconds: the mark goes ahead of the last flush, a cut drops pieces before it, and they are fetched again.',
  },
  {
    name: 'retry without limit on 404',
    from: 'faults',
    edits: [
      {
        file: 'device/download/transfer-fault.ts',
        find: 'const later = status >= 500 || status === 408 ||',
        replace: 'const later = status >= 500 || status === 404 || status === 408 ||',
      },
    ],
    how: 'The server answers 404 for manifest, index or blob and goes on doing so (a release that was deleted): the attempt never ends and has no final report.',
  },
  {
    name: 'treat a 200 as a 206',
    from: 'faults',
    edits: [
      {
        file: 'device/download/range-fetch.ts',
        find: `    const changed = request.etag !== null && etag !== null && etag !== request.etag
`,
        replace: `    const changed = request.etag !== null && etag !== null && etag !== request.etag
    if (!changed) return null
`,
      },
    ],
    how: 'The server answers a range from the middle of the blob with 200 and the whole file, once or always: bytes from the start of the file are taken for the piece and thrown away, though nothing was killed.',
  },
]
