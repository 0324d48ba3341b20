/**
 * Real sounds in every form, played from the cache by a real player over HTTP: what it decodes is what it decodes of
 * the source, from the disk and from memory, also of sounds that come from the hub while they are played.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ClipServer, serveClips } from '../../../device/clips/adapters/clip-server.ts'
import { decodedSamples, makeAudio, noSound, type Sounds } from '../../audio/real-audio.ts'
import { ffmpeg } from '../../audio/sound-tools.ts'
import { type Cache, openCache } from './serving.ts'

const without = await noSound()

describe.skipIf(without !== null)(
  `sounds played from the cache${without === null ? '' : ` (${without})`}`,
  () => {
    let room: string
    let sounds: Sounds
    let cache: Cache
    let server: ClipServer
    beforeAll(async () => {
      room = await mkdtemp(join(tmpdir(), 'everboot-play-'))
      sounds = await makeAudio(join(room, 'sounds'))
      cache = await openCache(join(room, 'cache'))
      server = await serveClips(cache.service, { host: '127.0.0.1', port: 0 }, { emit: () => {} })
    }, 60_000)
    afterAll(async () => {
      await server?.close()
      await cache?.close()
      await rm(room, { recursive: true, force: true })
    })

    /** As a player does: by the URL. @returns samples of 16 bits */
    async function played(id: string): Promise<Buffer> {
      const url = `http://127.0.0.1:${server.port}/clips/${id}`
      const out = join(room, 'played.raw')
      await ffmpeg('-i', url, '-f', 's16le', '-c:a', 'pcm_s16le', out)
      return readFile(out)
    }

    async function sourceOf(file: string): Promise<Buffer> {
      const samples = await decodedSamples(file)
      expect(samples.length).toBeGreaterThan(1_000)
      return Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength)
    }

    it('sound as their sources, whatever their form, from disk and from memory', async () => {
      const about = { skill: 'real', language: null, pinned: false, ttlMs: 0, private: false, claims: {} }
      for (const { name, file, sampleRate } of sounds.all) {
        await cache.service.put({ id: name, ...about }, await readFile(file))
        const source = await sourceOf(file)
        expect((await played(name)).equals(source), `${name} from the disk`).toBe(true)
        if (sampleRate !== 44_100) continue
        expect((await played(name)).equals(source), `${name} from memory`).toBe(true)
      }
      expect(new Set(sounds.all.map((it) => it.format)).size).toBe(4)
    }, 180_000)

    it('sound as their sources while they come from the hub', async () => {
      const some = sounds.all.filter((it) => it.sampleRate === 44_100)
      const clips: Record<string, Buffer> = {}
      for (const { name, file } of some) clips[`far-${name}`] = await readFile(file)
      await cache.publish('far', clips)
      await cache.service.clear()
      for (const { name, file } of some) {
        expect((await played(`far-${name}`)).equals(await sourceOf(file)), name).toBe(true)
      }
    }, 60_000)
  },
)
