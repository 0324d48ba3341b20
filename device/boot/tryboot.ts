/**
 * The Raspberry Pi's firmware as a loader: it knows autoboot.txt and a one-shot flag, counts nothing and cannot read
 * the boot record. So the agent of the slot that runs does for it what other loaders do themselves.
 * Promise: record first, then autoboot.txt, which is derived from it, in place and read back; a try is on the medium
 * before the flag is set. An autoboot.txt that is lost, torn or old is put right by whichever slot boots, and where
 * it has started the wrong slot, that one gives way.
 * Leaves to others: the rules (tryboot-rules.ts), seal and dm-verity (the initramfs), one writer at a time.
 */
import { type Autoboot, autobootBytes, printAutoboot } from '../../core/autoboot.ts'
import { readBootCount, writeBootCount } from '../../core/boot-count.ts'
import { readStamp } from '../../core/boot-partition.ts'
import type { BootRecord } from '../../core/boot-record.ts'
import { EverbootError, raise } from '../../core/errors.ts'
import { autobootName, findFatFile, overwriteFatFile, readFatFile } from '../../core/fat-file.ts'
import type { BlockDevice, Disks, Events, FirmwareFacts, Machine } from '../../core/ports.ts'
import { otherSlot, type SlotId, slotIds } from '../../core/units.ts'
import { type AgentSettings, sealPartition, slotKeys } from '../settings.ts'
import { isIntact, readSeal } from '../slots/slot.ts'
import type { Loader, RecordFollower } from './loader.ts'
import { defaultSlot, rebuilt, trialDue, tryTaken } from './tryboot-rules.ts'

const lineFeed = 10

export interface TrybootPorts {
  readonly disks: Disks
  readonly machine: Machine
  readonly events: Events
}

/** @param partitions number of the boot partition of each slot, as autoboot.txt names them */
export function trybootLoader(
  { disks, machine, events }: TrybootPorts,
  settings: AgentSettings,
  partitions: Readonly<Record<SlotId, number>>,
  own: SlotId,
): Loader & RecordFollower {
  const wantedBy = (record: BootRecord): Autoboot => {
    const all = defaultSlot(record, own)
    return { partition: partitions[all], trial: partitions[otherSlot(all)] }
  }
  /** Whether it says what it should; unreadable: it does not. Flushed first, since it may have been written by a program that was killed. */
  const isRight = async (wanted: Autoboot): Promise<boolean> => {
    try {
      return await withAutoboot(disks, async (device) => {
        await device.flush()
        const file = await readFatFile(device, await findFatFile(device, autobootName))
        return Buffer.compare(file, textOf(wanted, file.length)) === 0
      })
    } catch (caught) {
      if (!(caught instanceof EverbootError)) throw caught
      events.emit({ event: 'autoboot unreadable', what: caught.fault.what })
      return false
    }
  }
  /** What was last seen on the medium or written there; null: not known. */
  let known: Autoboot | null = null
  const isKnown = (it: Autoboot): boolean => known?.partition === it.partition && known.trial === it.trial

  const tell = async ({ record }: { readonly record: BootRecord }): Promise<void> => {
    const wanted = wantedBy(record)
    if (isKnown(wanted)) return
    known = null
    if (!(await isRight(wanted))) {
      await withAutoboot(disks, async (device) => {
        const place = await findFatFile(device, autobootName)
        await overwriteFatFile(device, place, textOf(wanted, place.bytes))
      })
      events.emit({ event: 'autoboot', partition: wanted.partition, trial: wanted.trial })
    }
    known = wanted
  }

  return {
    async follow(record) {
      try {
        await tell({ record })
      } catch (caught) {
        if (!(caught instanceof EverbootError)) throw caught
        events.emit({ event: 'autoboot not written', what: caught.fault.what })
      }
    },
    tell,
    rebuild: async () => {
      const stamp = await withDevice(disks.openBoot(), readStamp)
      const versions = { a: null as number | null, b: null as number | null }
      for (const slot of slotIds) versions[slot] = await versionOf(disks, settings, slot, stamp?.floor ?? 0)
      return rebuilt(versions, own, stamp)
    },
    async misplaced({ record, floor }) {
      checkFirmware(machine.firmware?.() ?? null, partitions, own)
      const wanted = wantedBy(record)
      const first = defaultSlot(record, own)
      if (await isRight(wanted)) known = wanted
      // The firmware was not told of what is committed, so nothing speaks against that slot.
      else if (first !== own && record[first].ok && !onTrial(record, own)) return 'strayed'
      return record.priority !== own && trialDue(record, floor, own) ? 'trial due' : null
    },
    async proved() {
      await withDevice(disks.openBoot(), async (device) => {
        if ((await readBootCount(device, own)) > 0) await writeBootCount(device, own, 0)
      })
    },
    async prepareReboot(boot) {
      const { record, floor } = boot
      if (trialDue(record, floor, own)) {
        await tell(boot)
        // The firmware counts nothing: what is not taken now would be tried without end.
        await boot.write(tryTaken(record))
        events.emit({
          event: 'hand over',
          slot: record.priority,
          triesLeft: boot.record[record.priority].tries,
        })
        return 'trial'
      }
      await this.follow(record)
      return undefined
    },
  }
}

/** @throws EverbootError EB-EEPROM, or EB-CONFIG when the partitions of the configuration are not those of the board */
function checkFirmware(
  said: FirmwareFacts | null,
  partitions: Readonly<Record<SlotId, number>>,
  own: SlotId,
): void {
  // Bootloaders that were built before 2024-05 call it 0 on a Raspberry Pi 5.
  if (said === null || said.partition === 0) {
    raise('EB-EEPROM', 'the device tree does not say which partition the firmware has started')
  }
  if (said.partition === partitions[own]) return
  const told = `slot ${own} should have boot partition ${partitions[own]}`
  raise('EB-CONFIG', `tryboot.partitions: the firmware has started partition ${said.partition}, ${told}`)
}

/** A file never changes its length: what was longer is filled up with empty lines. */
function textOf(wanted: Autoboot, bytes: number): Uint8Array {
  const file = new Uint8Array(bytes).fill(lineFeed)
  file.set(printAutoboot(wanted).subarray(0, Math.min(bytes, autobootBytes)))
  return file
}

/** It runs because of the flag: that [all] names the other slot is as it should be. */
function onTrial(record: BootRecord, own: SlotId): boolean {
  return record.priority === own && !record[own].ok
}

/** securityVersion of a slot that verifies at or above the floor, else null. */
async function versionOf(
  disks: Disks,
  settings: AgentSettings,
  slot: SlotId,
  floor: number,
): Promise<number | null> {
  try {
    const seal = await readSeal(disks, slot, sealPartition(settings), slotKeys(settings))
    if (seal === null || seal.securityVersion < floor) return null
    return (await isIntact(disks, slot, seal)) ? seal.securityVersion : null
  } catch (caught) {
    if (!(caught instanceof EverbootError)) throw caught
    return null
  }
}

function withAutoboot<T>(disks: Disks, work: (device: BlockDevice) => Promise<T>): Promise<T> {
  const opening = disks.openAutoboot?.() ?? raise('EB-CONFIG', 'no partition of autoboot.txt is configured')
  return withDevice(opening, work)
}

async function withDevice<T>(
  opening: Promise<BlockDevice>,
  work: (device: BlockDevice) => Promise<T>,
): Promise<T> {
  const device = await opening
  try {
    return await work(device)
  } finally {
    await device.close()
  }
}
