/**
 * Planted bugs in trial, commit and rollback.
 */
import type { Plant } from './planted.ts'

const duty = 'device/boot/boot-duty.ts'
const commit = 'device/boot/commit.ts'

export const trialPlants: readonly Plant[] = [
  {
    name: 'clear tries before commit',
    from: 'faults',
    edits: [
      {
        file: commit,
        find: `  await boot.write(committed(boot.record, own, ownSv))
`,
        replace: `  await boot.write(withSlot(boot.record, own, { ...boot.record[own], tries: 0 }))
  await boot.write(committed(boot.record, own, ownSv))
`,
      },
      {
        file: commit,
        find: `import { EverbootError, type Fault } from '../../core/errors.ts'
`,
        replace: `import { withSlot } from '../../core/boot-record.ts'
import { EverbootError, type Fault } from '../../core/errors.ts'
`,
      },
    ],
    how: 'Good update: a cut between the two writes leaves a healthy trial without tries; the old system boots and reports that the new one never reported health.',
  },
  {
    name: 'commit before health',
    from: 'faults',
    edits: [
      {
        file: duty,
        find: `      watch()
    },
    giveWay,
`,
        replace: `      if (standing === 'trial') await commit(board)
      watch()
    },
    giveWay,
`,
      },
      {
        file: duty,
        find: "if (standing === 'trial') await commitTrial()",
        replace: "if (standing === 'trial' || host.updater.state === 'REBOOTING') await commitTrial()",
      },
    ],
    how: 'Sick trial, without any crash: the sick system is committed, cannot be rolled back and stays; with a kill or a cut during the trial it is even reported as a success.',
  },
  {
    name: 'report success before the trial boot',
    from: 'faults',
    edits: [
      {
        file: 'device/update/updater.ts',
        find: `      case 'reboot':
        return host.reboot()
`,
        replace: `      case 'reboot': {
        const { attempt } = board.journal.current
        if (attempt !== null) await isKept(reportOf(attempt, 'ok', null), attempt, 'ok')
        return host.reboot()
      }
`,
      },
    ],
    how: 'Sick trial or hang, without any crash: the hub has a final report of success for a release that is rolled back.',
  },
  {
    name: 'roll back from a slot that is not on trial',
    from: 'boot',
    edits: [
      {
        file: 'device/update/boot-rules.ts',
        find: "return standingOf(record, own) === 'trial' && (other.ok || other.tries > 0)",
        replace: 'return other.ok || other.tries > 0',
      },
    ],
    how: 'Sick trial, and the committed slot rots while it runs: each boot of the sick slot in rescue rolls back to the one that does not verify, without end; also a committed system that turns sick after a good update leaves by itself.',
  },
  {
    name: 'outcome taken from the journal',
    from: 'boot',
    edits: [
      {
        file: 'device/update/boot-rules.ts',
        find: `  const target = record[attempt.target]
  const same = sealed`,
        replace: '  const same = sealed',
      },
      {
        file: 'device/update/boot-rules.ts',
        find: `  if (target.ok && same) return 'succeeded'
`,
        replace: '',
      },
      {
        file: 'device/update/boot-rules.ts',
        find: `  if (target.sv === 0) return 'resume'
`,
        replace: '',
      },
    ],
    how: 'Good update: a kill or cut after the record is committed and before the journal has the report makes a failure of it; so does a cut between the journal that says arming and the record.',
  },
  {
    name: 'journal believed over the running slot',
    from: 'faults',
    edits: [
      {
        file: 'device/board.ts',
        find: `  const own = handOver.slot
`,
        replace: '',
      },
      {
        file: 'device/board.ts',
        find: `  if (lost !== null) ports.events.emit({ event: 'journal lost', code: lost.code })
`,
        replace: `  if (lost !== null) ports.events.emit({ event: 'journal lost', code: lost.code })
  const { attempt } = journal.current
  const tried = attempt?.phase === 'arming' && attempt.armedInBoot !== handOver.bootId
  const own = tried ? attempt.target : handOver.slot
`,
      },
    ],
    how: 'Hanging trial, without any crash: back in the old slot the agent takes itself for the new system, finds itself healthy, commits the slot that hangs and reports success.',
  },
]
