/** Opening a cache whose index or files were damaged: what cannot be trusted is forgotten and told of, the rest is there. */
import { describe, expect, it } from 'vitest'
import type { ClipStore } from '../../../device/clips/clip-store.ts'
import { firstFrameOffset } from '../../../device/clips/index-frames.ts'
import { nextIndexFile } from '../../../device/clips/index-log.ts'
import {
  about,
  bytesIn,
  bytesOf,
  type ClipWorld,
  clipWorld,
  contentFiles,
  openStore,
  placeClip,
} from './fixtures.ts'

const idsOf = (store: ClipStore): readonly string[] => Array.from(store.list(), ({ id }) => id).sort()

/** Five clips, each a change behind the snapshot; then one is removed; and where each frame begins. */
async function filled() {
  const world = clipWorld()
  const { store } = await openStore(world)
  for (const id of ['a', 'b', 'c', 'd', 'e']) await placeClip(store, about(id), bytesOf(id, 300))
  await store.applySkill('blue', 4, () => false)
  await store.remove('b')
  const bytes = Buffer.from(world.files.content('index') ?? [])
  const offsets: number[] = []
  for (let at = firstFrameOffset; at < bytes.length; at += 12 + bytes.readUInt32LE(at + 8)) offsets.push(at)
  return { world, bytes, offsets }
}

async function reopened(world: ClipWorld, index: Uint8Array) {
  world.files.put('index', index)
  const { store, lost } = await openStore(world)
  const agreed = await contentFiles(world)
  expect(agreed).toHaveLength(idsOf(store).length)
  for (const id of idsOf(store)) expect(await bytesIn(store, id)).toEqual(bytesOf(id, 300))
  // It is whole again: nothing is lost the next time, and it takes changes.
  await placeClip(store, about('new'), bytesOf('new', 300))
  const again = await openStore(world)
  expect(again.lost).toEqual([])
  expect(idsOf(again.store)).toEqual([...idsOf(store)].sort())
  await again.store.remove('new')
  return { ids: idsOf(again.store), seq: store.skillSeq('blue'), lost: lost.map(({ code }) => code) }
}

const flipped = (bytes: Buffer, at: number): Buffer => {
  const changed = Buffer.from(bytes)
  changed[at] = (changed[at] ?? 0) ^ 4
  return changed
}

describe('an index', () => {
  it('that is whole loses nothing', async () => {
    const { world, bytes } = await filled()
    expect(await reopened(world, bytes)).toEqual({ ids: ['a', 'c', 'd', 'e'], seq: 4, lost: [] })
  })

  it('that is gone, or has lost its head, loses everything and says so when there was something', async () => {
    for (const head of [0, 2, 4, 12, 19]) {
      const { world, bytes } = await filled()
      expect(await reopened(world, flipped(bytes, head))).toEqual({
        ids: [],
        seq: 0,
        lost: ['EB-CLIP-INDEX'],
      })
    }
    const { world } = await filled()
    await world.files.remove('index')
    expect((await openStore(world)).lost.map(({ code }) => code)).toEqual(['EB-CLIP-INDEX'])
    expect(await contentFiles(world)).toEqual([])
  })

  it('that has lost a change trusts nothing before it, and all behind it', async () => {
    // The snapshot is frame 0; clips a to e are 1 to 5, the list of blue is 6, the removal of b is 7.
    const expected: readonly (readonly [frame: number, ids: readonly string[], seq: number])[] = [
      [1, ['c', 'd', 'e'], 4],
      [3, ['d', 'e'], 4],
      [5, [], 4],
      [6, [], 0],
    ]
    for (const [frame, ids, seq] of expected) {
      const { world, bytes, offsets } = await filled()
      const damaged = flipped(bytes, (offsets[frame] ?? 0) + 30)
      expect(await reopened(world, damaged), `frame ${frame}`).toEqual({ ids, seq, lost: ['EB-CLIP-INDEX'] })
    }
  })

  it('whose last change was not whole is as before it, but a clip whose file went does not come back', async () => {
    const { world, bytes, offsets } = await filled()
    const last = offsets[7] ?? 0
    for (const damaged of [
      flipped(bytes, last + 20),
      bytes.subarray(0, last + 5),
      Buffer.from(bytes).fill(0, last),
    ]) {
      const { ids, seq, lost } = await reopened(world, damaged)
      // The removal of b was told, and is lost with the end of the file: only its file shows it.
      expect([ids, seq, lost]).toEqual([['a', 'c', 'd', 'e'], 4, ['EB-CLIP-INDEX']])
    }
  })

  it('that is not the cache’s own, or empty, is as one that is lost', async () => {
    for (const junk of [
      Buffer.alloc(0),
      Buffer.alloc(5_000),
      Buffer.from('{"clips":[]}'),
      bytesOf('junk', 70_000),
    ]) {
      const { world } = await filled()
      expect(await reopened(world, junk)).toEqual({ ids: [], seq: 0, lost: ['EB-CLIP-INDEX'] })
    }
    const { world } = await filled()
    const other = clipWorld(2)
    await openStore(other)
    expect((await reopened(world, other.files.content('index') ?? new Uint8Array())).lost).toEqual([
      'EB-CLIP-INDEX',
    ])
  })
})

describe('files of contents', () => {
  it('that are gone cost their clips, and it is told of', async () => {
    const { world } = await filled()
    const [file = ''] = await contentFiles(world)
    await world.files.remove(file)
    const { store, lost } = await openStore(world)
    expect(lost.map(({ code, what }) => [code, what])).toEqual([
      ['EB-CLIP-INDEX', '1 clips of the cache have lost their files'],
    ])
    expect(idsOf(store)).toHaveLength(3)
    expect((await openStore(world)).lost).toEqual([])
  })

  it('that nothing refers to go, and what else lies there stays', async () => {
    const { world } = await filled()
    const { files } = world
    files.put(`c${'0'.repeat(32)}`, Buffer.from('a draft'))
    files.put(nextIndexFile, Buffer.from('half of an index'))
    files.put('key.new', Buffer.from('half of a key'))
    files.put('cover.jpg', Buffer.from('of somebody else'))
    files.put('c-notes', Buffer.from('of somebody else'))
    await openStore(world)
    const names = (await files.list()).filter((it) => !/^c[0-9a-f]{32}$/.test(it))
    expect(names.sort()).toEqual(['c-notes', 'cover.jpg', 'index', 'key'])
    expect(await contentFiles(world)).toHaveLength(4)
  })

  it('that are damaged inside are found when they are read, and not before', async () => {
    const { world } = await filled()
    const { store } = await openStore(world)
    for (const name of await contentFiles(world)) {
      world.files.put(name, flipped(Buffer.from(world.files.content(name) ?? []), 100))
    }
    expect(idsOf(store)).toEqual(['a', 'c', 'd', 'e'])
    for (const id of idsOf(store)) expect(await bytesIn(store, id)).toBeNull()
  })
})
