/** A medium that fails at each operation of each change: memory and disk agree, at once and after a start. */
import { describe, expect, it } from 'vitest'
import type { FileOperation } from '../../../bootloader-sim/devices/file-store.ts'
import { EverbootError, raise } from '../../../core/errors.ts'
import type { ClipStore } from '../../../device/clips/clip-store.ts'
import { fileOf } from '../../../device/clips/contents.ts'
import {
  about,
  bytesIn,
  bytesOf,
  type ClipWorld,
  clipWorld,
  contentFiles,
  openStore,
  placeClip,
  shaOf,
} from './fixtures.ts'

const limits = { bytes: 1_200, pinnedBytes: 600 }
const sound = (name: string) => bytesOf(name, 300)

/** Bytes of each clip of the start. */
const start: Readonly<Record<string, string>> = { a: 'one', b: 'one', c: 'two', d: 'three', e: 'four' }

async function filled(): Promise<{ world: ClipWorld; store: ClipStore }> {
  const world = clipWorld()
  const { store } = await openStore(world, limits)
  for (const [id, name] of Object.entries(start)) {
    await placeClip(store, about(id, id < 'd' ? 'red' : 'blue'), sound(name), id === 'e')
  }
  return { world, store }
}

interface Change {
  readonly name: string
  run(store: ClipStore): Promise<unknown>
  /** Clips that are there afterwards, by the name of their content. */
  readonly after: Readonly<Record<string, string>>
}

const without = (...ids: readonly string[]) =>
  Object.fromEntries(Object.entries(start).filter(([id]) => !ids.includes(id)))

const changes: readonly Change[] = [
  {
    name: 'a new clip that pushes out another',
    run: (store) => placeClip(store, about('f'), sound('five')),
    after: { ...without('a', 'b'), f: 'five' },
  },
  {
    name: 'another content for a clip',
    run: (store) => placeClip(store, about('c'), sound('six')),
    after: { ...start, c: 'six' },
  },
  {
    name: 'a private clip',
    run: (store) => placeClip(store, about('f'), sound('one'), true),
    after: { ...without('a', 'b'), f: 'one' },
  },
  {
    name: 'another clip for a content',
    run: (store) => store.alias(shaOf(sound('two')), about('f', 'blue')),
    after: { ...start, f: 'two' },
  },
  { name: 'remove', run: (store) => store.remove('c'), after: without('c') },
  { name: 'remove one of two clips of a content', run: (store) => store.remove('a'), after: without('a') },
  { name: 'forget', run: (store) => store.forget('e'), after: without('e') },
  {
    name: 'the list of a skill',
    run: (store) => store.applySkill('red', 3, ({ id }) => id === 'a' || id === 'c'),
    after: without('a', 'c'),
  },
  { name: 'invalidate a skill', run: (store) => store.invalidateSkill('red'), after: without('a', 'b', 'c') },
  { name: 'give way', run: (store) => store.giveWay(600), after: without('a', 'b', 'c') },
  { name: 'clear', run: (store) => store.clear(), after: {} },
  { name: 'pin', run: (store) => store.pin('d', true), after: start },
  { name: 'write anew', run: (store) => store.begin(true), after: start },
]

/** What is there, with what is served for it; and that files and clips agree. */
async function found(world: ClipWorld, store: ClipStore): Promise<Readonly<Record<string, string>>> {
  const names = ['one', 'two', 'three', 'four', 'five', 'six']
  const there: Record<string, string> = {}
  for (const { id } of [...store.list()]) {
    const bytes = await bytesIn(store, id)
    there[id] = names.find((it) => bytes !== null && sound(it).equals(bytes)) ?? 'wrong'
  }
  const files = Array.from(new Set(Array.from(store.list(), ({ content }) => fileOf(content)))).sort()
  expect(await contentFiles(world)).toEqual(expect.arrayContaining(files))
  const sum = new Map(Array.from(store.list(), ({ content }) => [content.key, content.bytes]))
  expect(store.figures().now.sizeBytes).toBe([...sum.values()].reduce((all, it) => all + it, 0))
  return there
}

/** Fails an operation, once or from then on. @returns whether it came to that */
function failAt(
  world: ClipWorld,
  at: number,
  code: 'EB-DATA-IO' | 'EB-DATA-FULL',
  lasting: boolean,
): () => boolean {
  let count = -1
  let failed = false
  world.files.fault = (operation: FileOperation) => {
    if (operation === 'read') return
    count += 1
    if (count !== at && !(lasting && failed)) return
    failed = true
    raise(code, `planted at ${operation}`)
  }
  return () => failed
}

/** What the change does not touch is there; what it does is as before, as after, or gone. */
function isEither(there: Readonly<Record<string, string>>, { after }: Change): boolean {
  const ids = new Set([...Object.keys(start), ...Object.keys(after), ...Object.keys(there)])
  return [...ids].every((id) =>
    start[id] === after[id]
      ? there[id] === start[id]
      : there[id] === undefined || there[id] === start[id] || there[id] === after[id],
  )
}

describe.each(changes)('$name', (change) => {
  it('is as it is meant to be when nothing fails', async () => {
    const { world, store } = await filled()
    await change.run(store)
    expect(await found(world, store)).toEqual(change.after)
    const again = (await openStore(world, limits)).store
    expect(await found(world, again)).toEqual(change.after)
    const files = new Set(Array.from(again.list(), ({ content }) => fileOf(content)))
    expect(await contentFiles(world)).toHaveLength(files.size)
  })

  it.each([
    ['EB-DATA-IO', false],
    ['EB-DATA-IO', true],
    ['EB-DATA-FULL', false],
    ['EB-DATA-FULL', true],
  ] as const)(
    'leaves nothing wrong behind when any operation fails with %s (for ever: %s)',
    async (code, lasting) => {
      for (let at = 0, more = true; more; at += 1) {
        const { world, store } = await filled()
        const failed = failAt(world, at, code, lasting)
        const told = await change.run(store).then(
          () => true,
          (caught: unknown) => {
            expect(caught).toBeInstanceOf(EverbootError)
            return false
          },
        )
        await store.settle()
        more = failed()
        world.files.fault = () => {}
        const there = await found(world, store)
        if (told) expect(there, `told at ${at}`).toEqual(change.after)
        else expect(isEither(there, change), `${at}: ${JSON.stringify(there)}`).toBe(true)

        // The power goes now: what was told is there; what was not is there or not, and never something else.
        for (const fate of ['kept', 'lost'] as const) {
          const { files } = clipWorld()
          files.restore(world.files.image())
          files.crash(files.pending().map(() => fate))
          const left = { ...world, files }
          const { store: again } = await openStore(left, limits)
          const then = await found(left, again)
          if (told) expect(then, `told at ${at}, ${fate}`).toEqual(change.after)
          else expect(isEither(then, change), `${at}: ${JSON.stringify(then)}`).toBe(true)
        }

        // Or it goes on: after the next change both are the same, and no file is left over.
        await placeClip(store, about('last', 'blue'), sound('six'))
        const later = await found(world, store)
        expect(later['last']).toBe('six')
        const { store: again, lost } = await openStore(world, limits)
        expect(lost).toEqual([])
        expect(await found(world, again)).toEqual(later)
        const files = new Set(Array.from(again.list(), ({ content }) => fileOf(content)))
        expect(await contentFiles(world)).toHaveLength(files.size)
      }
    },
  )
})
