/** What a clip cache still knows after a start: everything that was told, in the order of use, and nothing else. */
import { describe, expect, it } from 'vitest'
import { raise } from '../../../core/errors.ts'
import type { ClipStore } from '../../../device/clips/clip-store.ts'
import {
  about,
  bytesIn,
  bytesOf,
  clipWorld,
  codeOf,
  contentFiles,
  hour,
  minute,
  openStore,
  placeClip,
  shaOf,
} from './fixtures.ts'

/** All that can be told of the clips, in no order. */
function known(store: ClipStore): object {
  const clips = Array.from(store.list(), ({ content: { number: _, ...content }, ...clip }) => ({
    ...clip,
    content,
  }))
  return Object.fromEntries(clips.map((it) => [it.id, it]))
}

/** In which order clips give way: they are pushed out one by one. */
async function leaving(store: ClipStore): Promise<readonly string[]> {
  const left: string[] = []
  store.onLeft = (clip) => void left.push(clip)
  while ((await store.giveWay(1)) > 0);
  return left
}

describe('after a start', () => {
  it('everything is known of each clip that was', async () => {
    const world = clipWorld()
    const { store } = await openStore(world)
    await placeClip(store, about('a', 'red', { language: 'en-GB', pinned: true }), bytesOf('a', 300))
    await placeClip(store, about('b', 'red', { ttlMs: hour }), bytesOf('b', 70_000))
    await store.alias(shaOf(bytesOf('b', 70_000)), about('c', 'blue', { listed: false }))
    await placeClip(store, about('d', 'own', { listed: false }), bytesOf('a', 300), true)
    await world.time.pass(5 * minute)
    for (const id of ['b', 'b', 'd']) store.open(id)?.done()
    await store.pin('b', true)
    await store.pin('a', false)
    await store.markShared('c')
    await store.tidy()
    const before = known(store)
    const again = (await openStore(world)).store
    expect(known(again)).toEqual(before)
    expect(before).toMatchObject({
      a: { language: 'en-GB', pinned: false, private: false },
      b: { pinned: true, accesses: 2, expiresInMs: 55 * minute, listed: true },
      c: { shared: true, listed: false, skill: 'blue' },
      d: { private: true, accesses: 1, lastAccessAgoMs: 0 },
    })
    for (const [id, bytes] of [
      ['a', bytesOf('a', 300)],
      ['c', bytesOf('b', 70_000)],
      ['d', bytesOf('a', 300)],
    ] as const) {
      expect(await bytesIn(again, id)).toEqual(bytes)
    }
    // Also from an index that was written anew.
    await again.begin(true)
    const later = known((await openStore(world)).store)
    expect(Object.keys(later).sort()).toEqual(Object.keys(before).sort())
  })

  it('a clip that was put again is as it was put last, with what was known of it', async () => {
    const world = clipWorld()
    const { store } = await openStore(world, { ttlMs: hour })
    await placeClip(store, about('a'), bytesOf('a', 300))
    store.open('a')?.done()
    await store.markShared('a')
    const createdMs = store.peek('a')?.createdMs
    await world.time.pass(50 * minute)
    expect(
      await placeClip(
        store,
        about('a', 'red', { language: 'de', pinned: true, listed: false }),
        bytesOf('a', 300),
      ),
    ).toBe('same')
    const told = {
      language: 'de',
      pinned: true,
      listed: false,
      shared: true,
      createdMs,
      accesses: 1,
      expiresInMs: hour,
    }
    expect(store.peek('a')).toMatchObject(told)
    expect((await openStore(world, { ttlMs: hour })).store.peek('a')).toMatchObject(told)
    // Its life begins anew by that, and again here.
    await world.time.pass(50 * minute)
    await placeClip(store, about('a', 'red', { ttlMs: 2 * hour }), bytesOf('a', 300))
    await world.time.pass(90 * minute)
    const { store: again } = await openStore(world, { ttlMs: hour })
    expect(again.peek('a')).toMatchObject({ pinned: false, expiresInMs: 30 * minute })
  })

  it('a clip that got another content keeps its accesses and nothing of the old content', async () => {
    const world = clipWorld()
    const { store } = await openStore(world)
    await placeClip(store, about('a'), bytesOf('a', 300))
    store.open('a')?.done()
    await placeClip(store, about('a'), bytesOf('b', 300))
    const before = known(store)
    expect(before).toMatchObject({ a: { accesses: 1 } })
    const again = (await openStore(world)).store
    expect(known(again)).toEqual(before)
    expect(await contentFiles(world)).toHaveLength(1)
  })

  it.each([false, true])(
    'clips give way in the order in which they were used last (index anew: %s)',
    async (anew) => {
      const world = clipWorld()
      const { store } = await openStore(world)
      for (const id of ['a', 'b', 'c', 'd', 'e', 'f']) await placeClip(store, about(id), bytesOf(id, 300))
      for (const id of ['b', 'a', 'c', 'b', 'd', 'a']) store.open(id)?.done()
      await placeClip(store, about('e'), bytesOf('e', 300))
      await store.pin('f', true)
      await store.pin('f', false)
      await store.tidy()
      if (anew) await store.begin(true)
      const again = (await openStore(world)).store
      expect(await leaving(again)).toEqual(['c', 'b', 'd', 'a', 'e', 'f'])
      expect(await leaving(store)).toEqual(['c', 'b', 'd', 'a', 'e', 'f'])
    },
  )

  it('the figures of all runs are there, whether the index was written anew or not', async () => {
    const world = clipWorld()
    let { store } = await openStore(world)
    await placeClip(store, about('a'), bytesOf('a', 300))
    for (let run = 1; run <= 3; run += 1) {
      store.open('a')?.done()
      store.open('none')
      store.countFetched(100)
      await store.tidy()
      ;({ store } = await openStore(world))
      expect(store.figures().life).toMatchObject({ hits: run, misses: run, fetchedBytes: 100 * run })
    }
    const frames = world.files.content('index')?.length
    await store.tidy()
    await store.tidy()
    expect(world.files.content('index')?.length, 'nothing changed, nothing is told').toBe(frames)
  })

  it('what expired is gone, but not the content that another clip has too', async () => {
    const world = clipWorld()
    const { store } = await openStore(world)
    // The one that expires is the less recently used.
    await placeClip(store, about('short', 'red', { ttlMs: minute }), bytesOf('a', 300))
    await store.alias(shaOf(bytesOf('a', 300)), about('long'))
    await placeClip(store, about('gone', 'red', { ttlMs: minute }), bytesOf('b', 300))
    await world.time.pass(2 * minute)
    const { store: again, lost } = await openStore(world)
    expect(lost).toEqual([])
    expect(Object.keys(known(again))).toEqual(['long'])
    expect(await bytesIn(again, 'long')).toEqual(bytesOf('a', 300))
    expect(await contentFiles(world)).toHaveLength(1)
    expect(Object.keys(known((await openStore(world)).store))).toEqual(['long'])
  })

  it('what expired goes when the index has forgotten it, and is not missed later', async () => {
    const world = clipWorld()
    const { store } = await openStore(world)
    await placeClip(store, about('a', 'red', { ttlMs: hour }), bytesOf('a', 300))
    await placeClip(store, about('b'), bytesOf('b', 300))
    await placeClip(store, about('c', 'red', { ttlMs: hour, pinned: true }), bytesOf('c', 300))
    await store.begin(true)
    await world.time.pass(2 * hour)
    world.files.fault = (operation, name) => {
      if (operation === 'append' && name === 'index') raise('EB-DATA-IO', 'planted')
    }
    expect(await codeOf(openStore(world))).toBe('EB-DATA-IO')
    expect(await contentFiles(world)).toHaveLength(3)
    world.files.fault = () => {}
    for (let start = 0; start < 2; start += 1) {
      const { store: again, lost } = await openStore(world)
      expect([Object.keys(known(again)).sort(), lost]).toEqual([['b', 'c'], []])
      expect(await contentFiles(world)).toHaveLength(2)
    }
  })

  it('a clip whose content had to give way for one that was used later gets it back', async () => {
    const world = clipWorld()
    const { store } = await openStore(world)
    await placeClip(store, about('a'), bytesOf('a', 300))
    await placeClip(store, about('b'), bytesOf('b', 300))
    await store.alias(shaOf(bytesOf('a', 300)), about('c'))
    // Room for one of them only: the first one leaves for the second, and that for the third.
    const { store: again } = await openStore(world, { bytes: 400 })
    expect(Object.keys(known(again))).toEqual(['c'])
    expect(await bytesIn(again, 'c')).toEqual(bytesOf('a', 300))
    expect(await contentFiles(world)).toHaveLength(1)
    expect(Object.keys(known((await openStore(world)).store))).toEqual(['c'])
  })

  it('lower limits hold at once, and pins without room are taken away rather than clips', async () => {
    const world = clipWorld()
    const { store } = await openStore(world)
    for (const id of ['a', 'b', 'c'])
      await placeClip(store, about(id, 'red', { pinned: true }), bytesOf(id, 300))
    const { store: again } = await openStore(world, { pinnedBytes: 350 })
    expect(Array.from(again.list(), ({ pinned }) => pinned)).toEqual([true, false, false])
    // The index knows it too.
    expect(Array.from((await openStore(world)).store.list(), ({ pinned }) => pinned)).toEqual([
      true,
      false,
      false,
    ])
    const { store: small } = await openStore(world, { items: 2 })
    expect(Object.keys(known(small))).toEqual(['a', 'c'])
    const { store: tiny } = await openStore(world, { bytes: 299 })
    expect(Object.keys(known(tiny))).toEqual([])
    expect(await contentFiles(world)).toEqual([])
  })

  it('lists that were carried out are known', async () => {
    const world = clipWorld()
    const { store } = await openStore(world)
    await placeClip(store, about('a'), bytesOf('a', 300))
    await placeClip(store, about('b', 'blue'), bytesOf('a', 300))
    await store.applySkill('red', 7, () => true)
    await store.applySkill('blue', 2 ** 53 - 1, () => false)
    const { store: again } = await openStore(world)
    expect([again.skillSeq('red'), again.skillSeq('blue'), again.skillSeq('green')]).toEqual([
      7,
      2 ** 53 - 1,
      0,
    ])
    expect(Object.keys(known(again))).toEqual(['b'])
    expect(await bytesIn(again, 'b')).toEqual(bytesOf('a', 300))
  })

  it('numbers of clips and contents that are gone are not given again', async () => {
    const world = clipWorld()
    const { store } = await openStore(world)
    await placeClip(store, about('a'), bytesOf('a', 300))
    await placeClip(store, about('b'), bytesOf('b', 300))
    const before = store.peek('b')?.content.number ?? 0
    await store.remove('b')
    const { store: again } = await openStore(world)
    await placeClip(again, about('c'), bytesOf('c', 300))
    expect(again.peek('c')?.content.number).toBeGreaterThan(before)
    expect(Object.keys(known((await openStore(world)).store))).toEqual(['a', 'c'])
  })
})
