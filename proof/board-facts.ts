/**
 * What a simulated board is to others: its parts, its switches, what can be seen of it.
 */
import type { BootOutcome } from '../bootloader-sim/bootloader.ts'
import type { SimDisk } from '../bootloader-sim/devices/block-device.ts'
import type { VirtualTime } from '../bootloader-sim/devices/clock.ts'
import type { Fate, Leftover } from '../bootloader-sim/devices/fate.ts'
import type { SimFiles } from '../bootloader-sim/devices/file-store.ts'
import type { Broker, FileServer } from '../bootloader-sim/devices/network.ts'
import type { CutTime, Power } from '../bootloader-sim/devices/power.ts'
import type { BootRecord } from '../core/boot-record.ts'
import type { Fault } from '../core/errors.ts'
import type { LogEvent, PieceCodec } from '../core/ports.ts'
import type { SlotId } from '../core/units.ts'
import type { Agent } from '../device/agent.ts'
import type { AgentSettings } from '../device/settings.ts'
import type { Verify } from '../keys/public-key.ts'
import type { Storage, StorageImage } from './board-storage.ts'
import type { Behaviour, Publisher } from './publisher.ts'
import type { Surroundings } from './surroundings.ts'

/** Smaller than the real one: what watches over a boot until its agent pets. */
export const watchdogMs = 60_000
/** Before the next boot when no slot can be started, and before a killed agent is started again. */
export const noSlotMs = 10_000
export const restartMs = 300

/** Before a system that does not believe its slot resets the board. */
export const initramfsMs = 1_000

/** Boot partitions of the slots of a board that is started by tryboot. */
export const trybootPartitions = { a: 2, b: 3 } as const

/**
 * `verifying`: the loader checks seal and images itself. `record-only`: it goes by record and claims, and what it
 * starts checks the slot, as on boards with a stock U-Boot. `tryboot`: the firmware of a Raspberry Pi, which knows
 * autoboot.txt and a one-shot flag; the initramfs checks the seal, dm-verity the image.
 */
export const loaderKinds = ['verifying', 'record-only', 'tryboot'] as const
export type LoaderKind = (typeof loaderKinds)[number]

/** `refused`: the slot was started by a loader that cannot verify, and what it started did not believe the slot. */
export type BootSeen = BootOutcome | { readonly kind: 'refused'; readonly slot: SlotId; readonly why: string }

export interface BoardOptions {
  readonly loader?: LoaderKind
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
  readonly allocate?: ((bytes: number) => Uint8Array) | undefined
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
  readonly loader: LoaderKind
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
  /** Resolves when the bootloader has decided, or the power has gone again; nothing happens while the power is on. */
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
  onBoot: (outcome: BootSeen) => void
  /** Called when the power has gone and fate has decided. */
  onCrash: () => void
  /** Called when the agent is killed. */
  onKill: () => void
}
