/**
 * One board in virtual time: the real bootloader and the real agent (by its factory) over strict devices.
 * Promise: a reset or a kill leaves every port of the old graph unanswered for ever; a boot is a new graph
 * over the bytes that are left; a loss of power leaves to fate what was not flushed.
 * Leaves to others: hub and network (world.ts), what is on the disks (board-storage.ts).
 */
import { createHash } from 'node:crypto'
import { type BootOutcome, boot } from '../bootloader-sim/bootloader.ts'
import type { SimDisk } from '../bootloader-sim/devices/block-device.ts'
import type { VirtualTime } from '../bootloader-sim/devices/clock.ts'
import { type Fate, fatesOf, type Leftover } from '../bootloader-sim/devices/fate.ts'
import type { SimFiles } from '../bootloader-sim/devices/file-store.ts'
import { mortal, never, silent } from '../bootloader-sim/devices/mortal.ts'
import type { Broker, FileServer, SimLink } from '../bootloader-sim/devices/network.ts'
import { type CutTime, createPower, type Power } from '../bootloader-sim/devices/power.ts'
import { present } from '../core/assert.ts'
import { currentRecord, readRecord } from '../core/boot-partition.ts'
import type { BootRecord } from '../core/boot-record.ts'
import { type Fault, faultOf } from '../core/errors.ts'
import type { Disks, Entropy, Link, LogEvent, Machine, PieceCodec } from '../core/ports.ts'
import { seededRandom } from '../core/prng.ts'
import type { SlotId } from '../core/units.ts'
import { type Agent, createAgent } from '../device/agent.ts'
import type { AgentSettings } from '../device/settings.ts'
import type { Verify } from '../keys/public-key.ts'
import { createStorage, type Storage, type StorageImage, writeFactory } from './board-storage.ts'
import { type Behaviour, behaviourOf, bytesOf, type MadeRelease, type Publisher } from './publisher.ts'
import { allWell, type Surroundings } from './surroundings.ts'

/** Smaller than the real one: what watches over a boot until its agent pets. */
export const watchdogMs = 60_000
/** Before the next boot when no slot can be started, and before a killed agent is started again. */
const noSlotMs = 10_000
const restartMs = 300

export interface BoardOptions {
  readonly slotBytes?: number
  readonly sectorBytes?: 512 | 4096
  readonly settings?: Partial<AgentSettings>
}

/** What the board is connected to, and how it checks. */
export interface BoardWorld {
  readonly time: VirtualTime
  readonly publisher: Publisher
  readonly broker: Broker
  readonly server: FileServer
  readonly seed: number
  /** Of the bootloader's firmware. */
  readonly bootVerify: Verify
  readonly agentVerify: Verify
  readonly codec: PieceCodec
}

/** What of a board outlives a cut of its power. */
export interface BoardImage {
  readonly storage: StorageImage
  readonly generation: number
  readonly boots: readonly SlotId[]
}

export interface SimBoard {
  readonly id: string
  readonly settings: AgentSettings
  readonly wrappingKey: Uint8Array
  readonly storage: Storage
  /** The first partition of each slot. */
  readonly slots: Readonly<Record<SlotId, SimDisk>>
  partition(slot: SlotId, name: string): SimDisk
  readonly bootDisk: SimDisk
  readonly files: SimFiles
  readonly system: Surroundings
  readonly power: Power
  readonly log: LogEvent[]
  /** Slots of all boots so far. */
  readonly boots: SlotId[]
  /** `everboot.boot` of the boot that runs; empty before the first. */
  readonly bootId: string
  /** Faults with which the agent ended by itself. */
  readonly ends: Fault[]
  /** Operations on storage so far, by name. */
  readonly operations: readonly string[]
  agent(): Agent | null
  record(): Promise<BootRecord>
  image(): BoardImage
  powerOn(): Promise<void>
  /** Everything stops in this instant. */
  powerOff(leftover?: Leftover | readonly Fate[]): void
  /** Plans a loss of power at the n-th operation from now on; the board is switched on again at once. */
  cutAt(n: number, time: CutTime, leftover: Leftover | readonly Fate[]): void
  /** The same at the first operation that matches. */
  cutWhen(match: (name: string) => boolean, time: CutTime, leftover: Leftover | readonly Fate[]): void
  /** Called at a planned cut; the power comes back at once, unless the answer is `stay off`. */
  onCut: () => 'stay off' | undefined
  /** The agent is killed, the system runs on and starts it again. */
  killAgent(): void
  /** The connection to the broker breaks, and its will is published; it is made again at once. */
  cutLink(): void
  /** Called when a run of the agent ends without a fault. */
  onEnd: () => void
  /** How the system in a slot behaves, given what its image says. */
  behaves: (slot: SlotId, behaviour: Behaviour) => Behaviour
  /** Called at each log event of the agent. */
  onLog: (event: LogEvent) => void
  /** Called at each decision of the bootloader. */
  onBoot: (outcome: BootOutcome) => void
  /** Called when the power has gone and fate has decided. */
  onCrash: () => void
  /** Called when the agent is killed. */
  onKill: () => void
}

/** @param from the release that the factory wrote, or what another board left behind */
export async function createBoard(
  id: string,
  from: { readonly factory: MadeRelease } | { readonly image: BoardImage },
  world: BoardWorld,
  options: BoardOptions = {},
): Promise<SimBoard> {
  const power = createPower()
  const settings = settingsOf(id, world, options)
  const storage = createStorage(
    {
      partitions: settings.partitions,
      slotBytes: options.slotBytes ?? 256 * 1024,
      sectorBytes: options.sectorBytes ?? 4096,
    },
    power,
  )
  if ('image' in from) storage.restore(from.image.storage)
  else await writeFactory(storage, from.factory)
  return new Board(id, world, settings, storage, power, 'image' in from ? from.image : null)
}

class Board implements SimBoard {
  readonly id: string
  readonly settings: AgentSettings
  readonly wrappingKey: Uint8Array
  readonly storage: Storage
  readonly slots: Readonly<Record<SlotId, SimDisk>>
  readonly bootDisk: SimDisk
  readonly files: SimFiles
  readonly system = allWell()
  readonly power: Power
  readonly log: LogEvent[] = []
  readonly boots: SlotId[]
  readonly ends: Fault[] = []
  readonly operations: readonly string[]
  onCut: SimBoard['onCut'] = () => undefined
  onEnd = (): void => {}
  onLog: SimBoard['onLog'] = () => {}
  onBoot: SimBoard['onBoot'] = () => {}
  onCrash = (): void => {}
  onKill = (): void => {}
  behaves: SimBoard['behaves'] = (_, behaviour) => behaviour
  bootId = ''
  readonly #world: BoardWorld
  readonly #disks: Disks
  /** Counts graphs: each boot and each start of the agent is one. */
  #generation: number
  #agent: Agent | null = null
  #link: SimLink | null = null
  #cancelWatchdog = (): void => {}
  #handOver = { slot: 'a' as SlotId, bootId: '', bootMs: 0 }
  #behaviour: Behaviour = 'hang'
  #trace = ''
  #planned: Leftover | readonly Fate[] = 'lost'

  constructor(
    id: string,
    world: BoardWorld,
    settings: AgentSettings,
    storage: Storage,
    power: Power,
    image: BoardImage | null,
  ) {
    this.id = id
    this.#world = world
    this.settings = settings
    this.wrappingKey = settings.wrappingKey
    this.storage = storage
    this.power = power
    this.operations = power.operations
    const [first = 'rootfs'] = settings.partitions
    this.slots = { a: storage.partition('a', first), b: storage.partition('b', first) }
    this.bootDisk = storage.boot
    this.files = storage.files
    this.#generation = image?.generation ?? 0
    this.boots = [...(image?.boots ?? [])]
    this.#disks = {
      openSlot: async (slot, name, mode) => {
        this.system.openSlot(slot, name, mode)
        return storage.partition(slot, name).handle()
      },
      openBoot: async () => {
        this.system.openBoot()
        return storage.boot.handle()
      },
    }
    power.onCut = () => {
      this.powerOff(this.#planned)
      if (this.onCut() === undefined) world.time.soon(() => void this.powerOn())
    }
  }

  agent(): Agent | null {
    return this.#agent
  }

  partition(slot: SlotId, name: string): SimDisk {
    return this.storage.partition(slot, name)
  }

  async record(): Promise<BootRecord> {
    return present(currentRecord(await readRecord(this.bootDisk)), 'record')
  }

  image(): BoardImage {
    return { storage: this.storage.image(), generation: this.#generation, boots: [...this.boots] }
  }

  powerOff(leftover: Leftover | readonly Fate[] = 'lost'): void {
    this.#stopAll()
    const random = this.#random()
    const fates = typeof leftover === 'string' ? fatesOf(leftover, this.storage.pending(), random) : leftover
    this.storage.crash(fates)
    this.onCrash()
  }

  async powerOn(): Promise<void> {
    this.#generation += 1
    const alive = this.#aliveNow()
    const [sealImage = 'rootfs'] = this.settings.partitions
    const firmware = {
      sealKeys: this.#world.publisher.trust.seal,
      verify: this.#world.bootVerify,
      sealImage,
    }
    const ports = { disks: mortal(this.#disks, alive), entropy: this.#entropy() }
    const outcome = await boot(ports, firmware)
    if (!alive()) return
    this.onBoot(outcome)
    this.#trace = outcome.trace.map((it) => it.what).join('\n')
    const { clock } = this.#world.time
    if (outcome.kind === 'none') {
      clock.timer(noSlotMs, () => alive() && this.#reset())
      return
    }
    this.boots.push(outcome.slot)
    this.bootId = outcome.bootId
    this.#handOver = { slot: outcome.slot, bootId: outcome.bootId, bootMs: clock.monotonicMs() }
    const says = behaviourOf(this.slots[outcome.slot].medium(0, 4096))
    this.#behaviour = this.behaves(outcome.slot, says)
    this.#pet()
    if (this.#behaviour !== 'hang') this.#startAgent()
  }

  cutAt(n: number, time: CutTime, leftover: Leftover | readonly Fate[]): void {
    this.#planned = leftover
    this.power.cutWhen((_, at) => at === n, time)
  }

  cutWhen(match: (name: string) => boolean, time: CutTime, leftover: Leftover | readonly Fate[]): void {
    this.#planned = leftover
    this.power.cutWhen(match, time)
  }

  killAgent(): void {
    if (this.#agent === null) return
    this.#generation += 1
    this.onKill()
    this.#agent = null
    this.#link?.vanish()
    const alive = this.#aliveNow()
    this.#world.time.clock.timer(restartMs, () => {
      if (alive()) this.#startAgent()
    })
  }

  cutLink(): void {
    this.#world.broker.cut(this.id)
  }

  #stopAll(): void {
    this.#generation += 1
    this.#agent = null
    this.#cancelWatchdog()
    this.#link?.vanish()
    this.#link = null
  }

  #reset(): void {
    this.powerOff()
    void this.powerOn()
  }

  #pet(): void {
    this.#cancelWatchdog()
    this.#cancelWatchdog = this.#world.time.clock.timer(watchdogMs, () => this.#reset())
  }

  #aliveNow(): () => boolean {
    const mine = this.#generation
    return () => mine === this.#generation
  }

  /** Chance of one graph: the same seed and generation, the same numbers. */
  #random() {
    const digest = createHash('sha256').update(`${this.#world.seed} ${this.id} ${this.#generation}`).digest()
    return seededRandom(digest.readUIntBE(0, 6))
  }

  #entropy(): Entropy {
    const random = this.#random()
    return { bytes: (count) => bytesOf(random, count) }
  }

  #startAgent(): void {
    const alive = this.#aliveNow()
    const { time, broker, server, codec } = this.#world
    const { clock } = time
    this.#link = broker.link(this.id)
    const events = {
      emit: (event: LogEvent) => {
        if (!alive()) return
        this.log.push(event)
        this.onLog(event)
      },
    }
    const link: Link = this.#behaviour === 'no hub' ? silent : mortal(this.#counted(this.#link), alive)
    this.#agent = createAgent(
      {
        clock: mortal({ ...clock, wallMs: () => this.system.wallMs(clock.wallMs()) }, alive),
        random: this.#random(),
        entropy: this.#entropy(),
        disks: mortal(this.#disks, alive),
        files: mortal(this.files, alive),
        link,
        fetch: mortal(server, alive),
        machine: mortal(this.#machine(), alive),
        codec,
        events,
        openReleaseFile: (path) => this.system.openReleaseFile(path),
      },
      this.settings,
    )
    this.#agent.run().then(
      () => this.onEnd(),
      (caught: unknown) => {
        if (!alive()) return
        const it = faultOf(caught)
        this.ends.push(it)
        events.emit({ event: 'agent ended', code: it.code, what: it.what })
        clock.timer(restartMs, () => alive() && this.killAgent())
      },
    )
  }

  /** What the hub hears is an operation too: the power can go before it, or before its answer. */
  #counted(link: Link): Link {
    return {
      open: (listener, will) => link.open(listener, will),
      publish: (message) => this.power.step(`link publish ${message.topic}`, () => link.publish(message)),
      subscribe: (topics) => link.subscribe(topics),
      close: () => link.close(),
    }
  }

  #machine(): Machine {
    return {
      handOver: () => this.#handOver,
      reboot: async () => {
        this.system.reboot()
        this.#reset()
        return never()
      },
      pet: () => this.#pet(),
      run: async (argv) => this.system.run(argv),
      hook: async (name, environment) => this.system.hook(name, environment),
      probe: async () => this.system.probe(this.#behaviour),
      hardware: () => this.system.hardware,
      lastWords: async () => ({ console: 'last words', bootTrace: this.#trace }),
    }
  }
}

function settingsOf(
  id: string,
  { publisher, agentVerify }: BoardWorld,
  options: BoardOptions,
): AgentSettings {
  return {
    deviceId: id,
    product: 'demo',
    hubUrl: 'https://hub',
    trust: publisher.trust,
    verify: agentVerify,
    wrappingKey: createHash('sha256').update(`key of ${id}`).digest(),
    partitions: ['rootfs'],
    health: {
      checks: [{ name: 'service', probe: 'unix:/run/service.sock:/health' }],
      deadlineMs: 30_000,
      networkDeadlineMs: 900_000,
    },
    rebootDelayMs: 5_000,
    ...options.settings,
  }
}
