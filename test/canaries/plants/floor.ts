/**
 * Planted bugs in security versions and their floor.
 */
import type { Plant } from './planted.ts'

const commit = 'device/boot/commit.ts'

const stampThenRecord = `  await boot.stampCommit({ floor, priority: own })
  await boot.writeBoth({ ...boot.record, floor })
`

export const floorPlants: readonly Plant[] = [
  {
    name: 'compare versions with `<` on strings',
    from: 'faults',
    edits: [
      {
        file: 'bootloader-sim/decide.ts',
        find: 'return slot.tries > 0 && (slot.sv >= floor || slot.sv === 0)',
        replace: 'return slot.tries > 0 && (String(slot.sv) >= String(floor) || slot.sv === 0)',
      },
      {
        file: 'bootloader-sim/verified-slot.ts',
        find: 'if (seal.securityVersion >= floor) return { verified: true, seal }',
        replace: 'if (String(seal.securityVersion) >= String(floor)) return { verified: true, seal }',
      },
    ],
    how: 'Floor raised over a change of length: security version 9 runs, 10 is committed and bars what is older; then the committed slot rots (or uses up its tries), and the loader starts 9 under floor 10.',
  },
  {
    name: 'raise the floor at first boot',
    from: 'faults',
    edits: [
      {
        file: commit,
        find: `  const { record, floor } = board.boot
  if (floor > record.floor || board.boot.promisesMore(board.spare)) {
`,
        replace: `  const { record } = board.boot
  const floor = Math.max(board.boot.floor, board.seal(board.own)?.floorAfterCommit ?? 0)
  if (floor > record.floor || board.boot.promisesMore(board.spare)) {
`,
      },
    ],
    how: 'Sick or cut trial of a release that bars older ones: its first boot bars the committed system that it must be able to fall back to.',
  },
  {
    name: 'floor raised before the stamp',
    from: 'boot',
    edits: [
      {
        file: commit,
        find: stampThenRecord,
        replace: `  await boot.writeBoth({ ...boot.record, floor })
  await boot.stampCommit({ floor, priority: own })
`,
      },
    ],
    how: 'Good update that raises the floor: a cut between the first copy with the new floor and the stamp, then both copies are lost (the checker may suppose that at every crash image): the floor is the old one again and the barred system boots.',
  },
  {
    name: 'final floor in one copy only',
    from: 'boot',
    edits: [
      {
        file: commit,
        find: stampThenRecord,
        replace: `  await boot.stampCommit({ floor, priority: own })
  await boot.write({ ...boot.record, floor })
`,
      },
    ],
    how: 'Good update that raises the floor: after the commit the newer copy is lost, for a loader that does not read the stamp (or whose stamp is bad too): the older copy has the old floor.',
  },
]
