/** The clip cache on the disk: contents shared by clips, readers that go on, and what several do at once. */
import { describe, expect, it } from 'vitest'
import type { SimFiles } from '../../../bootloader-sim/devices/file-store.ts'
import { indexLimits } from '../../../core/clip-limits.ts'
import { raise } from '../../../core/errors.ts'
import type { ClipStore } from '../../../device/clips/clip-store.ts'
import { fileOf } from '../../../device/clips/contents.ts'
import {
  about,
  bytesIn,
  bytesOf,
  type ClipWorld,
  clipWorld,
  codeOf,
  contentFiles,
  openStore,
  placeClip,
  shaOf,
} from './fixtures.ts'

const one = bytesOf('one', 300)
const two = bytesOf('two', 400)

const idsOf = (store: ClipStore): readonly string[] => Array.from(store.list(), ({ id }) => id).sort()

async function opened(change: Parameters<typeof openStore>[1] = {}) {
  const world = clipWorld()
  return { world, store: (await openStore(world, change)).store }
}

/** Appends to a file wait until they are let go. */
function holdAppends(
  world: ClipWorld,
  name: string,
): { readonly files: SimFiles; letGo(): void; held(): number } {
  const held: (() => void)[] = []
  let holding = true
  const files: SimFiles = {
    ...world.files,
    async append(to, bytes) {
      if (holding && to === name) await new Promise<void>((resolve) => held.push(resolve))
      await world.files.append(to, bytes)
    },
  }
  return {
    files,
    held: () => held.length,
    letGo() {
      holding = false
      for (const go of held.splice(0)) go()
    },
  }
}

/** Nothing more fits the medium. */
async function fillUp({ files }: ClipWorld): Promise<void> {
  const names = await files.list()
  files.capacityBytes = names.reduce((sum, name) => sum + (files.content(name)?.length ?? 0), 0)
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('clips of one content', () => {
  it('share its file, are each found, and leave one by one', async () => {
    const { world, store } = await opened()
    expect(await placeClip(store, about('a'), one)).toBe('added')
    expect(await placeClip(store, about('b', 'blue'), one)).toBe('alias')
    expect(await store.alias(shaOf(one), about('c', 'green'))).toBe('alias')
    expect(await store.alias(shaOf(two), about('d'))).toBeNull()
    expect(await contentFiles(world)).toHaveLength(1)
    expect(store.figures().now).toMatchObject({ items: 3, contents: 1, sizeBytes: 300, bytesSaved: 600 })
    expect(await store.remove('a')).toBe(true)
    expect(await store.remove('a')).toBe(false)
    expect(await bytesIn(store, 'a')).toBeNull()
    expect(await bytesIn(store, 'b')).toEqual(one)
    expect(await store.invalidateSkill('blue')).toBe(1)
    expect(await bytesIn(store, 'c')).toEqual(one)
    expect(await store.remove('c')).toBe(true)
    expect(await contentFiles(world)).toEqual([])
  })

  it('that are put at once become one content, and each clip is there', async () => {
    const { world, store } = await opened()
    const placed = await Promise.all(['a', 'b', 'c'].map((id) => placeClip(store, about(id), one)))
    expect([...placed].sort()).toEqual(['added', 'alias', 'alias'])
    expect(await contentFiles(world)).toHaveLength(1)
    expect(idsOf(store)).toEqual(['a', 'b', 'c'])
    // Nothing was fetched, so nothing was saved.
    expect(store.figures().life.fetchSaved).toBe(0)
    await store.alias(shaOf(one), about('d'))
    expect(store.figures().life.fetchSaved).toBe(300)
  })

  it('give way together, and another content for a clip leaves the others alone', async () => {
    const { world, store } = await opened({ bytes: 800 })
    await placeClip(store, about('a'), one)
    await placeClip(store, about('b'), one)
    expect(await placeClip(store, about('a'), two)).toBe('replaced')
    expect(await bytesIn(store, 'b')).toEqual(one)
    expect(await bytesIn(store, 'a')).toEqual(two)
    await store.alias(shaOf(two), about('c'))
    await placeClip(store, about('d'), bytesOf('three', 300))
    expect(idsOf(store)).toEqual(['a', 'c', 'd'])
    await placeClip(store, about('e'), bytesOf('four', 450))
    expect(idsOf(store)).toEqual(['d', 'e'])
    expect(await contentFiles(world)).toHaveLength(2)
  })
})

describe('a clip', () => {
  it('that is refused changes nothing and leaves no file', async () => {
    const { world, store } = await opened({ bytes: 1_000, pinnedBytes: 300, items: 2 })
    await placeClip(store, about('a'), one)
    const before = world.files.content('index')
    expect(await codeOf(placeClip(store, about('b'), bytesOf('big', 1_001)))).toBe('EB-CLIP-SIZE')
    expect(await codeOf(placeClip(store, about('a', 'blue'), two))).toBe('EB-CONFLICT')
    expect(await codeOf(placeClip(store, about('b', 'red', { pinned: true, listed: false }), two))).toBe(
      'EB-CLIP-FULL',
    )
    expect(await codeOf(store.alias(shaOf(one), about('a', 'blue')))).toBe('EB-CONFLICT')
    expect(await contentFiles(world)).toHaveLength(1)
    expect(world.files.content('index')).toEqual(before)
    expect(await bytesIn(store, 'a')).toEqual(one)
  })

  it('of a list is there without its pin when the pins have no room', async () => {
    const { store } = await opened({ pinnedBytes: 350 })
    await placeClip(store, about('a', 'red', { pinned: true }), one)
    await placeClip(store, about('b', 'red', { pinned: true }), two)
    expect([store.peek('a')?.pinned, store.peek('b')?.pinned]).toEqual([true, false])
  })

  it('that is evicted while it is read stays readable to its end, and goes afterwards', async () => {
    const { world, store } = await opened({ bytes: 150_000 })
    const long = bytesOf('long', 140_000)
    await placeClip(store, about('a'), long)
    const [first, second] = [store.open('a'), store.open('a')]
    const parts = first?.part(0, 140_000)
    const heard = [(await parts?.next())?.value]
    await placeClip(store, about('b'), bytesOf('other', 100_000))
    expect(store.peek('a')).toBeNull()
    expect(await contentFiles(world)).toHaveLength(2)
    for await (const part of parts ?? []) heard.push(part)
    expect(Buffer.concat(heard.map((it) => it ?? Buffer.alloc(0)))).toEqual(long)
    first?.done()
    first?.done()
    await store.settle()
    expect(await second?.whole()).toEqual(long)
    second?.done()
    await store.settle()
    expect(await contentFiles(world)).toHaveLength(1)
    expect(await bytesIn(store, 'b')).toEqual(bytesOf('other', 100_000))
  })

  it('that is put again while its old content is read is the new one at once', async () => {
    const { world, store } = await opened()
    await placeClip(store, about('a'), one)
    const reading = store.open('a')
    await placeClip(store, about('a'), two)
    expect(await reading?.whole()).toEqual(one)
    expect(await bytesIn(store, 'a')).toEqual(two)
    reading?.done()
    await store.settle()
    expect(await contentFiles(world)).toHaveLength(1)
  })

  it('loses its pin and its place when there is no room for it without', async () => {
    const { store } = await opened({ bytes: 800, pinnedBytes: 800 })
    await placeClip(store, about('a', 'red', { pinned: true }), one)
    await placeClip(store, about('b', 'red', { pinned: true }), two)
    expect(await store.pin('b', false)).toBe(true)
    expect(await store.pin('none', true)).toBe(false)
    await placeClip(store, about('c'), two)
    expect(store.peek('b')).not.toBeNull()
    await placeClip(store, about('d'), bytesOf('more', 200))
    expect(idsOf(store)).toEqual(['a', 'd'])
  })
})

describe('damage', () => {
  it('is counted once, and does not cost the content that came in its place', async () => {
    const { store } = await opened()
    await placeClip(store, about('a'), one)
    const [first, second] = [store.open('a'), store.open('a')]
    if (first === null || second === null) throw new Error('no clip')
    expect(await store.damaged(first.content)).toBe(1)
    await placeClip(store, about('a'), one)
    expect(await store.damaged(second.content)).toBe(0)
    expect(await bytesIn(store, 'a')).toEqual(one)
    expect(store.figures().life.damaged).toBe(1)
  })
})

describe('several things at once', () => {
  it('wait for one another, but a get does not, not even while the index is written anew', async () => {
    const world = clipWorld()
    const { files, letGo, held } = holdAppends(world, 'index.new')
    const { store } = await openStore(world, { items: 1_000 })
    await placeClip(store, about('a'), one)
    // Two frames of snapshot, so that it is written in parts.
    for (let count = 0; count < 700; count += 1)
      await store.alias(shaOf(one), about(`${'x'.repeat(60)}${count}`))
    await store.settle()
    const again = (await openStore({ ...world, files }, { items: 1_000 })).store
    const anew = again.begin(true)
    await turn()
    expect(held()).toBe(1)
    expect(await bytesIn(again, 'a')).toEqual(one)
    letGo()
    await anew
    expect(idsOf(again)).toHaveLength(701)
  })

  it('do not bring back a clip that expires while something else is written', async () => {
    const world = clipWorld()
    const { files, letGo, held } = holdAppends(world, 'index')
    {
      const { store } = await openStore(world)
      await placeClip(store, about('short', 'red', { ttlMs: 1_000 }), one)
      await placeClip(store, about('other', 'red'), one)
      await placeClip(store, about('alone', 'red', { ttlMs: 1_000 }), bytesOf('alone', 100))
    }
    const { store } = await openStore({ ...world, files })
    const put = placeClip(store, about('b'), two)
    await turn()
    expect(held()).toBe(1)
    await world.time.pass(2_000)
    expect(store.open('short')).toBeNull()
    expect(store.open('alone')).toBeNull()
    letGo()
    await put
    await store.settle()
    expect(await contentFiles(world)).toHaveLength(2)
    const later = await openStore(world)
    expect(later.lost).toEqual([])
    expect(idsOf(later.store)).toEqual(['b', 'other'])
  })

  it('store a clip that has expired by then for nothing', async () => {
    const world = clipWorld()
    const { files, letGo } = holdAppends(world, 'index')
    await openStore(world)
    const { store } = await openStore({ ...world, files })
    const put = codeOf(placeClip(store, about('short', 'red', { ttlMs: 1_000 }), one))
    await turn()
    await world.time.pass(2_000)
    expect(store.open('short')).toBeNull()
    letGo()
    expect(await put).toBe('EB-CLIP-MISSING')
    await store.settle()
    expect(await contentFiles(world)).toEqual([])
    const again = await openStore(world)
    expect([again.lost, idsOf(again.store)]).toEqual([[], []])
  })

  it('fit the index however many they are', async () => {
    const { world, store } = await opened({ items: 10_000 })
    await placeClip(store, about('a'), one)
    const count = indexLimits.changesMax + 10
    for (let at = 0; at < count; at += 1) await store.alias(shaOf(one), about(`clip-${at}`))
    for (let at = 0; at < count; at += 1) store.open(`clip-${at}`)?.done()
    await store.tidy()
    const again = (await openStore(world, { items: 10_000 })).store
    expect(again.peek(`clip-${count - 1}`)?.accesses).toBe(1)
    await again.clear()
    expect(idsOf((await openStore(world, { items: 10_000 })).store)).toEqual([])
    expect(await contentFiles(world)).toEqual([])
  })
})

describe('a full medium', () => {
  it('has room again when clips give way, also when it does not take the news', async () => {
    const { world, store } = await opened()
    for (const id of ['a', 'b', 'c', 'd']) await placeClip(store, about(id), bytesOf(id, 5_000))
    await fillUp(world)
    expect(await store.giveWay(8_000)).toBe(10_000)
    expect(idsOf(store)).toEqual(['c', 'd'])
    expect(await contentFiles(world)).toHaveLength(2)
    const again = await openStore(world)
    expect(again.lost).toEqual([])
    expect(idsOf(again.store)).toEqual(['c', 'd'])
  })

  it('lets clips be removed, and nothing be put', async () => {
    const { world, store } = await opened()
    for (const id of ['a', 'b']) await placeClip(store, about(id), bytesOf(id, 5_000))
    await fillUp(world)
    expect(await codeOf(placeClip(store, about('c'), two))).toBe('EB-DATA-FULL')
    expect(idsOf(store)).toEqual(['a', 'b'])
    expect(await store.remove('a')).toBe(true)
    expect(await contentFiles(world)).toHaveLength(1)
    expect(idsOf((await openStore(world)).store)).toEqual(['b'])
  })

  it('keeps no store from being opened', async () => {
    const { world, store } = await opened()
    await placeClip(store, about('a', 'red', { ttlMs: 1_000 }), one)
    await placeClip(store, about('b'), two)
    const file = fileOf(store.peek('b')?.content ?? raise('EB-CLIP-MISSING', 'b'))
    await world.time.pass(5_000)
    world.files.fault = (operation) => {
      if (operation === 'append' || operation === 'write') raise('EB-DATA-FULL', 'planted')
    }
    const { store: again } = await openStore(world)
    expect(idsOf(again)).toEqual(['b'])
    expect(await contentFiles(world)).toEqual([file])
    world.files.fault = () => {}
    await again.tidy()
    expect((await openStore(world)).lost).toEqual([])
  })
})
