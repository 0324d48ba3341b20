/** The longest clip there may be, fetched and played: memory for a few pieces of it, and no more. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { listEntry } from '../../../audio/list-entry.ts'
import { clipLimits } from '../../../core/clip-limits.ts'
import type { ClipFiles, FetchResponse } from '../../../core/ports.ts'
import { openClipService } from '../../../device/clips/clip-service.ts'
import { sealedBytes } from '../../../device/clips/content-file.ts'
import {
  announce,
  bytesOf,
  type ClipWorld,
  clipWorld,
  limitsOf,
  settingsOf,
  settled,
  someAudio,
} from './fixtures.ts'

const piece = clipLimits.pieceBytes
const sound = bytesOf('sound', clipLimits.clipBytesMax)

/** The one long file lies in a buffer that was there before, since a file that is copied for each part takes minutes. */
function longFile(world: ClipWorld): { files: ClipFiles; longest: () => number } {
  const medium = Buffer.alloc(sealedBytes(sound.length), 1)
  const { files } = world
  const isLong = (name: string) => name.startsWith('c')
  let end = 0
  let longest = 0
  return {
    longest: () => longest,
    files: {
      ...files,
      async append(name, bytes) {
        if (!isLong(name)) return files.append(name, bytes)
        longest = Math.max(longest, bytes.length)
        medium.set(bytes, end)
        end += bytes.length
      },
      async readAt(name, offset, into) {
        if (!isLong(name)) return files.readAt(name, offset, into)
        longest = Math.max(longest, into.length)
        return medium.copy(into, 0, offset, Math.min(end, offset + into.length))
      },
    },
  }
}

/** What is not used any more is given back at once. */
function collector(): () => void {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
}

/** A hub whose answers are not copied: parts of the one sound. */
function hub(world: ClipWorld, sha256: string) {
  const { server } = world
  const answer = (start: number): FetchResponse => {
    let at = start
    return {
      ...{ status: 206, etag: `"sha256-${sha256}"`, contentLength: sound.length - start, retryAfterMs: null },
      contentRange: { start, endExclusive: sound.length, size: sound.length },
      async read() {
        const part = sound.subarray(at, at + 30_000)
        at += part.length
        return part.length === 0 ? null : part
      },
      cancel: () => {},
    }
  }
  const get: typeof server.get = (request) =>
    request.url.endsWith(sha256) ? Promise.resolve(answer(request.range?.start ?? 0)) : server.get(request)
  return { get }
}

describe('a clip of 64 MiB', () => {
  it('is heard and kept with memory for a few pieces', async () => {
    const world = clipWorld()
    const collect = collector()
    const clip = listEntry('long', sound, someAudio, { language: null })
    const { files, longest } = longFile(world)
    const settings = settingsOf({ limits: limitsOf({ bytes: 2 * sound.length }) })
    const ports = { ...world.ports, files, fetch: hub(world, clip.sha256) }
    const service = await openClipService(ports, settings)
    await settled(world, service.announced('red', announce(world, 'red', 1, [clip])))
    const playable = await settled(world, service.get('long'))
    collect()
    const before = process.memoryUsage().arrayBuffers
    let heard = 0
    const held: number[] = []
    const play = async (): Promise<void> => {
      for await (const part of playable.read(0, playable.bytes)) {
        expect(part.length).toBeLessThanOrEqual(piece)
        if (!sound.subarray(heard, heard + part.length).equals(part)) throw new Error(`wrong at ${heard}`)
        heard += part.length
        if (heard % (64 * piece) !== 0) continue
        collect()
        held.push(process.memoryUsage().arrayBuffers - before)
      }
    }
    await settled(world, play())
    playable.done()
    await world.time.pass(1_000)
    expect([heard, service.peek('long')?.content.bytes]).toEqual([sound.length, sound.length])
    // What a read or a write takes at once.
    expect(longest()).toBeLessThanOrEqual(piece + 64)
    expect(service.stats().memoryBytes).toBe(0)
    // Half of the times at least: a collector may leave something for later.
    const [half = 0] = held.sort((one, other) => one - other).slice(held.length / 2)
    expect(half, `${held.join(' ')}`).toBeLessThan(8 * piece)
  }, 60_000)
})
