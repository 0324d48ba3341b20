/**
 * Planted bugs between device and hub.
 */
import type { Plant } from './planted.ts'

export const hubPlants: readonly Plant[] = [
  {
    name: 'outbox removed on PUBACK instead of app ack',
    from: 'faults',
    edits: [
      {
        file: 'device/report/reporter.ts',
        find: `      sending = false
      if (unanswered()) scheduleResend()
      else pump()
    }
`,
        replace: `      sending = false
      if (!again) return pump()
      awaiting = null
      known.add(keyOf(status))
      saveOutbox()
    }
`,
      },
    ],
    how: 'Any story: the hub is killed between the PUBACK of its broker and its commit of the final report, and starts again: the report never comes.',
  },
  {
    name: 'a finished attempt is started again',
    from: 'faults',
    edits: [
      {
        file: 'device/update/assignment.ts',
        find: 'if (desired.seq <= Math.max(finished, open)) return',
        replace: 'if (desired.seq <= open) return',
      },
    ],
    how: 'Any story: the retained assignment is delivered once more after its end (duplicate message, new connection, hub restart); after a rollback the sick release is tried again and again.',
  },
]
