/**
 * Boards, hub core and network in one process, in virtual time: the real bootloader, the real agent and the
 * real hub core over simulated devices; no socket, no file, no clock.
 * Promise: the same seed and the same calls give the same story; an image of a world, taken at any instant,
 * can be gone on with as after a loss of power.
 * Leaves to others: the board (board.ts), the network (devices/network.ts), releases (publisher.ts).
 */
import { createHash } from 'node:crypto'
import { type Turn, type VirtualTime, virtualTime } from '../bootloader-sim/devices/clock.ts'
import { type Broker, broker, type FileServer, fileServer } from '../bootloader-sim/devices/network.ts'
import { orThrow } from '../core/errors.ts'
import type { LogEvent, PieceCodec } from '../core/ports.ts'
import type { Digest } from '../core/units.ts'
import type { Report, Status } from '../core/wire/messages.ts'
import { parseDeviceTopic } from '../core/wire/topics.ts'
import { createHubCore, type HubCore } from '../hub/core/core.ts'
import type { Verify } from '../keys/public-key.ts'
import type { Arena } from './arena.ts'
import { createBoard } from './board.ts'
import type { BoardImage, BoardOptions, BoardWorld, SimBoard } from './board-facts.ts'
import { copyTables, emptyTables, type MemoryStore, memoryStore, type Tables } from './hub-store.ts'
import { assignedTo, type MadeRelease, type Publisher } from './publisher.ts'

/** What a world is made with. */
export interface WorldParts {
  readonly turn: Turn
  /** Its releases are what boards trust; a publisher may serve many worlds. */
  readonly publisher: Publisher
  readonly codec: PieceCodec
  readonly bootVerify: Verify
  readonly agentVerify: Verify
  readonly seed?: number
  /** Bytes of a body that come at a time; the default is less than a piece. */
  readonly partBytes?: number
  /** Memory for the disks; a sweep gives the same to one world after another. */
  readonly arena?: Arena
}

/** What outlives a cut of all boards: the hub lives on, its outlets are made anew. */
export interface WorldImage {
  readonly nowMs: number
  readonly tables: Tables
  readonly retained: ReadonlyMap<string, Uint8Array>
  readonly files: ReadonlyMap<string, Uint8Array>
  readonly wrappingKeys: ReadonlyMap<string, Uint8Array>
  readonly bytesSent: number
}

export interface World {
  readonly time: VirtualTime
  readonly publisher: Publisher
  readonly net: { readonly broker: Broker; readonly files: FileServer }
  readonly store: MemoryStore
  hub(): HubCore
  /** Broker, file server and core are gone; what the store has is kept. */
  stopHub(): void
  startHub(): Promise<void>
  addBoard(id: string, factory: MadeRelease, options?: BoardOptions): Promise<SimBoard>
  /** The same board from what it left behind; the hub knows it already. */
  returnBoard(id: string, image: BoardImage, options?: BoardOptions): Promise<SimBoard>
  publish(release: MadeRelease): Promise<void>
  /** @returns the rollout's id */
  rollOut(release: MadeRelease, devices: readonly string[], throttle?: number): Promise<string>
  attemptState(device: string): string | null
  /** `seq` of the wish for a device. */
  wanted(device: string): number
  /** All different statuses that the hub has kept from a device, in order. */
  statuses(device: string): readonly Status[]
  /** All final reports among them. */
  reports(device: string): readonly Report[]
  image(): WorldImage
  /** Called at each log event of the hub. */
  onLog: (event: LogEvent) => void
  /** Called when the hub has committed a status that it had not. */
  onKept: (device: string, status: Status) => void
  /** Called with what the hub says to devices. */
  onSaid: (topic: string, payload: Uint8Array) => void
  /** Called when a new hub has loaded what the one before had committed. */
  onRestart: () => void
}

/** 2026-06-01, as ms since 1970. */
const wallStartMs = 1_780_272_000_000

export async function createWorld(parts: WorldParts, from?: WorldImage): Promise<World> {
  const { publisher } = parts
  const time = virtualTime(parts.turn, wallStartMs, from?.nowMs ?? 0)
  const wire = broker(time.soon)
  const server = fileServer(time.clock, parts.partBytes)
  parts.arena?.reset()
  for (const [path, bytes] of from?.files ?? []) server.files.set(path, bytes)
  for (const [topic, payload] of from?.retained ?? []) wire.retained.set(topic, payload)
  server.sent = from?.bytesSent ?? 0
  const store = memoryStore(from === undefined ? emptyTables() : copyTables(from.tables))
  const wrappingKeys = new Map(from?.wrappingKeys ?? [])
  let hub = await newCore()

  async function newCore(): Promise<HubCore> {
    const core: HubCore = createHubCore(
      {
        store,
        clock: time.clock,
        events: { emit: (event) => world.onLog(event) },
        outlet: {
          publish(message) {
            world.onSaid(message.topic, message.payload)
            return wire.publish(message)
          },
          cut: () => {},
        },
        fatal: (it) => {
          throw new Error(it.what)
        },
      },
      await store.load(),
    )
    wire.onDevice = async (topic, payload) => {
      const parsed = parseDeviceTopic(topic)
      if (parsed !== null && core === hub) await core.receive(parsed.deviceId, parsed.kind, payload)
    }
    return core
  }
  const around: BoardWorld = {
    time,
    publisher,
    broker: wire,
    server,
    seed: parts.seed ?? 0,
    bootVerify: parts.bootVerify,
    agentVerify: parts.agentVerify,
    codec: parts.codec,
    allocate: parts.arena?.take,
  }
  const statuses = (device: string): readonly Status[] =>
    store.tables.statusLog.filter((it) => it.device === device).map((it) => it.status)
  const world: World = {
    time,
    publisher,
    net: { broker: wire, files: server },
    store,
    onLog: () => {},
    onKept: () => {},
    onSaid: () => {},
    onRestart: () => {},
    hub: () => hub,
    stopHub() {
      wire.setUp(false)
      server.up = false
    },
    async startHub() {
      hub = await newCore()
      world.onRestart()
      await hub.republish()
      server.up = true
      wire.setUp(true)
    },
    async addBoard(id, factory, options) {
      const board = await createBoard(id, { factory }, around, options)
      wrappingKeys.set(id, board.wrappingKey)
      const tokenSha256 = createHash('sha256').update(id).digest('hex')
      const atMs = time.clock.wallMs()
      orThrow(await hub.handle({ kind: 'add-device', device: id, tokenSha256, renew: false, atMs }))
      return board
    },
    returnBoard: (id, image, options) => createBoard(id, { image }, around, options),
    async publish(release) {
      for (const [name, bytes] of release.files)
        server.files.set(`/blobs/${release.manifest.id}/${name}`, bytes)
      orThrow(await hub.handle(registration(release, wrappingKeys, time.clock.wallMs())))
    },
    async rollOut(release, devices, throttle) {
      const answer = orThrow(
        await hub.handle({
          kind: 'create-rollout',
          release: release.manifest.id,
          devices,
          keys: await store.wraps(release.manifest.id, devices),
          throttle: throttle ?? null,
          atMs: time.clock.wallMs(),
        }),
      )
      return answer.id
    },
    attemptState: (device) => hub.state().devices.get(device)?.attempts.at(-1)?.state ?? null,
    wanted: (device) => hub.state().devices.get(device)?.desired?.seq ?? 0,
    statuses,
    reports: (device) =>
      statuses(device)
        .map((it) => it.report)
        .filter((it) => it !== undefined),
    image: () => ({
      nowMs: time.nowMs(),
      tables: copyTables(store.tables),
      retained: new Map(wire.retained),
      files: server.files,
      wrappingKeys: new Map(wrappingKeys),
      bytesSent: server.sent,
    }),
  }
  store.onStatus = (device, status) => world.onKept(device, status)
  return world
}

function registration(release: MadeRelease, wrappingKeys: ReadonlyMap<string, Uint8Array>, atMs: number) {
  const wraps = [...wrappingKeys].flatMap(([device, wrappingKey]) =>
    Object.entries(assignedTo(release, wrappingKey).keys).map(([blob, key]) => ({ device, blob, key })),
  )
  const { manifest, manifestBytes } = release
  const { id, product, version, securityVersion, hardware, profile, blobs } = manifest
  const sha256 = createHash('sha256').update(manifestBytes).digest('hex') as Digest
  return {
    kind: 'register-release' as const,
    release: {
      id,
      product,
      version,
      securityVersion,
      hardware,
      profile,
      manifest: { bytes: manifestBytes.length, sha256 },
      blobs: blobs.map((it) => ({
        id: it.id,
        kind: it.kind,
        bytes: it.bytes,
        sha256: it.sha256,
        index: { bytes: it.index.bytes, sha256: it.index.sha256 },
      })),
      atMs,
    },
    wraps,
  }
}
