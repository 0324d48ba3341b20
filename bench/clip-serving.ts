/**
 * How fast a stored clip of 200 KB is had: from memory and from the disk, by the service's own interface and over HTTP on its
 * Unix socket (the server is a process of its own), beside `readFile` of the same bytes unsealed in the same run. Then how long an
 * index of 100,000 clips takes to open, and in how much memory, also as the agent is run.
 * Prints one JSON object a line. Arguments: how often each is measured (default 2000), clips of the index (default 100000).
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Fetch } from '../core/ports.ts'
import { seededRandom } from '../core/prng.ts'
import { KiB, MiB } from '../core/units.ts'
import { toneSamples, wavOf } from '../demo/sound.ts'
import { systemEntropy, systemRandom } from '../device/adapters/chance.ts'
import { systemClock } from '../device/adapters/clock.ts'
import { openClipFiles } from '../device/clips/adapters/clip-files.ts'
import { serveClips } from '../device/clips/adapters/clip-server.ts'
import type { CacheLimits } from '../device/clips/cache-types.ts'
import { cacheKeys, makeClipKey } from '../device/clips/clip-key.ts'
import { type ClipService, openClipService } from '../device/clips/clip-service.ts'
import { fileOf } from '../device/clips/contents.ts'
import { openIndex } from '../device/clips/index-log.ts'
import type { ClipRecord, ContentRecord, IndexRecord } from '../device/clips/index-record.ts'
import { openClipStore } from '../device/clips/recovery.ts'
import { agentNodeOptions } from '../images/boards/sim/agent-node-options.ts'
import { verifyEd25519 } from '../keys/verify-node.ts'

const clips = 60
/** What 6.25 s of 16 kHz are, and the head of the file. */
const clipBytes = 200_044
const wrappingKey = new Uint8Array(32).fill(1)
const limits: CacheLimits = {
  ...{ bytes: 2_000_000_000, items: 100_000, ttlMs: 0, pinnedBytes: 0, quotas: new Map() },
  quotaDefault: Number.POSITIVE_INFINITY,
}
const noHub: Fetch = { get: () => Promise.reject(new Error('this bench has no hub')) }
const silent = { emit: () => {} }

/** Memory tiers: all clips; a few, so that each is read from the disk whole; none, so that each is read in parts. */
const tiers = { memory: 64 * MiB, disk: MiB, 'disk, in parts': 0 } as const
type Tier = keyof typeof tiers

async function openService(directory: string, memoryBytes: number): Promise<ClipService> {
  const files = await openClipFiles(directory)
  const ports = { files, clock: systemClock, random: systemRandom, entropy: systemEntropy, fetch: noHub }
  const service = await openClipService(
    { ...ports, events: silent },
    {
      ...{ limits, memoryBytes, reserveBytes: 0, staleMs: 0, wrappingKey, earliestWallMs: 0 },
      ...{
        hubUrl: 'https://hub',
        ring: { keys: new Map(), threshold: 1 },
        verify: verifyEd25519,
        skills: null,
      },
    },
  )
  const close = service.close.bind(service)
  service.close = async () => {
    await close()
    await files.close()
  }
  return service
}

async function main(runs: number, indexClips: number): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'everboot-bench-'))
  try {
    await store(directory)
    for (const tier of Object.keys(tiers) as Tier[]) {
      print(await byService(directory, tier, runs))
      print(await byHttp(directory, tier, runs))
    }
    print(await byReadFile(directory, runs))
    await makeIndex(join(directory, 'index'), indexClips)
    for (const options of [[], agentNodeOptions]) {
      for (let run = 0; run < 3; run += 1) print(await inChild(['open', join(directory, 'index')], options))
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function store(directory: string): Promise<void> {
  const service = await openService(join(directory, 'clips'), 0)
  for (let number = 0; number < clips; number += 1) {
    const bytes = wavOf(toneSamples({ number, durationMs: 6_250, sampleRate: 16_000 }), 16_000)
    if (bytes.length !== clipBytes) throw new Error(`a clip has ${bytes.length} bytes`)
    const about = { id: `clip${number}`, skill: 's', language: null, private: false, pinned: false }
    await service.put({ ...about, ttlMs: null, claims: {} }, bytes)
    writeFileSync(join(directory, `clear${number}`), bytes)
  }
  await service.close()
}

async function byService(directory: string, tier: Tier, runs: number) {
  const service = await openService(join(directory, 'clips'), tiers[tier])
  const get = async (number: number): Promise<number> => {
    const clip = await service.get(`clip${number}`)
    let bytes = 0
    for await (const part of clip.read(0, clip.bytes)) bytes += part.length
    clip.done()
    return bytes
  }
  const figures = await timed(runs, get)
  await service.close()
  return { name: `get from ${tier}`, by: 'service', ...figures }
}

async function byHttp(directory: string, tier: Tier, runs: number) {
  const socket = join(directory, 'clips.sock')
  const server = child(['serve', join(directory, 'clips'), tier, socket])
  await once(server, 'message')
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const get = (number: number): Promise<number> =>
    new Promise((resolve, reject) => {
      const outgoing = request({ socketPath: socket, path: `/clips/clip${number}`, agent }, (incoming) => {
        let bytes = 0
        incoming.on('data', (part: Buffer) => {
          bytes += part.length
        })
        incoming.on('end', () => resolve(bytes))
      })
      outgoing.on('error', reject)
      outgoing.end()
    })
  const figures = await timed(runs, get)
  agent.destroy()
  server.send('end')
  await once(server, 'exit')
  return { name: `get from ${tier}`, by: 'HTTP', ...figures }
}

async function byReadFile(directory: string, runs: number) {
  const read = async (number: number): Promise<number> =>
    (await readFile(join(directory, `clear${number}`))).length
  return { name: 'readFile, unsealed', ...(await timed(runs, read)) }
}

/** All clips in turn, after a round that is not measured. */
async function timed(runs: number, get: (number: number) => Promise<number>) {
  const times: number[] = []
  for (let run = -3 * clips; run < runs; run += 1) {
    const number = (run + 3 * clips) % clips
    const began = performance.now()
    const bytes = await get(number)
    const ms = performance.now() - began
    if (bytes !== clipBytes) throw new Error(`${bytes} bytes`)
    if (run >= 0) times.push(ms)
    // Nobody asks without a pause, and the pause is not counted.
    if (run % 20 === 0) await sleep(1)
  }
  times.sort((one, other) => one - other)
  const at = (share: number): number => round(times[Math.floor(share * (times.length - 1))] ?? 0)
  return { runs, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) }
}

/** An index as the store writes it, four contents for five clips, and empty files for the contents. */
async function makeIndex(directory: string, count: number): Promise<void> {
  const files = await openClipFiles(directory)
  const key = cacheKeys(await makeClipKey(files, wrappingKey, systemEntropy))
  const nothing = { record: () => {}, clips: () => {}, contents: () => {}, changesLost: () => {} }
  const { log } = await openIndex({ files, entropy: systemEntropy, key: key.index }, nothing)
  await log.rewrite(records(directory, count))
  await files.close()
}

function* records(directory: string, count: number): Generator<IndexRecord> {
  const random = seededRandom(1)
  const name = (bytes: number): string =>
    Buffer.from(Uint8Array.from({ length: bytes }, () => random.below(256))).toString('latin1')
  const audio = { format: 'wav', durationMs: 6_250, sampleRate: 16_000, bitRate: 256_000 } as const
  yield { kind: 'room', clips: count, contents: Math.ceil((count * 4) / 5) }
  for (let number = 1; number <= count; number += 1) {
    const content = Math.ceil((number * 4) / 5)
    if (content !== Math.ceil(((number - 1) * 4) / 5)) {
      const record: ContentRecord = {
        ...{ kind: 'content', number: content, key: name(32), nonce: name(16), ownKey: null },
        ...{ bytes: 10_000, audio: { ...audio, channels: 1, compressionLevel: null } },
      }
      closeSync(openSync(join(directory, fileOf(record)), 'w'))
      yield record
    }
    const record: ClipRecord = {
      ...{ kind: 'clip', number, id: `skill-${number % 50}.prompt-${number}`, skill: `skill-${number % 50}` },
      ...{ content, language: 'en-GB', pinned: false, shared: false, listed: true },
      ...{ createdMs: 1_780_000_000_000, addedMs: number, expiresMs: 0, accesses: 3, lastAccessMs: number },
    }
    yield record
  }
}

// What the child processes do.

/** Serves clips until it is told to end. */
async function serve(directory: string, tier: Tier, socket: string): Promise<void> {
  const service = await openService(directory, tiers[tier])
  const server = await serveClips(service, { socket }, silent)
  process.send?.('ready')
  await once(process, 'message')
  await server.close()
  await service.close()
  process.disconnect()
}

async function openOnce(directory: string): Promise<void> {
  const files = await openClipFiles(directory)
  global.gc?.()
  const before = process.memoryUsage.rss()
  const began = performance.now()
  const worked = process.cpuUsage()
  const ports = { files, clock: systemClock, entropy: systemEntropy }
  const { store: opened, lost } = await openClipStore({ ...ports, wrappingKey, earliestWallMs: 0 }, limits)
  const ms = performance.now() - began
  const { user, system } = process.cpuUsage(worked)
  const after = process.memoryUsage.rss()
  const peak = process.resourceUsage().maxRSS * KiB
  const { items, contents } = opened.figures().now
  process.send?.({
    ...{ name: 'index opened', options: process.execArgv.slice(1), clips: items, contents },
    ...{ lost: lost.length, ms: round(ms), cpuMs: round((user + system) / 1000) },
    ...{ grownMiB: round((after - before) / MiB), peakGrownMiB: round((peak - before) / MiB) },
  })
  await files.close()
  process.disconnect()
}

async function inChild(
  args: readonly string[],
  options: readonly string[],
): Promise<Record<string, unknown>> {
  const it = child(args, options)
  const [answer] = (await once(it, 'message')) as [Record<string, unknown>]
  await once(it, 'exit')
  return answer
}

function child(args: readonly string[], options: readonly string[] = []): ChildProcess {
  return fork(fileURLToPath(import.meta.url), args, { execArgv: ['--expose-gc', ...options] })
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000
}

function print(it: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify(it)}\n`)
}

const [first = '2000', ...rest] = process.argv.slice(2)
if (first === 'serve') await serve(rest[0] ?? '', (rest[1] ?? 'memory') as Tier, rest[2] ?? '')
else if (first === 'open') await openOnce(rest[0] ?? '')
else await main(Number(first), Number(rest[0] ?? 100_000))
