/**
 * kill -9 of a program that stores, plays and forgets clips as fast as it can: the next run finds index and files in
 * agreement, every clip with the bytes of its hash, and nothing that it was told is gone.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { seededRandom } from '../../core/prng.ts'
import { openClipFiles } from '../../device/clips/adapters/clip-files.ts'
import { openClipService } from '../../device/clips/clip-service.ts'
import { fileOf } from '../../device/clips/contents.ts'
import { loadBytes, loadItems, loadPorts, loadSettings } from './clip-load-parts.ts'

const killsWanted = Number(process.env['EVERBOOT_KILLS'] ?? 40)
const program = join(import.meta.dirname, 'clip-load.ts')

interface Said {
  readonly begin?: string
  readonly end?: string
  readonly put?: string
  readonly sha256?: string
  readonly remove?: string
  readonly skill?: string
  readonly failed?: string
}

/** Which contents a clip may have, and whether it may be missing or must be. */
class Known {
  readonly #clips = new Map<string, Set<string | null>>()

  /** @param lines of one run, in order */
  take(lines: readonly Said[]): void {
    const open = new Map<string, Said>()
    for (const line of lines) {
      if (line.begin !== undefined) open.set(line.begin, line)
      if (line.end === undefined) continue
      open.delete(line.end)
      const others = [...open.values()]
      for (const id of this.#touched(line)) {
        // Evicted it may always be; what runs beside it may have come before or after.
        const may = new Set<string | null>([null])
        if (line.put === id && line.sha256 !== undefined) may.add(line.sha256)
        for (const it of others) if (it.put === id && it.sha256 !== undefined) may.add(it.sha256)
        this.#clips.set(id, may)
      }
    }
    for (const { put, sha256 } of open.values()) {
      if (put !== undefined && sha256 !== undefined) this.#may(put).add(sha256)
    }
  }

  allows(id: string, sha256: string): boolean {
    return this.#may(id).has(sha256)
  }

  #may(id: string): Set<string | null> {
    const known = this.#clips.get(id) ?? new Set([null])
    this.#clips.set(id, known)
    return known
  }

  #touched({ put, remove, skill }: Said): readonly string[] {
    if (put !== undefined) return [put]
    if (remove !== undefined) return [remove]
    if (skill === undefined) return []
    return [...this.#clips.keys()].filter((id) => `skill-${Number(id.split('-')[1]) % 3}` === skill)
  }
}

describe('kill -9 of a clip cache under load', () => {
  let directory: string
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'everboot-clips-'))
  })
  afterAll(() => rm(directory, { recursive: true, force: true }))

  /** @returns what it said, until it was killed */
  async function runAndKill(seed: number, afterMs: number): Promise<readonly Said[]> {
    const child = spawn(process.execPath, [program, directory, `${seed}`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const lines: Said[] = []
    const ready = Promise.withResolvers<void>()
    createInterface({ input: child.stdout }).on('line', (line) => {
      // The last one may be cut off.
      if (line.endsWith('}')) lines.push(JSON.parse(line))
      ready.resolve()
    })
    const ended = new Promise<NodeJS.Signals | null>((resolve) =>
      child.on('close', (_code, signal) => resolve(signal)),
    )
    await Promise.race([ready.promise, ended])
    setTimeout(() => child.kill('SIGKILL'), afterMs)
    expect(await ended, JSON.stringify(lines.at(-1))).toBe('SIGKILL')
    return lines
  }

  async function lookAt(known: Known): Promise<number> {
    const files = await openClipFiles(directory)
    const service = await openClipService(loadPorts(files), loadSettings)
    const clips = [...service.list()]
    const contents = new Map(clips.map((it) => [it.content.key, it.content]))
    const there = (await readdir(directory)).filter((it) => it.startsWith('c')).sort()
    expect(there).toEqual([...contents.values()].map(fileOf).sort())
    const bytes = [...contents.values()].reduce((sum, it) => sum + it.bytes, 0)
    expect(bytes).toBeLessThanOrEqual(loadBytes)
    expect(service.stats().sizeBytes).toBe(bytes)
    expect(clips.length).toBeLessThanOrEqual(loadItems)
    for (const { id } of clips) {
      const playable = await service.get(id)
      const hash = createHash('sha256')
      for await (const part of playable.read(0, playable.bytes)) hash.update(part)
      playable.done()
      const sha256 = hash.digest('hex')
      expect(known.allows(id, sha256), `clip ${id} has a content that it was not told`).toBe(true)
    }
    await service.close()
    await files.close()
    return clips.length
  }

  it(`${killsWanted} times: index and files agree, no wrong byte, nothing forgotten comes back`, async () => {
    const random = seededRandom(1)
    const known = new Known()
    let deeds = 0
    let clips = 0
    for (let kill = 0; kill < killsWanted; kill += 1) {
      const lines = await runAndKill(kill, random.below(400))
      deeds += lines.filter((it) => it.end !== undefined).length
      known.take(lines)
      clips += await lookAt(known)
    }
    // It must have been under load, or nothing was shown.
    expect(deeds).toBeGreaterThan(3 * killsWanted)
    expect(clips).toBeGreaterThan(killsWanted)
  }, 600_000)
})
