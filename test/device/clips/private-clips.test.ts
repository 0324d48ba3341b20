/** Private clips: a key of their own, never shared, and nothing left of one that was forgotten. */
import { describe, expect, it } from 'vitest'
import type { SimFiles } from '../../../bootloader-sim/devices/file-store.ts'
import { raise } from '../../../core/errors.ts'
import { cacheKeys, openClipKey } from '../../../device/clips/clip-key.ts'
import type { ClipStore } from '../../../device/clips/clip-store.ts'
import { fileOf } from '../../../device/clips/contents.ts'
import { firstFrameOffset, openFrames } from '../../../device/clips/index-frames.ts'
import {
  about,
  bytesIn,
  bytesOf,
  clipWorld,
  codeOf,
  contentFiles,
  openStore,
  placeClip,
  shaOf,
  wrappingKey,
} from './fixtures.ts'

const sound = bytesOf('what somebody said', 400)
const own = (id: string) => about(id, 'notes', { listed: false })

/** The whole index in clear. */
async function clearIndex(files: SimFiles): Promise<Buffer> {
  const opened = await openClipKey(files, wrappingKey)
  if (!('key' in opened)) throw new Error(opened.lost)
  const reader = await openFrames(files, 'index', cacheKeys(opened.key).index)
  if (reader === null || reader === 'foreign') throw new Error(`${reader}`)
  const parts: Buffer[] = []
  let offset = firstFrameOffset
  for (let number = 0; ; number += 1) {
    const frame = await reader.at(offset, number)
    if (frame === null) return Buffer.concat(parts)
    parts.push(Buffer.from(frame.records))
    offset = frame.endOffset
  }
}

function keyOf(store: ClipStore, id: string): Buffer {
  return Buffer.from(store.peek(id)?.content.ownKey ?? raise('EB-CLIP-MISSING', id), 'latin1')
}

describe('a private clip', () => {
  it('shares its content with no other, whatever its bytes are', async () => {
    const world = clipWorld()
    const { store } = await openStore(world)
    await placeClip(store, own('a'), sound, true)
    await placeClip(store, own('b'), sound, true)
    await placeClip(store, about('c', 'notes'), sound)
    expect(await contentFiles(world)).toHaveLength(3)
    expect(store.figures().now).toMatchObject({ contents: 3, bytesSaved: 0 })
    expect(keyOf(store, 'a')).not.toEqual(keyOf(store, 'b'))
    expect(await store.invalidateContent(Buffer.from(shaOf(sound), 'hex').toString('latin1'))).toBe(1)
    expect(await bytesIn(store, 'a')).toEqual(sound)
    // Nobody who knows the hash gets at it.
    expect(await store.alias(shaOf(sound), about('d', 'notes'))).toBeNull()
    expect(store.has(shaOf(sound))).toBe(false)
    const again = (await openStore(world)).store
    expect(again.peek('a')).toMatchObject({ private: true, pinned: false })
    expect(await bytesIn(again, 'b')).toEqual(sound)
    expect(await again.alias(shaOf(sound), about('d', 'notes'))).toBeNull()
  })

  it('does not open with the key of the cache, and its file shows nothing', async () => {
    const world = clipWorld()
    const { store } = await openStore(world)
    const text = Buffer.from('a secret that is said '.repeat(50))
    await placeClip(store, own('a'), text, true)
    const [file = ''] = await contentFiles(world)
    expect(Buffer.from(world.files.content(file) ?? []).includes('secret')).toBe(false)
    expect((await clearIndex(world.files)).includes(keyOf(store, 'a'))).toBe(true)
    const all = await world.files.list()
    const key = keyOf(store, 'a')
    expect(all.every((it) => !Buffer.from(world.files.content(it) ?? []).includes(key))).toBe(true)
  })

  it('that becomes a shared one, or the other way round, is another content', async () => {
    const world = clipWorld()
    const { store } = await openStore(world)
    await placeClip(store, own('a'), sound)
    expect(await placeClip(store, own('a'), sound, true)).toBe('replaced')
    expect(store.peek('a')?.private).toBe(true)
    expect(await placeClip(store, own('a'), sound)).toBe('replaced')
    expect((await openStore(world)).store.peek('a')?.private).toBe(false)
    expect(await contentFiles(world)).toHaveLength(1)
  })
})

describe('a clip that is forgotten', () => {
  it('leaves neither its file nor its key nor its name, and others stay', async () => {
    const world = clipWorld()
    const { store } = await openStore(world)
    await placeClip(store, own('remembered'), bytesOf('other', 300), true)
    await placeClip(store, own('diary-of-somebody'), sound, true)
    const key = keyOf(store, 'diary-of-somebody')
    const kept = keyOf(store, 'remembered')
    expect(await store.forget('diary-of-somebody')).toBe(true)
    const clear = await clearIndex(world.files)
    expect([clear.includes(key), clear.includes('diary-of-somebody')]).toEqual([false, false])
    expect(clear.includes(kept)).toBe(true)
    expect(await contentFiles(world)).toHaveLength(1)
    expect(await store.forget('diary-of-somebody')).toBe(false)
    expect(await bytesIn((await openStore(world)).store, 'remembered')).toEqual(bytesOf('other', 300))
  })

  it('leaves nothing either when it had been removed or pushed out before', async () => {
    const world = clipWorld()
    const { store } = await openStore(world)
    await placeClip(store, own('a'), sound, true)
    const key = keyOf(store, 'a')
    await store.giveWay(1)
    expect((await clearIndex(world.files)).includes(key)).toBe(true)
    const { store: again } = await openStore(world)
    expect(await again.forget('a')).toBe(false)
    expect((await clearIndex(world.files)).includes(key)).toBe(false)
  })

  it('is gone for good when forgetting it failed at first and is done again', async () => {
    for (const operation of ['write', 'append', 'syncFile', 'rename', 'syncDir', 'remove'] as const) {
      const world = clipWorld()
      const { store } = await openStore(world)
      await placeClip(store, own('a'), sound, true)
      const key = keyOf(store, 'a')
      world.files.fault = (now) => {
        if (now === operation) raise('EB-DATA-IO', 'planted')
      }
      expect(await codeOf(store.forget('a')), operation).toBe('EB-DATA-IO')
      world.files.fault = () => {}
      expect(store.peek('a')).toBeNull()
      await store.forget('a')
      expect((await clearIndex(world.files)).includes(key), operation).toBe(false)
      expect(await contentFiles(world), operation).toEqual([])
    }
  })

  it('stays readable to who reads it now, and goes then', async () => {
    const world = clipWorld()
    const { store } = await openStore(world)
    await placeClip(store, own('a'), sound, true)
    const reading = store.open('a')
    await store.forget('a')
    expect(await reading?.whole()).toEqual(sound)
    expect(await contentFiles(world)).toEqual([fileOf(reading?.content ?? raise('EB-CLIP-MISSING', 'a'))])
    reading?.done()
    await store.settle()
    expect(await contentFiles(world)).toEqual([])
  })

  it('does not come back by a loss of power, whatever is left of what was not synced', async () => {
    const world = clipWorld()
    const { store } = await openStore(world)
    await placeClip(store, own('a'), sound, true)
    await store.forget('a')
    for (const fate of ['lost', 'kept'] as const) {
      const { files } = clipWorld()
      files.restore(world.files.image())
      files.crash(files.pending().map(() => fate))
      const { store: again } = await openStore({ ...world, files })
      expect(again.peek('a')).toBeNull()
      expect(await contentFiles({ files })).toEqual([])
    }
  })
})
