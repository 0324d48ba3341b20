/**
 * Which disk may be overwritten: a decision over facts of the machine.
 * Promise: a disk that is used in any way that the kernel tells of is refused, whatever options are given; that
 * goes for everything that lies on it too, over partitions, volume groups, arrays and crypt devices.
 * Leaves to others: gathering the facts (adapters/machine-facts.ts); uses that only show when the disk is opened.
 */
import { type Fault, fault } from '../../core/errors.ts'
import { bytesText } from '../../core/units.ts'

/** A block device of any kind. */
export interface BlockFacts {
  /** `sda1` */
  readonly name: string
  /** `8:1` */
  readonly number: string
  readonly sizeBytes: number
  readonly readOnly: boolean
  /** Name of the disk that it is a partition of. */
  readonly parent: string | null
  /** Names of what the kernel builds on it: `dm-0`, `md0`. */
  readonly holders: readonly string[]
}

export interface DiskFacts extends BlockFacts {
  readonly model: string
  /** How it is connected: `usb`, `sd`, `loop`, `nvme` … */
  readonly transport: string
  /** What the kernel says; many card readers inside a computer say no. */
  readonly removableFlag: boolean
  readonly sectorBytes: number
  /** Different for each medium that was ever put in. */
  readonly sequence: string
}

export interface MachineFacts {
  readonly disks: readonly DiskFacts[]
  /** Disks, partitions and all others. */
  readonly blocks: readonly BlockFacts[]
  /** What is mounted where, by number of the device. */
  readonly mounts: readonly { readonly number: string; readonly at: string }[]
  /** Numbers of the devices that are swapped to. */
  readonly swaps: readonly string[]
}

export interface Use {
  readonly kind: 'system' | 'mounted' | 'swap' | 'holder'
  /** The block device that is used: the disk, a partition, or what lies on one. */
  readonly device: string
  /** Mount point or name of the holder. */
  readonly by: string
}

/** Everything that uses the disk or anything on it. */
export function usesOf(facts: MachineFacts, disk: string): readonly Use[] {
  const names = everythingOn(facts, disk)
  return facts.blocks
    .filter((it) => names.has(it.name))
    .flatMap((block) => {
      const device = block.name
      const mounts = facts.mounts
        .filter((it) => it.number === block.number)
        .map((it): Use => ({ kind: isOfSystem(it.at) ? 'system' : 'mounted', device, by: it.at }))
      const swap: readonly Use[] = facts.swaps.includes(block.number)
        ? [{ kind: 'swap', device, by: 'swap' }]
        : []
      return [...mounts, ...swap, ...block.holders.map((by): Use => ({ kind: 'holder', device, by }))]
    })
}

/** The disk, its partitions, what holds these, and so on. */
function everythingOn(facts: MachineFacts, disk: string): ReadonlySet<string> {
  const names = new Set([disk])
  // A set that grows while it is walked: what is added is visited too, each name once.
  for (const name of names) {
    for (const it of facts.blocks) {
      if (it.parent === name) names.add(it.name)
      if (it.name === name) for (const holder of it.holders) names.add(holder)
    }
  }
  return names
}

const systemPlaces = /^\/($|(boot|efi|etc|usr|sysroot)(\/|$)|(home|nix|opt|root|srv|var)$)/

function isOfSystem(mountPoint: string): boolean {
  return systemPlaces.test(mountPoint)
}

export function isRemovable(disk: DiskFacts): boolean {
  return disk.removableFlag || disk.transport === 'usb' || disk.transport === 'sd'
}

/** @returns why the disk must not be overwritten, or null. */
export function refusal(facts: MachineFacts, disk: DiskFacts, anyDisk: boolean): Fault | null {
  const uses = usesOf(facts, disk.name)
  const used = (kind: Use['kind']): Use | undefined => uses.find((it) => it.kind === kind)
  const path = `/dev/${disk.name}`
  const system = used('system') ?? used('swap') ?? used('holder')
  if (system !== undefined)
    return fault('EB-DISK-SYSTEM', `${path} must not be overwritten: ${useText(system)}`)
  const mount = used('mounted')
  if (mount !== undefined) {
    const all = uses.filter((it) => it.kind === 'mounted').map((it) => `/dev/${it.device}`)
    const todo = `unmount it: umount ${[...new Set(all)].join(' ')}`
    return fault('EB-DISK-BUSY', `${path} is in use: ${useText(mount)}`, todo)
  }
  if (disk.sizeBytes === 0)
    return fault('EB-DISK-MISSING', `${path} holds no medium`, 'put a card or stick in')
  if (disk.readOnly) return fault('EB-DISK-READ-ONLY', `${path} is read-only`)
  if (!anyDisk && !isRemovable(disk)) {
    return fault('EB-DISK-FIXED', `${path} (${describe(disk)}) is not removable`)
  }
  return null
}

/** A use in words. */
export function useText(it: Use): string {
  if (it.kind === 'swap') return `${it.device} is swap of this machine`
  if (it.kind === 'holder') return `${it.device} is part of ${it.by}`
  return `${it.device} is mounted at ${it.by}`
}

/** @returns EB-DISK-SMALL when an image of so many bytes is too long for the disk, or null. */
export function misfit(path: string, diskBytes: number, imageBytes: number): Fault | null {
  if (imageBytes <= diskBytes) return null
  const sizes = `${bytesText(diskBytes)} (${diskBytes} bytes), the image ${bytesText(imageBytes)} (${imageBytes} bytes)`
  return fault('EB-DISK-SMALL', `${path} has ${sizes}`)
}

/** Whether the disk is still the one that was looked at before. */
export function isSameDisk(one: DiskFacts, other: DiskFacts): boolean {
  const key = (it: DiskFacts): string => [it.name, it.number, it.sizeBytes, it.sequence, it.model].join('\n')
  return key(one) === key(other)
}

/** Without control characters, with which a stick could write to the terminal. */
export function plainText(text: string): string {
  return text.replace(/[\p{C}\s]+/gu, ' ').trim()
}

/** Size, model and connection, for people. */
export function describe(disk: DiskFacts): string {
  return [bytesText(disk.sizeBytes), disk.model, disk.transport].filter((it) => it !== '').join(', ')
}
