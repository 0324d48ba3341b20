/**
 * I16, as far as there are rollouts: a wish goes out for the first time only for an attempt that is open and
 * of that release; when it is published again it is still the newest; a rollout counts as ended exactly when
 * none of its devices is open. The wish of an attempt that has its verdict stays retained and is published
 * again after a restart of the hub: the same number is no new offer (I18: it is not tried again).
 * Not there yet: halting, waves and their quotas.
 */
import { isOpen } from '../../hub/rollouts/machine.ts'
import { checker, type Facts } from './checker.ts'

/** Number of the newest wish. */
type Newest = number

export const onlyOpenOffers = checker<Newest>({
  id: 'I16',
  says: 'only an open attempt of the newest rollout is offered',
  start: 0,
  on: {
    wished(newest, { desired }, facts) {
      const { board, world, violated } = facts
      const { seq, release } = desired
      const rows = [...world.store.tables.attempts.values()].filter((it) => it.device === board.id)
      const attempt = rows.find((it) => it.seq === seq)
      const last = rows.reduce((most, it) => Math.max(most, it.seq), 0)
      if (attempt === undefined) violated(`wish ${seq} is of no rollout`)
      else if (attempt.release !== release.id) {
        violated(`wish ${seq} is of ${release.id}, rollout ${attempt.rollout} of ${attempt.release}`)
      } else if (attempt.state === 'superseded' && seq <= newest) {
        violated(`wish ${seq} is offered, rollout ${attempt.rollout} is superseded`)
      } else if (seq > newest && seq === last && !isOpen(attempt.state)) {
        violated(`wish ${seq} is offered for the first time and is ${attempt.state}`)
      }
      rolloutsAgree(facts)
      return Math.max(newest, seq)
    },
    // A hub that was restored from a backup begins with the wishes that it had then.
    planted: (newest, { what }) => (what === 'hub-restored' ? 0 : newest),
    end(newest, _, facts) {
      rolloutsAgree(facts)
      return newest
    },
  },
})

function rolloutsAgree({ world, violated }: Facts): void {
  for (const { id, counts, endedMs } of world.store.tables.rollouts.values()) {
    const open = counts.pending + counts['in-progress']
    if ((open === 0) !== (endedMs !== null))
      violated(`rollout ${id} has ${open} devices open, ended ${endedMs}`)
  }
}
