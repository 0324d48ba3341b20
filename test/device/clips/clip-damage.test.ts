/** Damage of what is stored: it is fetched again, and not one wrong byte of it is played. */
import { describe, expect, it } from 'vitest'
import { raise } from '../../../core/errors.ts'
import type { ClipService, Playable } from '../../../device/clips/clip-service.ts'
import {
  announce,
  atHub,
  bytesOf,
  type ClipWorld,
  clipWorld,
  codeOf,
  contentFiles,
  heard,
  minute,
  openService,
  played,
  settled,
  wavOf,
} from './fixtures.ts'

const chunk = 65_536
const sizes = [1, 5_000, chunk, chunk + 1, 200_000]

/** A clip of a list that is stored; none of it in memory. */
async function scene(bytes: Buffer, memoryBytes = 4_000_000) {
  const world = clipWorld()
  const service = await openService(world, { memoryBytes })
  await settled(world, service.announced('red', announce(world, 'red', 1, [atHub(world, 'a', bytes)])))
  await world.time.pass(minute)
  const [file = ''] = await contentFiles(world)
  return { world, service, file }
}

function flip({ files }: ClipWorld, file: string, at: number): void {
  const bytes = Buffer.from(files.content(file) ?? [])
  bytes[at] = (bytes[at] ?? 0) ^ 1
  files.put(file, bytes)
}

/** Plays from the start, whatever comes; fails as soon as a byte is wrong. */
async function careful(world: ClipWorld, playable: Playable, bytes: Buffer): Promise<Buffer> {
  let at = 0
  const all = async (): Promise<void> => {
    for await (const part of playable.read(0, bytes.length)) {
      expect(Buffer.from(part).equals(bytes.subarray(at, at + part.length)), `wrong bytes at ${at}`).toBe(
        true,
      )
      at += part.length
    }
  }
  await settled(
    world,
    all().finally(() => playable.done()),
  )
  return bytes.subarray(0, at)
}

describe.each([4_000_000, 0])('a stored clip (memory tier of %i bytes)', (memoryBytes) => {
  it.each(sizes)(
    'of %i bytes that is damaged in any chunk is fetched again and played right',
    async (size) => {
      const bytes = bytesOf('sound', size)
      const sealed = 20 + size + 16 * Math.ceil(size / chunk)
      const places = [
        20,
        sealed - 1,
        ...Array.from({ length: Math.ceil(size / chunk) }, (_, at) => 20 + at * (chunk + 16) + 15),
      ]
      for (const place of places.filter((it) => it < sealed)) {
        const { world, service, file } = await scene(bytes, memoryBytes)
        flip(world, file, place)
        const asked = world.server.requests.length
        const playable = await settled(world, service.get('a'))
        expect((await careful(world, playable, bytes)).length, `byte ${place}`).toBe(size)
        expect(world.server.requests.length - asked).toBe(1)
        await world.time.pass(minute)
        expect(service.stats()).toMatchObject({ damaged: 1, items: 1, hits: 1, misses: 0 })
        const [now = ''] = await contentFiles(world)
        expect(now).not.toBe(file)
        expect(await contentFiles(world)).toHaveLength(1)
        expect(await played(world, service, 'a')).toEqual(bytes)
        expect(world.server.requests.length - asked).toBe(1)
      }
    },
  )

  it('whose file is gone, cut off or that of another is fetched again', async () => {
    const bytes = bytesOf('sound', 100_000)
    const changes: readonly ((world: ClipWorld, file: string) => unknown)[] = [
      ({ files }, file) => files.remove(file),
      ({ files }, file) => files.put(file, (files.content(file) ?? new Uint8Array()).slice(0, 70_000)),
      ({ files }, file) => files.put(file, new Uint8Array()),
      ({ files }, file) => files.put(file, Buffer.from(files.content(file) ?? []).fill(0, 60_000)),
    ]
    for (const change of changes) {
      const { world, service, file } = await scene(bytes, memoryBytes)
      await change(world, file)
      expect(await played(world, service, 'a')).toEqual(bytes)
      expect(service.stats().damaged).toBe(1)
    }
  })

  it('that several play at once when it turns out damaged is fetched once, and all of them hear it right', async () => {
    const bytes = bytesOf('sound', 200_000)
    const { world, service, file } = await scene(bytes, memoryBytes)
    flip(world, file, 150_000)
    const asked = world.server.requests.length
    const all = Array.from({ length: 6 }, async () => {
      const playable = await service.get('a')
      const parts: Uint8Array[] = []
      for await (const part of playable.read(0, bytes.length)) parts.push(new Uint8Array(part))
      playable.done()
      return Buffer.concat(parts)
    })
    for (const one of await settled(world, Promise.all(all))) expect(one.equals(bytes)).toBe(true)
    expect(world.server.requests.length - asked).toBe(1)
    expect(service.stats().damaged).toBe(1)
    await world.time.pass(minute)
    expect(await contentFiles(world)).toHaveLength(1)
  })

  it('that the medium cannot read is fetched again, too', async () => {
    const bytes = bytesOf('sound', 200_000)
    const { world, service, file } = await scene(bytes, memoryBytes)
    world.files.fault = (operation, name) => {
      if (operation === 'read' && name === file) raise('EB-DATA-IO', 'planted')
    }
    expect(await played(world, service, 'a')).toEqual(bytes)
    expect(await played(world, service, 'a')).toEqual(bytes)
    expect(service.stats().damaged).toBe(1)
  })

  it('that is damaged while the hub is away is not played, but is again when the hub is back', async () => {
    const bytes = bytesOf('sound', 200_000)
    const { world, service, file } = await scene(bytes, memoryBytes)
    flip(world, file, 80_000)
    world.server.up = false
    const hear = async (): Promise<Buffer> => careful(world, await settled(world, service.get('a')), bytes)
    expect(await codeOf(hear())).toBe('EB-HUB-UNREACHABLE')
    world.server.up = true
    service.linkUp()
    expect((await hear()).length).toBe(bytes.length)
  })
})

describe('a clip that only this device has', () => {
  const own = { id: 'mine', skill: 'notes', language: null, pinned: false, ttlMs: 0, claims: {} } as const
  const sounds = [wavOf('mine', 3_000), wavOf('mine', 300_000)]

  it.each([false, true])(
    'is never played wrong, and says so when it is damaged (private: %s)',
    async (isPrivate) => {
      for (const bytes of sounds) {
        const world = clipWorld()
        const service = await openService(world)
        await service.put({ ...own, private: isPrivate }, bytes)
        const [file = ''] = await contentFiles(world)
        flip(world, file, bytes.length - 20)
        const hear = async (): Promise<Buffer> => careful(world, await service.get('mine'), bytes)
        expect(await codeOf(hear())).toBe('EB-CLIP-DAMAGED')
        expect(await codeOf(service.get('mine'))).toBe('EB-CLIP-MISSING')
        expect(await contentFiles(world)).toEqual([])
        expect(world.server.requests).toEqual([])
      }
    },
  )

  it('is kept when the medium cannot read it just now', async () => {
    for (const bytes of sounds) {
      const world = clipWorld()
      const service: ClipService = await openService(world)
      await service.put({ ...own, private: false }, bytes)
      world.files.fault = (operation) => {
        if (operation === 'read') raise('EB-DATA-IO', 'planted')
      }
      const hear = async (): Promise<Buffer> => heard(world, await service.get('mine'))
      expect(await codeOf(hear())).toBe('EB-DATA-IO')
      world.files.fault = () => {}
      expect(await hear()).toEqual(bytes)
    }
  })
})
