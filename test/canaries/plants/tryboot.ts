/**
 * Bugs of the tryboot back end, where the agent does what other loaders do: they show on such a board only.
 */
import type { Plant } from './planted.ts'

export const trybootPlants: readonly Plant[] = [
  {
    name: 'autoboot written before the record',
    from: 'tryboot',
    edits: [
      {
        file: 'device/boot/boot-control.ts',
        find: `    write: (next) => change((device) => writeRecord(device, copies, next)),
`,
        replace: `    write: async (next) => {
      await loader.follow(next)
      return change((device) => writeRecord(device, copies, next))
    },
`,
      },
    ],
    how: 'Good update, without any crash: between the two writes of the commit [all] names a slot that is not committed, whose boots nobody counts.',
  },
  {
    name: 'trial handed over without a try',
    from: 'tryboot',
    edits: [
      {
        file: 'device/boot/tryboot.ts',
        find: `        await boot.write(tryTaken(record))
`,
        replace: `        tryTaken(record)
`,
      },
    ],
    how: 'Hanging trial, without any crash: the old slot finds it open with three tries each time, and it is started a fourth time.',
  },
  {
    name: 'autoboot not derived anew at the start',
    from: 'tryboot',
    edits: [
      {
        file: 'device/boot/tryboot.ts',
        find: `      else if (first !== own && record[first].ok && !onTrial(record, own)) return 'strayed'
`,
        replace: `      else if (onTrial(record, first)) return null
`,
      },
      {
        file: 'device/boot/tryboot.ts',
        find: `    tell,
`,
        replace: `    tell: async () => {},
`,
      },
    ],
    how: 'Good update, cut between the record of the commit and autoboot.txt: the old slot starts, takes itself for the one to fall back to, and the new one, committed and good, loses its place.',
  },
  {
    name: 'one-shot flag forgotten when a trial is handed over again',
    from: 'tryboot',
    edits: [
      {
        file: 'device/boot/tryboot.ts',
        find: `        return 'trial'
`,
        replace: `        return record[record.priority].tries === 3 ? 'trial' : undefined
`,
      },
    ],
    how: 'Hanging trial, without any crash: its second and third try start the old slot, and the report says that it had three.',
  },
]
