/**
 * One board in virtual time: the real bootloader and the real agent (by its factory) over port doubles.
 * Promise: a reset or a kill leaves every port of the old graph unanswered for ever; a boot is a new graph
 * over the bytes that are left; a loss of power loses what was not flushed.
 * Leaves to others: hub and network (world.ts).
 */
import { randomBytes } from 'node:crypto'
import { boot } from '../../bootloader-sim/bootloader.ts'
import { verifyNoble } from '../../bootloader-sim/verify-noble.ts'
import { present } from '../../core/assert.ts'
import { currentRecord, readRecord, writeRecord, writeStamp } from '../../core/boot-partition.ts'
import { type BootRecord, bootPartition, chooseCopy } from '../../core/boot-record.ts'
import { type Fault, faultOf, raise } from '../../core/errors.ts'
import type { Disks, HookName, LogEvent, Machine, ProgramResult } from '../../core/ports.ts'
import { seededRandom } from '../../core/prng.ts'
import type { SlotId } from '../../core/units.ts'
import { inlineCodec } from '../../device/adapters/codec.ts'
import { type Agent, createAgent } from '../../device/agent.ts'
import type { ReleaseFile } from '../../device/board.ts'
import type { AgentSettings } from '../../device/settings.ts'
import { sealOffset } from '../../images/release/slot-layout.ts'
import { verityBuilder } from '../../images/release/verity.ts'
import { verifyEd25519 } from '../../keys/verify-node.ts'
import { guarded, never, silent } from './guarded.ts'
import { type MemoryFiles, memoryFiles } from './memory-files.ts'
import type { Broker, FileServer } from './net.ts'
import { type CutTime, createPower, type Leftover } from './power.ts'
import { type Behaviour, behaviourOf, type MadeRelease, type Publisher } from './publisher.ts'
import { type TestDisk, testDisk } from './test-disk.ts'
import type { VirtualTime } from './virtual-time.ts'

/** Smaller than the real one: what watches over a boot until its agent pets. */
export const watchdogMs = 60_000

export interface BoardOptions {
  readonly slotBytes?: number
  /** The bootloader verifies by node:crypto, not by its own slower verifier; for long sweeps. */
  readonly quick?: boolean
  readonly settings?: Partial<AgentSettings>
}

/** What surrounds the agent on the board; tests change it. */
export interface TestSystem {
  probe: (behaviour: Behaviour) => number | null | Promise<number | null>
  run: (argv: readonly string[]) => ProgramResult
  hook: (name: HookName, environment: Readonly<Record<string, string>>) => ProgramResult | null
  hardware: readonly string[]
  /** May throw what the adapter would throw. */
  openSlot: (slot: SlotId, image: string, mode: 'read' | 'exclusive') => void
  openBoot: () => void
  reboot: () => void
  wallMs: (trueMs: number) => number
  openReleaseFile: (path: string) => Promise<ReleaseFile>
}

export interface TestBoard {
  readonly id: string
  readonly settings: AgentSettings
  readonly wrappingKey: Uint8Array
  /** The first partition of each slot. */
  readonly slots: Readonly<Record<SlotId, TestDisk>>
  partition(slot: SlotId, name: string): TestDisk
  readonly bootDisk: TestDisk
  readonly files: MemoryFiles
  readonly system: TestSystem
  readonly log: LogEvent[]
  /** Slots of all boots so far. */
  readonly boots: SlotId[]
  /** Faults with which the agent ended by itself. */
  readonly ends: Fault[]
  /** Operations on storage so far, by name. */
  readonly operations: readonly string[]
  agent(): Agent | null
  record(): Promise<BootRecord>
  powerOn(): Promise<void>
  /** Everything stops in this instant. */
  powerOff(leftover?: Leftover): void
  /** Plans a loss of power at the n-th operation from now on; the board is switched on again at once. */
  cutAt(n: number, time: CutTime, leftover: Leftover): void
  /** The same at the first operation that matches. */
  cutWhen(match: (name: string) => boolean, time: CutTime, leftover: Leftover): void
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
}

export interface Surroundings {
  readonly time: VirtualTime
  readonly publisher: Publisher
  readonly broker: Broker
  readonly server: FileServer
}

export async function createBoard(
  id: string,
  factory: MadeRelease,
  around: Surroundings,
  options: BoardOptions = {},
): Promise<TestBoard> {
  const { time, publisher, broker, server } = around
  const { clock } = time
  const power = createPower()
  const chance = seededRandom(id.length)
  const settings = settingsOf(id, publisher, options)
  const partitions = new Map<string, TestDisk>()
  for (const slot of ['a', 'b'] as const) {
    for (const name of settings.partitions) {
      const disk = testDisk(`slot ${slot}`, options.slotBytes ?? 256 * 1024, 4096, power)
      partitions.set(`${slot} ${name}`, disk)
    }
  }
  const partition = (slot: SlotId, name: string): TestDisk =>
    partitions.get(`${slot} ${name}`) ?? raise('EB-SLOT-MISSING', `slot ${slot} has no partition ${name}`)
  const [first = 'rootfs'] = settings.partitions
  const slots = { a: partition('a', first), b: partition('b', first) }
  const bootDisk = testDisk('boot', bootPartition.bytesMin, 4096, power)
  const files = memoryFiles(power)
  await writeFactory((name) => partition('a', name), bootDisk, factory)

  const system = defaultSystem()
  const disks: Disks = {
    async openSlot(slot, image, mode) {
      system.openSlot(slot, image, mode)
      return partition(slot, image)
    },
    async openBoot() {
      system.openBoot()
      return bootDisk
    },
  }
  let generation = 0
  let agent: Agent | null = null
  let cancelWatchdog = (): void => {}
  let vanish = (): void => {}
  let handOver = { slot: 'a' as SlotId, bootId: '', bootMs: 0 }
  let behaviour: Behaviour = 'hang'
  let trace = ''
  let leftoverOfCut: Leftover = 'lost'

  const stopAll = (): void => {
    generation += 1
    agent = null
    cancelWatchdog()
    vanish()
  }
  const powerOff = (leftover: Leftover = 'lost'): void => {
    stopAll()
    for (const disk of [...partitions.values(), bootDisk]) disk.crash(leftover, chance)
    files.crash(leftover)
  }
  const reset = (): void => {
    powerOff()
    void powerOn()
  }
  power.onCut = () => {
    powerOff(leftoverOfCut)
    if (it.onCut() === undefined) time.soon(() => void powerOn())
  }
  const pet = (): void => {
    cancelWatchdog()
    cancelWatchdog = clock.timer(watchdogMs, reset)
  }
  async function powerOn(): Promise<void> {
    generation += 1
    const mine = generation
    const verify = options.quick === true ? verifyEd25519 : verifyNoble
    const firmware = { sealKeys: publisher.trust.seal, verify, sealImage: first }
    const ports = {
      disks: guarded(disks, () => mine === generation),
      entropy: { bytes: (count: number) => randomBytes(count) },
    }
    const outcome = await boot(ports, firmware)
    if (mine !== generation) return
    trace = outcome.trace.map((it) => it.what).join('\n')
    if (outcome.kind === 'none') {
      clock.timer(10_000, () => mine === generation && reset())
      return
    }
    it.boots.push(outcome.slot)
    handOver = { slot: outcome.slot, bootId: outcome.bootId, bootMs: clock.monotonicMs() }
    behaviour = it.behaves(outcome.slot, behaviourOf(slots[outcome.slot].medium(0, 4096)))
    pet()
    if (behaviour !== 'hang') startAgent()
  }
  const machine: Machine = {
    handOver: () => handOver,
    async reboot() {
      system.reboot()
      reset()
      return never()
    },
    pet,
    run: async (argv) => system.run(argv),
    hook: async (name, environment) => system.hook(name, environment),
    probe: async () => system.probe(behaviour),
    hardware: () => system.hardware,
    lastWords: async () => ({ console: 'last words', bootTrace: trace }),
  }
  const startAgent = (): void => {
    const mine = generation
    const alive = (): boolean => mine === generation
    const link = broker.link(id)
    vanish = () => link.vanish()
    const events = {
      emit: (event: LogEvent) => {
        if (!alive()) return
        it.log.push(event)
        it.onLog(event)
      },
    }
    agent = createAgent(
      {
        clock: guarded({ ...clock, wallMs: () => system.wallMs(clock.wallMs()) }, alive),
        random: seededRandom(it.boots.length),
        entropy: { bytes: (count) => randomBytes(count) },
        disks: guarded(disks, alive),
        files: guarded(files, alive),
        link: behaviour === 'no hub' ? silent : guarded(link, alive),
        fetch: guarded(server, alive),
        machine: guarded(machine, alive),
        codec: inlineCodec,
        events,
        openReleaseFile: (path) => system.openReleaseFile(path),
      },
      settings,
    )
    agent.run().then(
      () => it.onEnd(),
      (caught: unknown) => {
        if (!alive()) return
        it.ends.push(faultOf(caught))
        events.emit({ event: 'agent ended', code: faultOf(caught).code, what: faultOf(caught).what })
        clock.timer(300, () => alive() && killAgent())
      },
    )
  }
  const killAgent = (): void => {
    if (agent === null) return
    generation += 1
    agent = null
    vanish()
    const mine = generation
    clock.timer(300, () => {
      if (mine === generation) startAgent()
    })
  }
  const it: TestBoard = {
    id,
    settings,
    wrappingKey: settings.wrappingKey,
    slots,
    partition,
    bootDisk,
    files,
    system,
    log: [],
    boots: [],
    ends: [],
    operations: power.operations,
    agent: () => agent,
    record: async () => present(currentRecord(await readRecord(bootDisk)), 'record'),
    powerOn,
    powerOff,
    cutAt(n, when, leftover) {
      leftoverOfCut = leftover
      power.cutWhen((_, at) => at === n, when)
    },
    cutWhen(match, when, leftover) {
      leftoverOfCut = leftover
      power.cutWhen(match, when)
    },
    onCut: () => undefined,
    killAgent,
    cutLink: () => broker.cut(id),
    onEnd: () => {},
    behaves: (_, behaviour) => behaviour,
    onLog: () => {},
  }
  return it
}

function settingsOf(id: string, publisher: Publisher, options: BoardOptions): AgentSettings {
  return {
    deviceId: id,
    product: 'demo',
    hubUrl: 'https://hub',
    trust: publisher.trust,
    verify: verifyEd25519,
    wrappingKey: randomBytes(32),
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

function defaultSystem(): TestSystem {
  return {
    probe: (behaviour) => (behaviour === 'sick' ? 503 : 200),
    run: () => ({ status: 0, timedOut: false, output: '' }),
    hook: () => null,
    hardware: ['sim'],
    openSlot: () => {},
    openBoot: () => {},
    reboot: () => {},
    wallMs: (trueMs) => trueMs,
    openReleaseFile: async (path) => raise('EB-FILE', `${path} does not exist`),
  }
}

/** Slot A as the factory leaves it: images, trees, seal, committed; slot B empty. */
async function writeFactory(
  partition: (name: string) => TestDisk,
  bootDisk: TestDisk,
  factory: MadeRelease,
): Promise<void> {
  const { manifest, images } = factory
  for (const [name, image] of images) {
    const disk = partition(name)
    await disk.write(0, image)
    const tree: { offset: number; block: Uint8Array }[] = []
    const builder = verityBuilder(image.length, (offset, block) =>
      tree.push({ offset, block: block.slice() }),
    )
    builder.update(image)
    builder.finish()
    for (const { offset, block } of tree) await disk.write(image.length + offset, block)
    await disk.flush()
  }
  const disk = partition('rootfs')
  const seal = new Uint8Array(4096)
  seal.set(Buffer.from(manifest.seal, 'base64'))
  await disk.write(sealOffset(disk.sizeBytes), seal)
  await disk.flush()
  const record = {
    a: { ok: true, sv: manifest.securityVersion, tries: 8 },
    b: { ok: false, sv: 0, tries: 0 },
    floor: 0,
    priority: 'a' as const,
    sequence: 0,
    others: new Map<string, string>(),
  }
  await writeRecord(bootDisk, chooseCopy(null, null), record)
  await writeStamp(bootDisk, { floor: 0, priority: 'a' })
}
