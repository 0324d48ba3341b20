/** The key of the cache: kept under the device's own, and what becomes of a cache whose key is not there any more. */
import { describe, expect, it } from 'vitest'
import { simFiles } from '../../../bootloader-sim/devices/file-store.ts'
import { createPower } from '../../../bootloader-sim/devices/power.ts'
import { raise } from '../../../core/errors.ts'
import { cacheKeys, keyFile, makeClipKey, nextKeyFile, openClipKey } from '../../../device/clips/clip-key.ts'
import { openClipStore } from '../../../device/clips/recovery.ts'
import {
  about,
  announce,
  atHub,
  bytesIn,
  bytesOf,
  type ClipWorld,
  clipWorld,
  codeOf,
  earliestWallMs,
  limitsOf,
  openService,
  openStore,
  placeClip,
  seededEntropy,
  settled,
  wrappingKey,
} from './fixtures.ts'

const otherDevice = new Uint8Array(32).fill(8)

/** A cache with a clip, a private clip and a list of a skill, and something of somebody else beside it. */
async function filled(): Promise<ClipWorld> {
  const world = clipWorld()
  const service = await openService(world)
  await settled(
    world,
    service.announced('red', announce(world, 'red', 1, [atHub(world, 'a', bytesOf('a', 500))])),
  )
  await settled(world, service.close())
  const { store } = await openStore(world)
  await placeClip(store, about('b'), bytesOf('b', 500))
  await placeClip(store, about('c', 'own', { listed: false }), bytesOf('c', 500), true)
  await store.tidy()
  world.files.put('clips.lock', Buffer.from('42'))
  world.files.put('some-notes', Buffer.from('of somebody'))
  return world
}

describe('the key of the cache', () => {
  it('is the same at each start, and says nothing without the key of the device', async () => {
    const files = simFiles()
    expect(await openClipKey(files, wrappingKey)).toEqual({ lost: 'missing' })
    const key = await makeClipKey(files, wrappingKey, seededEntropy(1))
    expect(await openClipKey(files, wrappingKey)).toEqual({ key: Buffer.from(key) })
    expect(await openClipKey(files, otherDevice)).toEqual({ lost: 'unreadable' })
    expect(Buffer.from(files.content(keyFile) ?? []).includes(Buffer.from(key))).toBe(false)
    expect(files.pending()).toEqual([])
  })

  it('does not open with any bit of its file changed, or a byte less or more', async () => {
    const files = simFiles()
    await makeClipKey(files, wrappingKey, seededEntropy(1))
    const whole = Buffer.from(files.content(keyFile) ?? [])
    const wrong = [
      ...Array.from({ length: whole.length * 8 }, (_, bit) => {
        const changed = Buffer.from(whole)
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        return changed
      }),
      ...Array.from({ length: whole.length }, (_, length) => whole.subarray(0, length)),
      Buffer.concat([whole, Buffer.of(0)]),
    ]
    for (const bytes of wrong) {
      files.put(keyFile, bytes)
      expect(await openClipKey(files, wrappingKey)).toEqual({ lost: 'unreadable' })
    }
  })

  it('gives each use a key of its own, and names that say nothing', () => {
    const one = cacheKeys(new Uint8Array(32).fill(1))
    const two = cacheKeys(new Uint8Array(32).fill(2))
    const all = [one, two].flatMap((it) =>
      [it.contents, it.index, it.lists].map((key) => Buffer.from(key).toString('hex')),
    )
    expect(new Set(all).size).toBe(6)
    const red = Buffer.from('red')
    expect(one.nameOf('s', red)).toMatch(/^s[0-9a-f]{32}$/)
    expect(one.nameOf('s', red)).toBe(one.nameOf('s', red))
    expect(one.nameOf('s', red)).not.toBe(two.nameOf('s', red))
    expect(one.nameOf('s', red).slice(1)).not.toBe(one.nameOf('c', red).slice(1))
  })
})

describe('a cache', () => {
  const broken: readonly (readonly [string, (world: ClipWorld) => Promise<void>, Uint8Array])[] = [
    ['whose key is missing', (world) => world.files.remove(keyFile), wrappingKey],
    ['of another device', async () => {}, otherDevice],
    [
      'whose key is cut off',
      async ({ files }) => files.put(keyFile, (files.content(keyFile) ?? new Uint8Array()).slice(0, 20)),
      wrappingKey,
    ],
    ['whose key is empty', async ({ files }) => files.put(keyFile, new Uint8Array()), wrappingKey],
  ]

  it.each(broken)('%s starts empty, says so, and leaves no old file', async (_, breakIt, device) => {
    const world = await filled()
    const old = new Set(await world.files.list())
    await breakIt(world)
    const { files, entropy, time } = world
    const parts = { files, entropy, clock: time.clock, wrappingKey: device, earliestWallMs }
    const { store, lost } = await openClipStore(parts, limitsOf())
    expect(lost.map(({ code }) => code)).toEqual(['EB-CLIP-KEY'])
    expect([...store.list()]).toEqual([])
    expect((await files.list()).filter((it) => old.has(it)).sort()).toEqual([
      'clips.lock',
      'index',
      'key',
      'some-notes',
    ])
    // It is a cache like any other from then on.
    await placeClip(store, about('d'), bytesOf('d', 400))
    const again = await openClipStore(parts, limitsOf())
    expect(again.lost).toEqual([])
    expect(await bytesIn(again.store, 'd')).toEqual(bytesOf('d', 400))
  })

  it('that is new does not say that it lost anything', async () => {
    const world = clipWorld()
    expect((await openStore(world)).lost).toEqual([])
    const half = clipWorld()
    half.files.put(nextKeyFile, new Uint8Array(10))
    expect((await openStore(half)).lost).toEqual([])
    expect([...(await half.files.list())].sort()).toEqual(['index', 'key'])
  })

  it('whose key is lost says so also when only contents and lists are left of it', async () => {
    for (const left of [/^c/, /^s[0-9a-f]/]) {
      const world = await filled()
      for (const name of await world.files.list()) if (!left.test(name)) await world.files.remove(name)
      const { lost } = await openStore(world)
      expect(lost.map(({ code }) => code)).toEqual(['EB-CLIP-KEY'])
    }
  })

  it('keeps everything when its key cannot be read just now', async () => {
    const world = await filled()
    const before = [...(await world.files.list())].sort()
    world.files.fault = (operation, name) => {
      if (operation === 'read' && name === keyFile) raise('EB-DATA-IO', 'planted')
    }
    expect(await codeOf(openStore(world))).toBe('EB-DATA-IO')
    world.files.fault = () => {}
    expect([...(await world.files.list())].sort()).toEqual(before)
    expect(await bytesIn((await openStore(world)).store, 'b')).toEqual(bytesOf('b', 500))
  })

  it('whose power goes at any operation of its first start, or of losing its key, starts afterwards', async () => {
    for (const lose of [false, true]) {
      for (let cut = 0, more = true; more; cut += 1) {
        for (const time of ['before', 'after'] as const) {
          const source = lose ? await filled() : clipWorld()
          if (lose) await source.files.remove(keyFile)
          await source.files.syncDir()
          const power = createPower()
          const files = simFiles(power)
          files.restore(source.files.image())
          power.cutWhen((_, n) => n === cut, time)
          let isCut = false
          power.onCut = () => {
            isCut = true
          }
          const world = { ...source, files }
          void openStore(world)
          await new Promise(setImmediate)
          more = isCut
          for (const fate of ['lost', 'kept'] as const) {
            const left = simFiles()
            left.restore(files.image())
            left.crash(left.pending().map(() => fate))
            const { store } = await openStore({ ...source, files: left })
            expect([...store.list()]).toEqual([])
            await placeClip(store, about('d'), bytesOf('d', 400))
            const last = await openStore({ ...source, files: left })
            expect(last.lost).toEqual([])
            expect(await bytesIn(last.store, 'd')).toEqual(bytesOf('d', 400))
            const names = (await left.list()).filter((it) => !it.startsWith('c') && !it.startsWith('some'))
            expect(names.sort()).toEqual(['index', 'key'])
          }
        }
      }
    }
  })
})
