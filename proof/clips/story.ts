/**
 * A story of the clip cache: what is done with it, one thing after the other, and what must then be there.
 * Promise: every way in which clips come and go is in it: a new content, a second clip for it, another content for a
 * clip, eviction, a list that is carried out, invalidation by skill and content, private clips, a full disk's plea, damage, and an index
 * that is written anew.
 * Leaves to others: cutting the power (sweep.ts).
 */
import { createHash } from 'node:crypto'
import type { Audio } from '../../core/wire/skills.ts'
import type { CacheLimits } from '../../device/clips/cache-types.ts'
import type { ClipStore } from '../../device/clips/clip-store.ts'
import type { Description } from '../../device/clips/store-types.ts'

/** Contents by letters; each has its own bytes. */
export type Letter = 'A' | 'B' | 'C' | 'D' | 'E' | 'F'

/** What clips are to be there afterwards: those that may be, with their content; a clip that is not named must not be. */
export type Allowed = ReadonlyMap<string, Letter>

export interface Deed {
  readonly name: string
  run(store: ClipStore): Promise<void>
  /** @returns what may be there when the deed is done, if that was there before it */
  allows(before: Allowed): Allowed
}

export const storyLimits: CacheLimits = {
  bytes: 1_000,
  items: 6,
  ttlMs: 0,
  pinnedBytes: 400,
  quotas: new Map(),
  quotaDefault: Number.POSITIVE_INFINITY,
}

const sizes: Readonly<Record<Letter, number>> = { A: 200, B: 230, C: 250, D: 220, E: 300, F: 210 }

export function contentOf(letter: Letter): Buffer {
  return Buffer.from(`sound of ${letter} `.repeat(40)).subarray(0, sizes[letter])
}

export function shaOf(letter: Letter): string {
  return createHash('sha256').update(contentOf(letter)).digest('hex')
}

const audio: Audio = {
  format: 'wav',
  durationMs: 100,
  sampleRate: 16_000,
  bitRate: 16_000,
  channels: 1,
  compressionLevel: null,
}

const about = (id: string, skill: string, pinned = false): Description => ({
  ...{ id, skill, audio, pinned },
  listed: true,
  language: 'en-GB',
  ttlMs: null,
})

const put = (
  id: string,
  skill: string,
  letter: Letter,
  options: { own?: true; pinned?: true } = {},
): Deed => ({
  name: `insert ${id} ${letter}${options.own ? ' private' : ''}`,
  async run(store) {
    const draft = store.draft(options.own === true)
    const bytes = contentOf(letter)
    await draft.writer.write(bytes.subarray(0, 70))
    await draft.writer.write(bytes.subarray(70))
    await store.place(draft, await draft.writer.finish(), about(id, skill, options.pinned === true))
  },
  allows: (before) => new Map(before).set(id, letter),
})

const alias = (id: string, skill: string, letter: Letter): Deed => ({
  name: `alias ${id} ${letter}`,
  run: async (store) => void (await store.alias(shaOf(letter), about(id, skill))),
  allows: (before) => new Map(before).set(id, letter),
})

const without = (keep: (id: string, letter: Letter) => boolean) => (before: Allowed) =>
  new Map([...before].filter(([id, letter]) => keep(id, letter)))

const change = (name: string, run: (store: ClipStore) => Promise<unknown>, allows: Deed['allows']): Deed => ({
  name,
  run: async (store) => void (await run(store)),
  allows,
})

const use = (...ids: readonly string[]): Deed =>
  change(
    `use ${ids.join(' ')}`,
    async (store) => {
      for (const id of ids) store.open(id)?.done()
      await store.tidy()
    },
    (before) => before,
  )

const skills: Readonly<Record<string, string>> = { one: 'red', two: 'red', three: 'blue', four: 'blue' }
const ofSkill = (skill: string) => (id: string) => (skills[id] ?? 'red') !== skill

export const story: readonly Deed[] = [
  put('one', 'red', 'A'),
  put('two', 'red', 'B'),
  alias('three', 'blue', 'A'),
  put('four', 'blue', 'B'),
  use('one', 'two'),
  put('five', 'red', 'C', { pinned: true }),
  // Beyond the bytes: the least recent content goes with its clips.
  put('six', 'red', 'D'),
  put('seven', 'red', 'E'),
  change(
    'remove five',
    (store) => store.remove('five'),
    without((id) => id !== 'five'),
  ),
  // Another content for a clip.
  put('seven', 'red', 'A'),
  put('eight', 'red', 'F', { own: true }),
  put('three', 'blue', 'A'),
  change(
    'list of red',
    (store) => store.applySkill('red', 7, ({ id }) => id === 'seven' || id === 'one'),
    without((id) => id !== 'seven' && id !== 'one'),
  ),
  change(
    'forget eight',
    (store) => store.forget('eight'),
    without((id) => id !== 'eight'),
  ),
  put('four', 'blue', 'B'),
  alias('nine', 'red', 'B'),
  change('invalidate blue', (store) => store.invalidateSkill('blue'), without(ofSkill('blue'))),
  put('one', 'red', 'C'),
  put('ten', 'red', 'C'),
  change(
    'invalidate C',
    (store) => store.invalidateContent(Buffer.from(shaOf('C'), 'hex').toString('latin1')),
    without((_id, letter) => letter !== 'C'),
  ),
  put('one', 'red', 'A'),
  put('two', 'red', 'E'),
  change(
    'give way',
    // Down to so much: to do it again after a cut changes nothing more.
    (store) => store.giveWay(Math.max(0, store.figures().now.sizeBytes - 650)),
    (before) => before,
  ),
  change(
    'write anew',
    (store) => store.begin(true),
    (before) => before,
  ),
  put('two', 'red', 'D'),
  change(
    'clear',
    (store) => store.clear(),
    () => new Map(),
  ),
  put('last', 'red', 'B'),
]
