/** One content on its way: heard while it comes, piece by piece checked, kept or not. */
import { describe, expect, it } from 'vitest'
import { listEntry } from '../../../audio/list-entry.ts'
import type { ClipFiles } from '../../../core/ports.ts'
import { begun, downloadScene, heardOf, nothingLeft, piece, sound } from './download-scene.ts'
import {
  about,
  atHub,
  bytesIn,
  bytesOf,
  contentFiles,
  openStore,
  placeClip,
  settled,
  shaOf,
  someAudio,
} from './fixtures.ts'

describe('a download', () => {
  it('is kept, and heard by several while it comes, from any place', async () => {
    const it = await downloadScene()
    const { world, store, clip } = it
    const download = begun(it, clip)
    const parts = [
      [0, clip.bytes],
      [0, clip.bytes],
      [piece - 1, piece + 1],
      [clip.bytes - 1, clip.bytes],
      [5, 5],
    ] as const
    const all = await settled(world, Promise.all(parts.map(([start, end]) => heardOf(download, start, end))))
    for (const [at, [start, end]] of parts.entries())
      expect(all[at]?.equals(sound.subarray(start, end))).toBe(true)
    expect(await download.ended).toEqual({ ok: true, value: 'kept' })
    expect(await bytesIn(store, 'a')).toEqual(sound)
    expect(world.server.requests).toHaveLength(1)
    expect(store.figures().life.fetchedBytes).toBe(clip.bytes)
    await nothingLeft(it, 1)
    // Also when it is over.
    expect((await heardOf(download, 10, 200_000)).equals(sound.subarray(10, 200_000))).toBe(true)
  })

  it('hands out the first piece before the third was sent', async () => {
    const it = await downloadScene()
    const { world, clip } = it
    world.server.bend = (_, answer) => {
      answer.partMs = 1_000
    }
    const download = begun(it, clip)
    const reader = download.read(0, clip.bytes)
    const first = await settled(world, reader.next())
    expect(first.value).toEqual(sound.subarray(0, piece))
    expect(world.server.sent).toBeLessThan(2 * piece)
    const second = await settled(world, reader.next())
    expect(second.value).toEqual(sound.subarray(piece, 2 * piece))
    expect(world.server.sent).toBeLessThan(3 * piece)
    await reader.return(undefined)
    expect(await settled(world, download.ended)).toEqual({ ok: true, value: 'kept' })
  })

  it('goes on at the piece where the connection broke', async () => {
    const it = await downloadScene()
    const { world, clip } = it
    world.server.bend = ({ range }, answer) => {
      if (range?.start === 0) answer.breakAfter = piece + 20_000
    }
    const download = begun(it, clip)
    const bytes = await settled(world, heardOf(download))
    expect(bytes.equals(sound)).toBe(true)
    expect(world.server.requests.map(({ range }) => range)).toMatchObject([
      { start: 0 },
      { start: piece, ifRange: `"sha256-${clip.sha256}"` },
    ])
    expect(world.server.sent).toBe(clip.bytes + 20_000)
    await nothingLeft(it, 1)
  })

  it('goes on for as long as it gains a piece each time', async () => {
    const long = bytesOf('long', 12 * piece)
    const it = await downloadScene({ bytes: 2_000_000 })
    const { world } = it
    const clip = atHub(world, 'long', long)
    world.server.bend = (_, answer) => {
      answer.breakAfter = piece + 1
    }
    expect((await settled(world, heardOf(begun(it, clip)))).equals(long)).toBe(true)
    expect(world.server.requests).toHaveLength(12)
  })

  it('fetches a wrong piece again, and nobody ever hears it', async () => {
    const it = await downloadScene()
    const { world, clip } = it
    let wrong = 2
    world.server.bend = ({ range }, answer) => {
      const at = piece + 500 - (range?.start ?? 0)
      if (wrong === 0 || at < 0) return
      wrong -= 1
      answer.body = Buffer.from(answer.body)
      answer.body[at] = (answer.body[at] ?? 0) ^ 1
    }
    const download = begun(it, clip)
    const reader = download.read(0, clip.bytes)
    const heard: Uint8Array[] = []
    for (;;) {
      const next = await settled(world, reader.next())
      if (next.done === true) break
      heard.push(next.value)
      expect(Buffer.concat(heard).equals(sound.subarray(0, Buffer.concat(heard).length))).toBe(true)
    }
    expect(Buffer.concat(heard).equals(sound)).toBe(true)
    expect(world.server.requests.map(({ range }) => range?.start)).toEqual([0, piece, piece])
    await nothingLeft(it, 1)
  })

  it('of what the cache has no room for is heard to its end, and not kept', async () => {
    for (const limits of [{ bytes: 100_000 }, { quotaDefault: 100_000 }]) {
      const it = await downloadScene(limits)
      const { world, clip } = it
      const download = begun(it, clip)
      // Two players, one of which begins when all has come.
      const done = download.hold()
      expect((await settled(world, heardOf(download))).equals(sound)).toBe(true)
      expect(await settled(world, download.ended)).toEqual({ ok: true, value: 'not kept' })
      expect((await settled(world, heardOf(download))).equals(sound)).toBe(true)
      expect(await contentFiles(world)).toHaveLength(1)
      done()
      done()
      await nothingLeft(it, 0)
    }
  })

  it('that is not wanted any more when it has come is heard and not kept', async () => {
    const it = await downloadScene()
    const download = begun(it, it.clip, () => false)
    expect((await settled(it.world, heardOf(download))).equals(sound)).toBe(true)
    expect(await download.ended).toEqual({ ok: true, value: 'not kept' })
    await nothingLeft(it, 0)
  })

  it('whose content comes by another way meanwhile goes on to be heard', async () => {
    const it = await downloadScene()
    const { world, store, clip } = it
    world.server.bend = (_, answer) => {
      answer.partMs = 1_000
    }
    const download = begun(it, clip)
    const slow = download.read(0, clip.bytes)
    const heard = [(await settled(world, slow.next())).value]
    await placeClip(store, about('b'), sound)
    await settled(world, download.ended)
    for (;;) {
      const next = await settled(world, slow.next())
      if (next.done === true) break
      heard.push(next.value)
    }
    expect(Buffer.concat(heard.map((one) => one ?? Buffer.alloc(0))).equals(sound)).toBe(true)
    await nothingLeft(it, 1)
  })

  it('goes on to be heard also when its draft goes while a piece of it is read', async () => {
    const it = await downloadScene()
    const { world, clip } = it
    let letGo = (): void => {}
    let held = false
    const files: ClipFiles = {
      ...world.files,
      async readAt(name, offset, into) {
        if (!held && name.startsWith('c')) {
          held = true
          await new Promise<void>((resolve) => (letGo = resolve))
        }
        return world.files.readAt(name, offset, into)
      },
    }
    const { store } = await openStore({ ...world, files: { ...world.files, ...files } })
    world.server.bend = (_, answer) => {
      answer.partMs = 1_000
    }
    const download = begun({ world, store }, clip)
    await world.time.pass(10_000)
    const reading = heardOf(download, 10, 1_000)
    await world.time.pass(1)
    expect(held).toBe(true)
    await placeClip(store, about('b'), sound)
    await settled(world, download.ended)
    letGo()
    expect((await settled(world, reading)).equals(sound.subarray(10, 1_000))).toBe(true)
  })

  it('of one byte, of a piece, and of a piece and a byte comes whole', async () => {
    for (const length of [1, piece - 1, piece, piece + 1, 2 * piece]) {
      const { world, store } = await downloadScene()
      const bytes = bytesOf('any', length)
      world.server.files.set(`/clips/${shaOf(bytes)}`, bytes)
      const download = begun({ world, store }, listEntry('any', bytes, someAudio, { language: null }))
      expect((await settled(world, heardOf(download))).equals(bytes)).toBe(true)
      expect(await bytesIn(store, 'any')).toEqual(bytes)
    }
  })
})
