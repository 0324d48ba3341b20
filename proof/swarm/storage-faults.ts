/**
 * Faults of the storage of a board: its data partition, its slots, its boot partition.
 * Promise: as of the atlas (fault-atlas.ts): none takes away both copies of the record, or both slots.
 */
import { bootPartition } from '../../core/boot-record.ts'
import { raise } from '../../core/errors.ts'
import { slotLimits } from '../../core/limits.ts'
import type { SeededRandom } from '../../core/prng.ts'
import { otherSlot } from '../../core/units.ts'
import type { Scene } from '../scene.ts'
import { type Fault, lasting } from './fault.ts'

export const storageFaults: readonly Fault[] = [
  {
    name: 'data partition full',
    strike(scene, random) {
      const on = lasting(scene, random, 120)
      scene.observer.planted('data-fault')
      scene.board.files.fault = (operation) => {
        if (operation === 'write' && on()) raise('EB-DATA-FULL', 'planted')
      }
    },
  },
  {
    name: 'data partition fails once',
    strike(scene, random) {
      let left = 1
      const operation = (['write', 'rename', 'syncFile', 'syncDir'] as const)[random.below(4)]
      scene.observer.planted('data-fault')
      scene.board.files.fault = (one) => {
        if (one !== operation || left === 0) return
        left -= 1
        raise('EB-DATA-IO', 'planted')
      }
    },
  },
  spareFault('a write to the spare fails once', ({ faults }, once) => {
    faults.write = () => {
      if (once()) raise('EB-SLOT-IO', 'planted')
      return undefined
    }
  }),
  spareFault('a flush of the spare fails once and loses what was written', ({ faults }, once) => {
    faults.flush = () => {
      if (once()) raise('EB-SLOT-IO', 'planted')
    }
  }),
  spareFault('a write to the spare is acknowledged and lost', ({ faults }, once) => {
    faults.write = () => (once() ? 'lost' : undefined)
  }),
  spareFault('a write to the spare goes elsewhere in it', ({ faults }, once, random) => {
    const to = random.below(8) * 4096
    faults.write = (_, bytes) => (bytes === 4096 && once() ? to : undefined)
  }),
  spareFault('a read of the spare fails once', ({ faults }, once) => {
    faults.read = () => {
      if (once()) raise('EB-SLOT-IO', 'planted')
      return undefined
    }
  }),
  {
    name: 'reads come short',
    strike({ board }, random) {
      // At least one sector comes, or it would be an error.
      for (const { faults, sectorBytes } of board.storage.disks) {
        const most = sectorBytes * (1 + random.below(4))
        faults.read = (_, bytes) => Math.min(bytes, most)
      }
    },
  },
  {
    name: 'a flush of the boot partition fails once and loses what was written',
    strike({ board, observer }) {
      let left = 1
      observer.planted('storage-fault')
      board.bootDisk.faults.flush = () => {
        if (left === 0) return
        left -= 1
        raise('EB-RECORD', 'planted')
      }
    },
  },
  {
    name: 'the older copy of the record is lost',
    strike({ board, observer }) {
      const older = observer.truth.newestCopy() === 0 ? 1 : 0
      const offset = bootPartition.copyOffsets[older]
      board.bootDisk.plant(offset, new Uint8Array(slotLimits.recordCopyBytes))
      observer.planted('record-copy')
    },
  },
  {
    name: 'rot in the spare',
    strike({ board, observer }, random) {
      const slot = board.boots.at(-1)
      // Of a trial the spare is the only way back; rot there is a case of its own (scenarios).
      if (slot === undefined || observer.truth.slot(slot) === null) return
      if (observer.truth.record()?.[slot].ok !== true) return
      const disk = board.slots[otherSlot(slot)]
      disk.rot(random.below(disk.sizeBytes))
      observer.planted('rot', otherSlot(slot))
    },
  },
]

type Disk = Scene['board']['slots']['a']

function spareFault(
  name: string,
  plant: (disk: Disk, once: () => boolean, random: SeededRandom) => void,
): Fault {
  return {
    name,
    strike({ board, observer }, random) {
      const slot = board.boots.at(-1)
      if (slot === undefined) return
      let skip = random.below(20)
      let left = 1
      const once = (): boolean => {
        skip -= 1
        if (skip > 0 || left === 0) return false
        left -= 1
        return true
      }
      observer.planted('storage-fault', otherSlot(slot))
      plant(board.slots[otherSlot(slot)], once, random)
    },
  }
}
