/**
 * Planted bugs in the order of an installation: record, seal, pieces, tree, seal, journal, record.
 */
import type { Plant } from './planted.ts'

const installer = 'device/update/installer.ts'

const sealThenJournal = `  if (prepared.kind === 'install') {
    const sealed = await putSeal(board, prepared)
    if (!sealed.ok) return sealed
  }
  assert(prepared.kind !== 'held'`

const justTheJournal = `  assert(prepared.kind !== 'held'`

export const orderPlants: readonly Plant[] = [
  {
    name: 'wipe the seal before clearing the record',
    from: 'faults',
    edits: [
      {
        file: installer,
        find: `      if (prepared.kind !== 'own in place') await clearSpare(board)
      if (prepared.kind === 'install') await wipeSeal(board, prepared.images)
`,
        replace: `      if (prepared.kind === 'install') await wipeSeal(board, prepared.images)
      if (prepared.kind !== 'own in place') await clearSpare(board)
`,
      },
    ],
    how: 'Second of two good updates: a cut after the seal of the old fallback is wiped and before the first copy of the record says so leaves a slot that the record calls committed, with tries, and that does not verify.',
  },
  {
    name: 'keep the old seal while writing',
    from: 'faults',
    edits: [
      {
        file: installer,
        find: `  await writeSeal(first.device, null)
`,
        replace: '',
      },
    ],
    how: 'Second of two good updates: a cut after the first piece is on the medium and before the new seal leaves an authentic seal over an image that is not the one it vouches for.',
  },
  {
    name: 'seal before read-back',
    from: 'faults',
    edits: [
      {
        file: installer,
        find: `      const verified = await verify(board, prepared, attempt(), host)
`,
        replace: `      const sealed = prepared.kind === 'install' ? await putSeal(board, prepared) : ok(undefined)
      if (!sealed.ok) return { event: 'failed', fault: sealed.error }
      const verified = await verify(board, prepared, attempt(), host)
`,
      },
      { file: installer, find: sealThenJournal, replace: justTheJournal },
    ],
    how: 'Good update: a cut after the seal is flushed and before the tree is leaves a sealed slot without its tree, which the next start takes for complete and arms as it is; a piece lost or rotten before the read-back is sealed too.',
  },
  {
    name: 'swap record and slot order',
    from: 'faults',
    edits: [
      { file: installer, find: sealThenJournal, replace: justTheJournal },
      {
        file: installer,
        find: `    throw caught
  }
  return ok(undefined)
`,
        replace: `    throw caught
  }
  return prepared.kind === 'install' ? putSeal(board, prepared) : ok(undefined)
`,
      },
    ],
    how: 'Good update: a cut after the record is armed and before the seal is flushed leaves a slot with three tries that does not verify; the attempt ends as a failed trial that never was.',
  },
  {
    name: 'skip the slot flush',
    from: 'faults',
    edits: [
      {
        file: 'device/slots/slot-writer.ts',
        find: `      await underway
      await device.flush()
`,
        replace: `      await underway
`,
      },
    ],
    how: 'Good update: a cut that drops unflushed writes after a mark is durable and before the flush of the read-back; pieces before the mark are fetched again.',
  },
  {
    name: 'own slot not re-read before wiping a spare',
    from: 'boot',
    edits: [
      {
        file: 'device/update/preparation.ts',
        find: `    ownIntact: null,
`,
        replace: `    ownIntact: true,
`,
      },
    ],
    how: 'Two updates in a row: the committed slot rots while it runs, after the first; the second writes the other one, which is the only good slot. No crash is needed.',
  },
  {
    name: 'forget to re-hash reused blocks',
    from: 'faults',
    edits: [
      {
        file: 'device/update/preparation.ts',
        find: `    spareSeal.securityVersion >= boot.floor &&
    (await isIntact(board.ports.disks, spare, spareSeal))
`,
        replace: `    spareSeal.securityVersion >= boot.floor
`,
      },
    ],
    how: 'Assigned is what the spare holds already (the former release, or one that was rolled back), and the image in the spare rotted before: it is armed as it is, does not verify, and the attempt fails where a download would have mended it.',
  },
]
