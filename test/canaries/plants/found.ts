/**
 * Bugs that Everboot itself had until the proof found them.
 */
import type { Plant } from './planted.ts'

const preparation = 'device/update/preparation.ts'

export const foundPlants: readonly Plant[] = [
  {
    name: 'believe a seal that was not flushed',
    from: 'found',
    edits: [
      {
        file: preparation,
        find: 'await spareSealOnMedium(board)',
        replace: 'await board.refreshSeal(board.spare)',
      },
    ],
    how: 'The agent is killed between the write of the seal and its flush: its next run reads the seal from the cache, takes the spare for done and arms it, and nothing has reached the medium.',
  },
  {
    name: 'leave a withdrawal in one copy',
    from: 'found',
    edits: [
      {
        file: 'device/boot/boot-control.ts',
        find: 'promisesMore: (slot) => promisesMore(copies, slot),',
        replace: 'promisesMore: () => false,',
      },
    ],
    how: 'The agent is killed between the two copies of the cleared record: its next run sees the newer copy, skips the write, and wipes a spare that the older copy still promises.',
  },
  {
    name: 'hash trees are not re-read',
    from: 'found',
    edits: [
      {
        file: 'device/slots/slot.ts',
        find: '      if (!(await treeStands(device, image))) return false\n',
        replace: '',
      },
    ],
    how: 'Assigned is what the spare holds already, and its hash tree has rotted: it is armed as it is, and dm-verity refuses it.',
  },
  {
    name: 'believe a spare whose flush failed',
    from: 'found',
    edits: [
      {
        file: preparation,
        find: '        await board.doubtSpare()\n',
        replace: '',
      },
    ],
    how: 'A flush of the spare fails once and loses what was written while readers go on seeing it: the next attempt finds the pieces there and builds on them.',
  },
  {
    name: 'a read that fails once counts as damage',
    from: 'found',
    edits: [
      {
        file: 'core/limits.ts',
        find: 'readTries: 3,',
        replace: 'readTries: 1,',
      },
    ],
    how: 'One read of a slot that is whole fails: it counts as damaged, and the board starts a slot once more that has no tries left.',
  },
]
