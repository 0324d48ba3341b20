/** The clip cache as its users see it: a clip by its id, from wherever it is; what is refused; what the figures say. */
import { describe, expect, it } from 'vitest'
import type { AudioClaims } from '../../../audio/claims.ts'
import { clipLimits } from '../../../core/clip-limits.ts'
import { decodeTelemetry } from '../../../core/wire/skills.ts'
import type { ClipService, NewClip } from '../../../device/clips/clip-service.ts'
import { riff, waveFormat } from '../../audio/samples.ts'
import {
  announce,
  atHub,
  bytesOf,
  clipWorld,
  codeOf,
  contentFiles,
  heard,
  hour,
  minute,
  openService,
  played,
  settled,
  shaOf,
  wavOf,
} from './fixtures.ts'

const own = (id: string, change: Partial<NewClip> = {}): NewClip => ({
  ...{ id, skill: 'notes', language: null, private: false, pinned: false, ttlMs: 0, claims: {} },
  ...change,
})

const tone = wavOf('tone', 4_000)

async function scene(change: Parameters<typeof openService>[1] = {}) {
  const world = clipWorld()
  const service = await openService(world, change)
  const follow = async (skill: string, seq: number, clips: Parameters<typeof announce>[3], to = service) => {
    await settled(world, to.announced(skill, announce(world, skill, seq, clips)))
    await world.time.pass(minute)
  }
  return { world, service, follow }
}

describe('a clip', () => {
  it('comes from the disk at first, then from memory, and from the network when it is nowhere here', async () => {
    const { world, service, follow } = await scene()
    const bytes = bytesOf('a', 5_000)
    await follow('red', 1, [atHub(world, 'a', bytes)])
    const first = await service.get('a')
    expect(first).toMatchObject({
      id: 'a',
      skill: 'red',
      bytes: 5_000,
      tag: shaOf(bytes),
      from: 'disk',
      audio: { format: 'wav' },
    })
    expect(await heard(world, first)).toEqual(bytes)
    const second = await service.get('a')
    expect(second.from).toBe('memory')
    expect(await heard(world, second)).toEqual(bytes)
    await service.clear()
    const third = await settled(world, service.get('a'))
    expect(third.from).toBe('network')
    expect(await heard(world, third)).toEqual(bytes)
    expect(service.stats()).toMatchObject({ memoryHits: 1, hits: 2, misses: 1 })
  })

  it('is handed out in any part, from memory, disk and network', async () => {
    const { world, service, follow } = await scene()
    const bytes = bytesOf('a', 90_000)
    await follow('red', 1, [atHub(world, 'a', bytes), atHub(world, 'big', bytesOf('big', 180_000))])
    for (const [id, clear] of [
      ['a', bytes],
      ['a', bytes],
      ['big', bytesOf('big', 180_000)],
    ] as const) {
      for (const [start, end] of [
        [0, 1],
        [65_535, 65_537],
        [clear.length - 1, clear.length],
        [10, 10],
        [100, 80_000],
      ] as const) {
        const parts: Uint8Array[] = []
        const playable = await service.get(id)
        for await (const part of playable.read(start, end)) parts.push(new Uint8Array(part))
        playable.done()
        expect(Buffer.concat(parts).equals(clear.subarray(start, end)), `${id} ${start}-${end}`).toBe(true)
      }
    }
  })

  it('of the same content as another is not fetched again, and that is counted', async () => {
    const { world, service, follow } = await scene()
    const bytes = bytesOf('same', 5_000)
    await follow('red', 1, [atHub(world, 'a', bytes)])
    const asked = world.server.requests.length
    await follow('blue', 1, [atHub(world, 'b', bytes), atHub(world, 'c', bytes)])
    expect(world.server.requests.length - asked).toBe(1)
    await service.remove('c')
    expect(await played(world, service, 'c')).toEqual(bytes)
    expect(world.server.requests.length - asked).toBe(1)
    expect(service.stats()).toMatchObject({
      items: 3,
      contents: 1,
      sizeBytes: 5_000,
      dedupRatio: 3,
      bytesSaved: 10_000,
      fetchSaved: 15_000,
    })
    expect(await contentFiles(world)).toHaveLength(1)
  })

  it('that nobody knows is missing, and one without a name is refused', async () => {
    const { world, service } = await scene()
    expect(await codeOf(service.get('nothing'))).toBe('EB-CLIP-MISSING')
    for (const name of ['a/b', '../key', '..', '', 'a b', 'x'.repeat(65), 'ü', 'a\0', 'a\n', '/etc/passwd']) {
      expect(await codeOf(service.get(name)), name).toBe('EB-CLIP-NAME')
      expect(await codeOf(service.put(own(name), tone)), name).toBe('EB-CLIP-NAME')
      expect(await codeOf(service.put(own('a', { skill: name }), tone)), name).toBe('EB-CLIP-NAME')
    }
    expect(world.server.requests).toEqual([])
    expect(await contentFiles(world)).toEqual([])
  })
})

describe('what is stored', () => {
  it('is what its bytes say, whatever the caller claims', async () => {
    const { service } = await scene()
    const { placed, clip } = await service.put(
      own('a', { language: 'en-GB', ttlMs: hour, pinned: true }),
      tone,
    )
    expect(placed).toBe('added')
    expect(clip).toMatchObject({ id: 'a', language: 'en-GB', pinned: true, expiresInMs: hour, listed: false })
    expect(clip.content.audio).toMatchObject({ format: 'wav', sampleRate: 8_000, channels: 1 })
    const right: AudioClaims = {
      format: 'wav',
      sampleRate: 8_000,
      durationMs: clip.content.audio.durationMs + 50,
    }
    expect(await codeOf(service.put(own('b', { claims: right }), tone))).toMatchObject({ placed: 'alias' })
    const lies: readonly AudioClaims[] = [
      { format: 'mp3' },
      { sampleRate: 48_000 },
      { durationMs: 60_000 },
      { channels: 2 },
      { bitRate: 1 },
      { compressionLevel: 5 },
    ]
    for (const claims of lies)
      expect(await codeOf(service.put(own('c', { claims }), tone))).toBe('EB-AUDIO-CLAIM')
    expect(service.peek('c')).toBeNull()
  })

  it.each<readonly [string, string, Uint8Array]>([
    ['an empty file', 'EB-CLIP-SIZE', Buffer.alloc(0)],
    ['no sound', 'EB-AUDIO', Buffer.from('not a sound at all')],
    ['a sound that was cut off', 'EB-AUDIO', tone.subarray(0, 1_000)],
    [
      'a sound of an unknown sample rate',
      'EB-AUDIO',
      riff([
        ['fmt ', waveFormat({ sampleRate: 11_025 })],
        ['data', Buffer.alloc(4_000)],
      ]),
    ],
    [
      'a sound that lasts no time',
      'EB-AUDIO',
      riff([
        ['fmt ', waveFormat()],
        ['data', Buffer.alloc(0)],
      ]),
    ],
    ['more bytes than a clip may have', 'EB-CLIP-SIZE', Buffer.alloc(clipLimits.clipBytesMax + 1)],
  ])('is never %s: %s', async (_, code, bytes) => {
    const { world, service } = await scene()
    expect(await codeOf(service.put(own('a'), bytes))).toBe(code)
    expect(await codeOf(service.put(own('a', { language: 'english please' }), tone))).toBe('EB-CLIP-NAME')
    expect([...service.list()]).toEqual([])
    expect(await contentFiles(world)).toEqual([])
  })

  it('under the name of a clip of another skill is refused, and leaves nothing', async () => {
    const { world, service, follow } = await scene()
    await follow('red', 1, [atHub(world, 'a', bytesOf('a', 500))])
    expect(await codeOf(service.put(own('a'), tone))).toBe('EB-CONFLICT')
    expect(await contentFiles(world)).toHaveLength(1)
    expect(await played(world, service, 'a')).toEqual(bytesOf('a', 500))
  })

  it('twice at once is one content and two clips', async () => {
    const { world, service } = await scene()
    const placed = await Promise.all(['a', 'b'].map((id) => service.put(own(id), tone)))
    expect(placed.map((it) => it.placed).sort()).toEqual(['added', 'alias'])
    expect(await contentFiles(world)).toHaveLength(1)
    await service.remove('a')
    expect(await played(world, service, 'b')).toEqual(tone)
  })

  it('and forgotten is in memory no more either, also when it is forgotten while it is read', async () => {
    const { world, service } = await scene()
    await service.put(own('a', { private: true }), tone)
    const reading = service.get('a')
    const forgotten = service.forget('a')
    expect(await heard(world, await reading)).toEqual(tone)
    expect(await forgotten).toBe(true)
    expect(service.stats().memoryBytes).toBe(0)
    expect(await contentFiles(world)).toEqual([])
    expect(await codeOf(service.get('a'))).toBe('EB-CLIP-MISSING')
  })
})

describe('the figures', () => {
  it('add up: each get of a clip that is there or listed is a hit or a miss', async () => {
    const { world, service, follow } = await scene({
      limits: {
        bytes: 3_000,
        items: 100,
        ttlMs: 0,
        pinnedBytes: 0,
        quotas: new Map(),
        quotaDefault: Number.POSITIVE_INFINITY,
      },
    })
    const clips = ['a', 'b', 'c', 'd', 'e', 'f'].map((id) =>
      atHub(world, id, bytesOf(id === 'f' ? 'a' : id, 900)),
    )
    await follow('red', 1, clips)
    let gets = 0
    for (const id of ['a', 'b', 'c', 'd', 'a', 'e', 'f', 'f', 'a', 'b', 'd', 'c', 'f']) {
      await played(world, service, id)
      gets += 1
      const { hits, misses, hitRate, skills } = service.stats()
      expect(hits + misses).toBe(gets)
      expect(hitRate).toBe(hits / gets)
      expect(skills).toMatchObject([{ id: 'red', seq: 1, hits, misses }])
    }
    const { hits, misses, evictions, fetchedBytes, sizeBytes, contents } = service.stats()
    expect(hits).toBeGreaterThan(0)
    expect(misses).toBeGreaterThan(0)
    expect(sizeBytes).toBe(900 * contents)
    // What came and is not there had to give way.
    expect(fetchedBytes).toBeGreaterThanOrEqual(900 * (contents + evictions - 6))
    const telemetry = { v: 1, bootId: 'boot', clips: service.stats() }
    expect(decodeTelemetry(Buffer.from(JSON.stringify(telemetry))).ok).toBe(true)
  })

  it('go on after a start', async () => {
    const { world, service, follow } = await scene()
    await follow('red', 1, [atHub(world, 'a', bytesOf('a', 900))])
    await played(world, service, 'a')
    await played(world, service, 'a')
    const { hits, misses, fetchedBytes } = service.stats()
    await settled(world, service.close())
    expect((await openService(world)).stats()).toMatchObject({ hits, misses, fetchedBytes, hitRate: 1 })
  })
})

describe('whoever listens to what leaves', () => {
  it('hears it with the reason, and cannot break the cache', async () => {
    const { world, service, follow } = await scene()
    const left: string[] = []
    service.onLeft = (clip, skill, why) => {
      left.push(`${skill} ${clip} ${why}`)
      throw new Error('a listener that fails')
    }
    await follow('red', 1, [atHub(world, 'a', bytesOf('a', 500)), atHub(world, 'b', bytesOf('b', 500))])
    await service.remove('a')
    await service.invalidateContent(shaOf(bytesOf('b', 500)))
    expect(left).toEqual(['red a removed', 'red b content'])
    expect(await service.invalidateContent('no hash')).toBe(0)
    const stays: ClipService = service
    expect(await played(world, stays, 'a')).toEqual(bytesOf('a', 500))
    expect(world.events.filter(({ event }) => event === 'clip left')).toHaveLength(2)
  })
})
