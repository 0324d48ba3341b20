/**
 * The life of a simulated board: boots, agents, cuts, one graph of objects after another.
 * Promise: a graph that is dead can do nothing: its ports never answer again.
 * Leaves to others: what the board is made of (board.ts), what it keeps (board-storage.ts).
 */
import { createHash } from 'node:crypto'
import { type BootOutcome, boot } from '../bootloader-sim/bootloader.ts'
import type { SimDisk } from '../bootloader-sim/devices/block-device.ts'
import { type Fate, fatesOf, type Leftover } from '../bootloader-sim/devices/fate.ts'
import type { SimFiles } from '../bootloader-sim/devices/file-store.ts'
import { mortal, never, silent } from '../bootloader-sim/devices/mortal.ts'
import type { SimLink } from '../bootloader-sim/devices/network.ts'
import type { CutTime, Power } from '../bootloader-sim/devices/power.ts'
import { bootByTryboot } from '../bootloader-sim/tryboot/loader.ts'
import { type Firmware, verifySlot } from '../bootloader-sim/verified-slot.ts'
import { present } from '../core/assert.ts'
import { currentRecord, readRecord, readStamp } from '../core/boot-partition.ts'
import type { BootRecord } from '../core/boot-record.ts'
import { type Fault, faultOf, raise } from '../core/errors.ts'
import type { Disks, Entropy, FirmwareFacts, Link, LogEvent, Machine } from '../core/ports.ts'
import { seededRandom } from '../core/prng.ts'
import type { SlotId } from '../core/units.ts'
import { type Agent, createAgent } from '../device/agent.ts'
import type { AgentSettings } from '../device/settings.ts'
import type { Inhibitors } from '../device/update/hold.ts'
import {
  type BoardImage,
  type BoardWorld,
  initramfsMs,
  type LoaderKind,
  noSlotMs,
  restartMs,
  type SimBoard,
  trybootPartitions,
  watchdogMs,
} from './board-facts.ts'
import type { Storage } from './board-storage.ts'
import { type Behaviour, behaviourOf, bytesOf } from './publisher.ts'
import { allWell } from './surroundings.ts'

export class Board implements SimBoard {
  readonly id: string
  readonly settings: AgentSettings
  readonly wrappingKey: Uint8Array
  readonly storage: Storage
  readonly slots: Readonly<Record<SlotId, SimDisk>>
  readonly bootDisk: SimDisk
  readonly loader: LoaderKind
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
  #on = false
  /** Counts graphs: each boot and each start of the agent is one. */
  #generation: number
  #agent: Agent | null = null
  #link: SimLink | null = null
  #cancelWatchdog = (): void => {}
  /** Ends the wait for a boot that a loss of power has ended. */
  #onGone = (): void => {}
  #handOver = { slot: 'a' as SlotId, bootId: '', bootMs: 0 }
  #behaviour: Behaviour = 'hang'
  #trace = ''
  /** Of a Raspberry Pi: the one-shot flag, which a loss of power clears, and what the device tree says of this boot. */
  #tryboot = false
  #firmware: FirmwareFacts | null = null
  #planned: Leftover | readonly Fate[] = 'lost'

  constructor(
    id: string,
    world: BoardWorld,
    settings: AgentSettings,
    storage: Storage,
    power: Power,
    image: BoardImage | null,
    loader: LoaderKind,
  ) {
    this.id = id
    this.#world = world
    this.loader = loader
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
      openAutoboot: async () =>
        storage.autoboot?.handle() ?? raise('EB-SLOT-MISSING', 'there is no partition of autoboot.txt'),
    }
    power.onCut = () => {
      this.powerOff(this.#planned)
      if (this.onCut() !== undefined) return
      const alive = this.#aliveNow()
      // Unless somebody else has switched it on meanwhile.
      world.time.soon(() => alive() && void this.powerOn())
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
    this.#on = false
    this.#tryboot = false
    this.#stopAll()
    const random = this.#random()
    const fates = typeof leftover === 'string' ? fatesOf(leftover, this.storage.pending(), random) : leftover
    this.storage.crash(fates)
    this.onCrash()
  }

  async powerOn(): Promise<void> {
    if (this.#on) return
    this.#on = true
    const gone = new Promise<void>((resolve) => {
      this.#onGone = resolve
    })
    await Promise.race([this.#boot(), gone])
  }

  async #boot(): Promise<void> {
    this.#generation += 1
    const alive = this.#aliveNow()
    const [sealImage = 'rootfs'] = this.settings.partitions
    const firmware: Firmware = {
      looks: this.loader === 'record-only' ? 'claim' : 'verify',
      sealKeys: this.#world.publisher.trust.seal,
      verify: this.#world.bootVerify,
      sealImage,
    }
    const ports = { disks: mortal(this.#disks, alive), entropy: this.#entropy() }
    const outcome = await this.#start(ports, firmware)
    if (!alive()) return
    const doubt =
      outcome.kind === 'start' && this.loader === 'record-only'
        ? await this.#doubt(firmware, ports.disks, outcome.slot)
        : null
    if (!alive()) return
    const refused = outcome.kind === 'start' && doubt !== null
    this.onBoot(refused ? { kind: 'refused', slot: outcome.slot, why: doubt } : outcome)
    this.#trace = outcome.trace.map((it) => it.what).join('\n')
    const { clock } = this.#world.time
    if (outcome.kind === 'none') {
      clock.timer(noSlotMs, () => alive() && this.#reset())
      return
    }
    this.boots.push(outcome.slot)
    this.bootId = outcome.bootId
    this.#handOver = { slot: outcome.slot, bootId: outcome.bootId, bootMs: clock.monotonicMs() }
    this.#pet()
    if (refused) {
      // The try is the price.
      clock.timer(initramfsMs, () => alive() && this.#reset())
      return
    }
    const says = behaviourOf(this.slots[outcome.slot].medium(0, 4096))
    this.#behaviour = (await this.#isWhole(ports.disks, firmware, outcome))
      ? this.behaves(outcome.slot, says)
      : 'hang'
    if (!alive()) return
    if (this.#behaviour !== 'hang' && this.#behaviour !== 'no agent') this.#startAgent()
  }

  /** Why the first program of the system does not believe the slot that it was started from, or null. */
  async #doubt(firmware: Firmware, disks: Disks, slot: SlotId): Promise<string | null> {
    const record = currentRecord(await readRecord(this.bootDisk))
    const floor = Math.max(record?.floor ?? 0, (await readStamp(this.bootDisk))?.floor ?? 0)
    const verdict = await verifySlot(disks, { ...firmware, looks: 'verify' }, slot, floor)
    return verdict.verified ? null : verdict.why
  }

  async #start(ports: { disks: Disks; entropy: Entropy }, firmware: Firmware): Promise<BootOutcome> {
    if (this.loader !== 'tryboot') return boot(ports, firmware)
    const flag = this.#tryboot
    this.#tryboot = false
    const started = await bootByTryboot({ ...ports, partitions: trybootPartitions }, firmware, flag)
    this.#firmware = started
    return started.outcome
  }

  /** What dm-verity would find; nobody else leaves the images to it. */
  async #isWhole(disks: Disks, firmware: Firmware, { slot }: { slot: SlotId }): Promise<boolean> {
    return this.loader !== 'tryboot' || (await verifySlot(disks, firmware, slot, 0)).verified
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
    this.#onGone()
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
        inhibitors: mortal(this.#inhibitors(), alive),
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

  /** A directory in memory, which outlives the agent. */
  #inhibitors(): Inhibitors {
    const without = (who: string) => this.system.inhibitors.filter((it) => it.who !== who)
    return {
      list: async () => this.system.inhibitors,
      hold: async (it) => {
        this.system.inhibitors = [...without(it.who), it]
      },
      release: async (who) => {
        const rest = without(who)
        const held = rest.length < this.system.inhibitors.length
        this.system.inhibitors = rest
        return held
      },
    }
  }

  #machine(): Machine {
    return {
      handOver: () => this.#handOver,
      firmware: () => this.system.firmware(this.#firmware),
      reboot: async (how) => {
        this.system.reboot()
        this.powerOff()
        this.#tryboot = how === 'trial'
        void this.powerOn()
        return never()
      },
      pet: () => this.#pet(),
      run: async (argv) => this.system.run(argv),
      hook: async (name, environment) => this.system.hook(name, environment),
      probe: async () => this.system.probe(this.#behaviour),
      hardware: () => this.system.hardware,
      lastWords: async () => ({
        console: 'last words',
        bootTrace: this.#trace,
        ...(this.system.crash === null ? {} : { crash: this.system.crash }),
      }),
      forgetCrash: async (crash) => {
        if (this.system.crash === crash) this.system.crash = null
      },
    }
  }
}
