/**
 * Planted bugs in how the journal is kept.
 */
import type { Plant } from './planted.ts'

export const journalPlants: readonly Plant[] = [
  {
    name: 'no directory sync',
    from: 'faults',
    edits: [
      {
        file: 'device/update/journal.ts',
        find: `    await files.rename(newName, fileName)
    await files.syncDir()
`,
        replace: `    await files.syncDir()
    await files.rename(newName, fileName)
`,
      },
    ],
    how: 'The directory is synced before the rename, not after it. Good update: a cut that loses unsynced names after the hub has a status (best: the final report): the journal is one save behind, the attempt is found open again and reported a second time, or status numbers are used again.',
  },
]
