/**
 * Bugs of the clip cache: of the list of faults, and some that its own sweep has found.
 */
import type { Plant } from './planted.ts'

export const clipPlants: readonly Plant[] = [
  {
    name: 'evict without removing the file',
    from: 'faults',
    edits: [
      {
        file: 'device/clips/contents.ts',
        find: `        await this.#files.remove(file)
`,
        replace: `        await Promise.resolve(file)
`,
      },
    ],
    how: 'The story of clips, without any crash: after an eviction a file is there that nothing refers to.',
  },
  {
    name: 'two clips share a file and the first invalidation deletes it',
    from: 'faults',
    edits: [
      {
        file: 'device/clips/clip-store.ts',
        find: `    this.#index.note({ kind: 'gone', clip: record.number })
    this.onLeft(clip, skill, why)
`,
        replace: `    this.#index.note({ kind: 'gone', clip: record.number })
    const shared = this.#state.contents.get(_content)
    if (why === 'skill' && shared !== undefined) this.#state.contents.lose(shared)
    this.onLeft(clip, skill, why)
`,
      },
      {
        file: 'device/clips/contents.ts',
        find: `  keepOrphans(files: Iterable<string>): void {
`,
        replace: `  lose(record: ContentRecord): void {
    this.#orphans.add(fileOf(record))
  }

  keepOrphans(files: Iterable<string>): void {
`,
      },
    ],
    how: 'The story of clips, without any crash: a clip of another skill shares the content of one that is invalidated, and its file is gone.',
  },
  {
    name: 'believe an index that no sync has reached',
    from: 'found',
    edits: [
      {
        file: 'device/clips/index-log.ts',
        find: `  await parts.files.syncFile(indexFile)
  await parts.files.syncDir()
`,
        replace: '',
      },
    ],
    how: 'The story of clips, the program killed before its index is synced: the next run takes the change for done and says so, and a loss of power undoes it.',
  },
  {
    name: 'a file goes before the index has forgotten it',
    from: 'found',
    edits: [
      {
        file: 'device/clips/index-keeper.ts',
        find: `    try {
      await told()
`,
        replace: `    await contents.sweep(orphans)
    try {
      await told()
`,
      },
    ],
    how: 'The story of clips, the power cut between the removal of a file and the change of the index: clips that were told of are gone.',
  },
]
