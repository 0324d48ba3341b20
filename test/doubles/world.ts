/**
 * Boards, hub core and network in one process, in virtual time: the real bootloader, the real agent (by its
 * factory) and the real hub core over port doubles; no socket, no file, no clock.
 * Promise: a reset or a kill leaves a port of the old graph unanswered for ever; a boot is a new graph over
 * the bytes that are left.
 */
import { createHash, randomBytes } from 'node:crypto'
import { boot } from '../../bootloader-sim/bootloader.ts'
import { verifyNoble } from '../../bootloader-sim/verify-noble.ts'
import { present } from '../../core/assert.ts'
import { currentRecord, readRecord, writeRecord, writeStamp } from '../../core/boot-partition.ts'
import { type BootRecord, bootPartition, chooseCopy } from '../../core/boot-record.ts'
import { fault, faultOf, orThrow } from '../../core/errors.ts'
import type { Disks, LogEvent, Machine } from '../../core/ports.ts'
import { seededRandom } from '../../core/prng.ts'
import type { Digest, SlotId } from '../../core/units.ts'
import type { Status } from '../../core/wire/messages.ts'
import { parseDeviceTopic } from '../../core/wire/topics.ts'
import { inlineCodec } from '../../device/adapters/codec.ts'
import { type Agent, createAgent } from '../../device/agent.ts'
import type { AgentSettings } from '../../device/settings.ts'
import { createHubCore, type HubCore } from '../../hub/core/core.ts'
import { sealOffset } from '../../images/release/slot-layout.ts'
import { verityBuilder } from '../../images/release/verity.ts'
import { verifyEd25519 } from '../../keys/verify-node.ts'
import { type MemoryDevice, memoryDevice } from '../core/memory-device.ts'
import { type MemoryFiles, memoryFiles } from './memory-files.ts'
import { type MemoryStore, memoryStore } from './memory-store.ts'
import { type Broker, broker, type FileServer, fileServer } from './net.ts'
import {
  assignedTo,
  type Behaviour,
  behaviourOf,
  type MadeRelease,
  type Publisher,
  publisher,
} from './publisher.ts'
import { type VirtualTime, virtualTime } from './virtual-time.ts'

const slotBytes = 512 * 1024
const watchdogMs = 60_000

export interface World {
  readonly time: VirtualTime
  readonly publisher: Publisher
  readonly net: { readonly broker: Broker; readonly files: FileServer }
  readonly store: MemoryStore
  hub(): HubCore
  restartHub(): Promise<void>
  addBoard(id: string, factory: MadeRelease): Promise<TestBoard>
  publish(release: MadeRelease): Promise<void>
  /** @returns the rollout's id */
  rollOut(release: MadeRelease, devices: readonly string[]): Promise<string>
  attemptState(device: string): string | null
}

export interface TestBoard {
  readonly id: string
  readonly slots: Readonly<Record<SlotId, MemoryDevice>>
  readonly bootDisk: MemoryDevice
  readonly files: MemoryFiles
  readonly log: LogEvent[]
  /** Slots of all boots so far. */
  readonly boots: SlotId[]
  agent(): Agent | null
  record(): Promise<BootRecord>
  powerOn(): Promise<void>
  /** Everything stops in this instant. */
  powerOff(): void
  /** The agent is killed, the system runs on and starts it again. */
  killAgent(): void
  /** Called at each log event of the agent. */
  onLog: (event: LogEvent) => void
}

export async function createWorld(): Promise<World> {
  const time = virtualTime(Date.parse('2026-06-01T00:00:00Z'))
  const make = publisher()
  const wire = broker((run) => setImmediate(run))
  const server = fileServer()
  const store = memoryStore()
  const wrappingKeys = new Map<string, Uint8Array>()
  let hub = await startHub()

  async function startHub(): Promise<HubCore> {
    const core = createHubCore(
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
      if (parsed !== null) await core.receive(parsed.deviceId, parsed.kind, payload)
    }
    await core.republish()
    return core
  }
  return {
    time,
    publisher: make,
    net: { broker: wire, files: server },
    store,
    hub: () => hub,
    async restartHub() {
      hub = await startHub()
    },
    async addBoard(id, factory) {
      const wrappingKey = randomBytes(32)
      wrappingKeys.set(id, wrappingKey)
      const tokenSha256 = createHash('sha256').update(id).digest('hex')
      orThrow(
        await hub.handle({
          kind: 'add-device',
          device: id,
          tokenSha256,
          renew: false,
          atMs: time.clock.wallMs(),
        }),
      )
      return createBoard(id, factory, wrappingKey, { time, make, wire, server })
    },
    async publish(release) {
      for (const [name, bytes] of release.files)
        server.files.set(`/blobs/${release.manifest.id}/${name}`, bytes)
      const wraps = [...wrappingKeys].flatMap(([device, key]) =>
        Object.entries(assignedTo(release, key).keys).map(([blob, wrapped]) => ({
          device,
          blob,
          key: wrapped,
        })),
      )
      const { manifest, manifestBytes } = release
      const { product, version, securityVersion, hardware, profile, blobs } = manifest
      const sha256 = createHash('sha256').update(manifestBytes).digest('hex') as Digest
      orThrow(
        await hub.handle({
          kind: 'register-release',
          release: {
            id: manifest.id,
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
            atMs: time.clock.wallMs(),
          },
          wraps,
        }),
      )
    },
    async rollOut(release, devices) {
      const keys = await store.wraps(release.manifest.id, devices)
      const answer = orThrow(
        await hub.handle({
          kind: 'create-rollout',
          release: release.manifest.id,
          devices,
          keys,
          throttle: null,
          atMs: time.clock.wallMs(),
        }),
      )
      return answer.id
    },
    attemptState: (device) => hub.state().devices.get(device)?.attempts.at(-1)?.state ?? null,
  }
}

interface Surroundings {
  readonly time: VirtualTime
  readonly make: Publisher
  readonly wire: Broker
  readonly server: FileServer
}

async function createBoard(
  id: string,
  factory: MadeRelease,
  wrappingKey: Uint8Array,
  { time, make, wire, server }: Surroundings,
): Promise<TestBoard> {
  const slots = { a: memoryDevice(slotBytes, 4096), b: memoryDevice(slotBytes, 4096) }
  const bootDisk = memoryDevice(bootPartition.bytesMin, 4096)
  await writeFactory(slots.a, bootDisk, factory)
  const files = memoryFiles()
  const log: LogEvent[] = []
  const boots: SlotId[] = []
  const { clock } = time
  let generation = 0
  let agent: Agent | null = null
  let cancelWatchdog = (): void => {}
  let cutLink = (): void => {}
  let handOver = { slot: 'a' as SlotId, bootId: '', bootMs: 0 }
  let behaviour: Behaviour = 'hang'
  let trace = ''

  const disks: Disks = {
    openSlot: async (slot) => shareable(slots[slot]),
    openBoot: async () => shareable(bootDisk),
  }
  const settings: AgentSettings = {
    deviceId: id,
    product: 'demo',
    hubUrl: 'https://hub',
    trust: make.trust,
    verify: verifyEd25519,
    wrappingKey,
    partitions: ['rootfs'],
    health: {
      checks: [{ name: 'service', probe: 'unix:/run/service.sock:/health' }],
      deadlineMs: 30_000,
      networkDeadlineMs: 900_000,
    },
    rebootDelayMs: 5_000,
  }

  const powerOff = (): void => {
    generation += 1
    agent = null
    cancelWatchdog()
    cutLink()
  }
  const reset = (): void => {
    powerOff()
    void powerOn()
  }
  const pet = (): void => {
    cancelWatchdog()
    cancelWatchdog = clock.timer(watchdogMs, reset)
  }
  async function powerOn(): Promise<void> {
    generation += 1
    const mine = generation
    const firmware = { sealKeys: make.trust.seal, verify: verifyNoble, sealImage: 'rootfs' }
    const outcome = await boot(
      { disks: guarded(disks, () => mine === generation), entropy: { bytes: (n) => randomBytes(n) } },
      firmware,
    )
    if (mine !== generation) return
    trace = outcome.trace.map((it) => it.what).join('\n')
    if (outcome.kind === 'none') {
      clock.timer(10_000, () => mine === generation && reset())
      return
    }
    boots.push(outcome.slot)
    handOver = { slot: outcome.slot, bootId: outcome.bootId, bootMs: clock.monotonicMs() }
    behaviour = behaviourOf(slots[outcome.slot].medium.subarray(0, 4096))
    pet()
    if (behaviour !== 'hang') startAgent()
  }
  const startAgent = (): void => {
    const mine = generation
    const alive = (): boolean => mine === generation
    const link = wire.link(id)
    cutLink = () => link.vanish()
    const machine: Machine = {
      handOver: () => handOver,
      async reboot() {
        reset()
        return never()
      },
      pet,
      run: async () => ({ status: 0, timedOut: false, output: '' }),
      hook: async () => null,
      probe: async () => (behaviour === 'sick' ? 503 : 200),
      hardware: () => ['sim'],
      lastWords: async () => ({ console: 'last words', bootTrace: trace }),
    }
    const events = {
      emit: (event: LogEvent) => {
        if (!alive()) return
        log.push(event)
        it.onLog(event)
      },
    }
    agent = createAgent(
      {
        clock: guarded(clock, alive),
        random: seededRandom(boots.length),
        entropy: { bytes: (count) => randomBytes(count) },
        disks: guarded(disks, alive),
        files: guarded(files, alive),
        link: behaviour === 'no hub' ? deaf : guarded(link, alive),
        fetch: guarded(server, alive),
        machine: guarded(machine, alive),
        codec: inlineCodec,
        events,
        openReleaseFile: async (path) => {
          throw new Error(path)
        },
      },
      settings,
    )
    agent.run().catch((caught: unknown) => {
      if (!alive()) return
      events.emit({ event: 'agent ended', code: faultOf(caught).code, what: faultOf(caught).what })
      clock.timer(300, () => alive() && killAgent())
    })
  }
  const killAgent = (): void => {
    const { slot } = handOver
    generation += 1
    agent = null
    cutLink()
    const mine = generation
    clock.timer(300, () => {
      if (mine === generation && slot === handOver.slot) startAgent()
    })
  }
  const it: TestBoard = {
    id,
    slots,
    bootDisk,
    files,
    log,
    boots,
    agent: () => agent,
    record: async () => present(currentRecord(await readRecord(bootDisk)), 'record'),
    powerOn,
    powerOff,
    killAgent,
    onLog: () => {},
  }
  return it
}

async function writeFactory(slot: MemoryDevice, bootDisk: MemoryDevice, factory: MadeRelease): Promise<void> {
  const { manifest, image } = factory
  const [first] = manifest.images
  const padded = present(first, 'image').paddedBytes
  await slot.write(0, image)
  const tree: { offset: number; block: Uint8Array }[] = []
  const builder = verityBuilder(padded, (offset, block) => tree.push({ offset, block: block.slice() }))
  builder.update(image)
  builder.finish()
  for (const { offset, block } of tree) await slot.write(padded + offset, block)
  const seal = new Uint8Array(4096)
  seal.set(Buffer.from(manifest.seal, 'base64'))
  await slot.write(sealOffset(slot.sizeBytes), seal)
  await slot.flush()
  const empty = { ok: false, sv: 0, tries: 0 }
  const record = {
    a: { ok: true, sv: manifest.securityVersion, tries: 8 },
    b: empty,
    floor: 0,
    priority: 'a' as const,
    sequence: 0,
    others: new Map<string, string>(),
  }
  await writeRecord(bootDisk, chooseCopy(null, null), record)
  await writeStamp(bootDisk, { floor: 0, priority: 'a' })
}

/** A device that several parts open and close. */
function shareable(device: MemoryDevice): MemoryDevice {
  return { ...device, close: async () => {} }
}

function never<T>(): Promise<T> {
  return new Promise<T>(() => {})
}

/** A port whose calls and answers end with the graph that it belongs to. */
function guarded<T extends object>(port: T, alive: () => boolean): T {
  return new Proxy(port, {
    get(target, name, receiver) {
      const value: unknown = Reflect.get(target, name, receiver)
      if (typeof value !== 'function') return value
      return (...args: unknown[]) => {
        if (!alive()) return never()
        const passed = args.map((it) =>
          typeof it === 'function' ? silenced(it as () => unknown, alive) : it,
        )
        const result: unknown = Reflect.apply(value, target, passed)
        if (!(result instanceof Promise)) return result
        return result.then(
          (it: unknown) => (alive() ? inner(it, alive) : never()),
          (caught: unknown) => {
            if (alive()) throw caught
            return never()
          },
        )
      }
    },
  })
}

/** Devices and responses that a port hands out are ports themselves. */
function inner(value: unknown, alive: () => boolean): unknown {
  const isPort = typeof value === 'object' && value !== null && ('read' in value || 'flush' in value)
  return isPort && !(value instanceof Uint8Array) ? guarded(value, alive) : value
}

function silenced(
  call: (...args: unknown[]) => unknown,
  alive: () => boolean,
): (...args: unknown[]) => unknown {
  return (...args) => (alive() ? call(...args) : undefined)
}

const deaf = {
  open: () => {},
  publish: () => Promise.reject(new Error('deaf')),
  subscribe: () => Promise.reject(new Error('deaf')),
  close: async () => {},
}

export function lastReport(board: string, store: MemoryStore): NonNullable<Status['report']> | null {
  const statuses = store.statusLog.filter((it) => it.device === board)
  return statuses.findLast((it) => it.status.report !== undefined)?.status.report ?? null
}

export { fault }
