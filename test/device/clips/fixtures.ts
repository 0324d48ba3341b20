/** What the tests of the clip cache share: files, clock and hub in memory, clips with bytes, and signed skills. */
import { createHash } from 'node:crypto'
import { type Listing, listEntry } from '../../../audio/list-entry.ts'
import { type VirtualTime, virtualTime } from '../../../bootloader-sim/devices/clock.ts'
import { type SimFiles, simFiles } from '../../../bootloader-sim/devices/file-store.ts'
import { type FileServer, fileServer } from '../../../bootloader-sim/devices/network.ts'
import { present } from '../../../core/assert.ts'
import { EverbootError } from '../../../core/errors.ts'
import type { Entropy, LogEvent } from '../../../core/ports.ts'
import { seededRandom } from '../../../core/prng.ts'
import type { Announcement, Audio, ListedClip } from '../../../core/wire/skills.ts'
import type { CacheLimits } from '../../../device/clips/cache-types.ts'
import {
  type ClipPorts,
  type ClipService,
  type ClipSettings,
  openClipService,
  type Playable,
} from '../../../device/clips/clip-service.ts'
import type { ClipStore } from '../../../device/clips/clip-store.ts'
import { type OpenedStore, openClipStore } from '../../../device/clips/recovery.ts'
import type { Description, Placed } from '../../../device/clips/store-types.ts'
import { signEnvelope } from '../../../keys/envelope.ts'
import type { KeySigner } from '../../../keys/signer.ts'
import { verifyEd25519 } from '../../../keys/verify-node.ts'
import { newTurn } from '../../../proof/adapters/turn.ts'
import { riff, waveFormat } from '../../audio/samples.ts'
import { ringOf, testSigner } from '../../keys/signers.ts'

export const wallStartMs = Date.parse('2026-06-01T00:00:00Z')
export const earliestWallMs = Date.parse('2026-01-01T00:00:00Z')
export const wrappingKey = new Uint8Array(32).fill(7)
export const minute = 60_000
export const hour = 60 * minute

/** Bytes that differ from draw to draw, the same in every run. */
export function seededEntropy(seed: number): Entropy {
  const random = seededRandom(seed)
  return { bytes: (count) => Uint8Array.from({ length: count }, () => random.below(256)) }
}

/** Sound-like bytes: no two names share a piece. */
export function bytesOf(name: string, length: number): Buffer {
  const block = createHash('sha512').update(name).digest()
  const bytes = Buffer.alloc(length)
  for (let at = 0; at < length; at += block.length) {
    block.writeUInt32LE(at, 0)
    block.copy(bytes, at)
  }
  return bytes
}

export function shaOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** A WAV file of about that many bytes. */
export function wavOf(name: string, length = 2_000): Buffer {
  return riff([
    ['fmt ', waveFormat()],
    ['data', bytesOf(name, Math.max(2, length - 44) & ~1)],
  ])
}

export const someAudio: Audio = {
  format: 'wav',
  durationMs: 100,
  sampleRate: 16_000,
  bitRate: 256_000,
  channels: 1,
  compressionLevel: null,
}

/** What is outside the cache, which stays when the program or the power goes. */
export interface ClipWorld {
  readonly files: SimFiles
  readonly time: VirtualTime
  readonly server: FileServer
  readonly events: LogEvent[]
  readonly entropy: Entropy
  readonly ports: ClipPorts
}

export function clipWorld(seed = 1, partBytes = 16_384): ClipWorld {
  const files = simFiles()
  const time = virtualTime(newTurn(), wallStartMs, 1_000)
  const server = fileServer(time.clock, partBytes)
  const events: LogEvent[] = []
  const entropy = seededEntropy(seed)
  const ports = {
    ...{ files, entropy, fetch: server, clock: time.clock },
    random: seededRandom(seed),
    events: { emit: (event: LogEvent) => void events.push(event) },
  }
  return { files, time, server, events, entropy, ports }
}

export function limitsOf(change: Partial<CacheLimits> = {}): CacheLimits {
  return {
    bytes: 1_000_000,
    items: 100,
    ttlMs: 0,
    pinnedBytes: 500_000,
    quotas: new Map(),
    quotaDefault: Number.POSITIVE_INFINITY,
    ...change,
  }
}

export function openStore(world: ClipWorld, change: Partial<CacheLimits> = {}): Promise<OpenedStore> {
  const { files, entropy, time } = world
  const parts = { files, entropy, clock: time.clock, wrappingKey, earliestWallMs }
  return openClipStore(parts, limitsOf(change))
}

export function about(id: string, skill = 'red', change: Partial<Description> = {}): Description {
  const fixed = { audio: someAudio, language: null, pinned: false, listed: true, ttlMs: null }
  return { id, skill, ...fixed, ...change }
}

/** Stores a clip as a caller of the store does. */
export async function placeClip(
  store: ClipStore,
  described: Description,
  bytes: Uint8Array,
  own = false,
): Promise<Placed> {
  const draft = store.draft(own)
  try {
    await draft.writer.write(bytes)
    return (await store.place(draft, await draft.writer.finish(), described)).placed
  } catch (caught) {
    await store.abandon(draft).catch(() => {})
    throw caught
  }
}

/** What the store serves for a clip, or null; nothing is counted as long as it is there. */
export async function bytesIn(store: ClipStore, id: string): Promise<Buffer | null> {
  const open = store.open(id)
  if (open === null) return null
  const bytes = await open.whole()
  open.done()
  return bytes
}

/** Names of files of contents, sorted. */
export async function contentFiles(world: Pick<ClipWorld, 'files'>): Promise<readonly string[]> {
  return (await world.files.list()).filter((it) => /^c[0-9a-f]{32}$/.test(it)).sort()
}

/** The code of what is thrown, or what comes. */
export async function codeOf(work: Promise<unknown>): Promise<unknown> {
  try {
    return await work
  } catch (caught) {
    if (caught instanceof EverbootError) return caught.fault.code
    throw caught
  }
}

export const skillSigner: KeySigner = testSigner('skill')

export function settingsOf(change: Partial<ClipSettings> = {}): ClipSettings {
  return {
    limits: limitsOf(),
    memoryBytes: 400_000,
    reserveBytes: 0,
    staleMs: 0,
    wrappingKey,
    earliestWallMs,
    hubUrl: 'https://hub',
    ring: ringOf([skillSigner]),
    verify: verifyEd25519,
    skills: null,
    ...change,
  }
}

export function openService(world: ClipWorld, change: Partial<ClipSettings> = {}): Promise<ClipService> {
  return openClipService(world.ports, settingsOf(change))
}

/** A clip of a list, with its bytes at the hub. */
export function atHub(
  world: ClipWorld,
  id: string,
  bytes: Uint8Array,
  more: Partial<Listing> = {},
): ListedClip {
  world.server.files.set(`/clips/${shaOf(bytes)}`, bytes)
  return listEntry(id, bytes, someAudio, { language: null, ...more })
}

/** Puts the list at the hub. @returns the payload that announces it */
export function announce(
  world: ClipWorld,
  skill: string,
  seq: number,
  clips: readonly ListedClip[] | null,
  change: { signer?: KeySigner; id?: string; sha256?: string } = {},
): Uint8Array {
  const list = Buffer.from(JSON.stringify({ v: 1, clips }))
  const sha256 = change.sha256 ?? shaOf(list)
  if (clips !== null) world.server.files.set(`/clips/${sha256}`, list)
  const announcement = {
    ...{ _type: 'everboot-skill', format: 1, id: change.id ?? skill, seq, version: `${seq}` },
    list: clips === null ? null : { bytes: list.length, sha256 },
  } satisfies Record<keyof Announcement, unknown>
  return signEnvelope(announcement, [change.signer ?? skillSigner])
}

/** Lets virtual time pass until it has settled. @returns what it came to @throws what it threw, or that nothing came */
export async function settled<T>(world: ClipWorld, work: Promise<T>, limitMs = hour): Promise<T> {
  let over: { readonly value: Promise<T> } | null = null
  const mark = (): void => {
    over = { value: work }
  }
  work.then(mark, mark)
  await world.time.until(() => over !== null, limitMs)
  return present<{ readonly value: Promise<T> }>(over, 'an end').value
}

/** Everything of a clip, as it is handed out. */
export async function heard(world: ClipWorld, playable: Playable): Promise<Buffer> {
  const parts: Uint8Array[] = []
  const all = async (): Promise<void> => {
    for await (const part of playable.read(0, playable.bytes)) parts.push(new Uint8Array(part))
  }
  await settled(
    world,
    all().finally(() => playable.done()),
  )
  return Buffer.concat(parts)
}

/** A get that is played to its end. */
export async function played(world: ClipWorld, service: ClipService, id: string): Promise<Buffer> {
  return heard(world, await settled(world, service.get(id)))
}
