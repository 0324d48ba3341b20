/**
 * Boards, hub core and network in one process, in virtual time: the real bootloader, the real agent and the
 * real hub core over port doubles; no socket, no file, no clock.
 * Leaves to others: the board (board.ts), the network (net.ts), releases (publisher.ts).
 */
import { createHash } from 'node:crypto'
import { orThrow } from '../../core/errors.ts'
import type { Digest } from '../../core/units.ts'
import type { Report, Status } from '../../core/wire/messages.ts'
import { parseDeviceTopic } from '../../core/wire/topics.ts'
import { createHubCore, type HubCore } from '../../hub/core/core.ts'
import { type BoardOptions, createBoard, type TestBoard } from './board.ts'
import { type MemoryStore, memoryStore } from './memory-store.ts'
import { type Broker, broker, type FileServer, fileServer } from './net.ts'
import { assignedTo, type MadeRelease, type Publisher, publisher } from './publisher.ts'
import { type VirtualTime, virtualTime } from './virtual-time.ts'

export interface World {
  readonly time: VirtualTime
  readonly publisher: Publisher
  readonly net: { readonly broker: Broker; readonly files: FileServer }
  readonly store: MemoryStore
  hub(): HubCore
  /** Broker, file server and core are gone; what the store has is kept. */
  stopHub(): void
  startHub(): Promise<void>
  addBoard(id: string, factory: MadeRelease, options?: BoardOptions): Promise<TestBoard>
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
}

/** @param make its releases are what boards trust; a publisher may serve many worlds */
export async function createWorld(make: Publisher = publisher()): Promise<World> {
  const time = virtualTime(Date.parse('2026-06-01T00:00:00Z'))
  const wire = broker(time.soon)
  const server = fileServer(time.clock)
  const store = memoryStore()
  const wrappingKeys = new Map<string, Uint8Array>()
  let hub = await newCore()

  async function newCore(): Promise<HubCore> {
    const core: HubCore = createHubCore(
      {
        store,
        clock: time.clock,
        events: { emit: () => {} },
        outlet: { publish: (message) => wire.publish(message), cut: () => {} },
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
  const statuses = (device: string): readonly Status[] =>
    store.statusLog.filter((it) => it.device === device).map((it) => it.status)
  return {
    time,
    publisher: make,
    net: { broker: wire, files: server },
    store,
    hub: () => hub,
    stopHub() {
      wire.setUp(false)
      server.up = false
    },
    async startHub() {
      hub = await newCore()
      await hub.republish()
      server.up = true
      wire.setUp(true)
    },
    async addBoard(id, factory, options) {
      const around = { time, publisher: make, broker: wire, server }
      const board = await createBoard(id, factory, around, options)
      wrappingKeys.set(id, board.wrappingKey)
      const tokenSha256 = createHash('sha256').update(id).digest('hex')
      const atMs = time.clock.wallMs()
      orThrow(await hub.handle({ kind: 'add-device', device: id, tokenSha256, renew: false, atMs }))
      return board
    },
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
  }
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
