/**
 * I12: a hub that was killed and started anew has every status that it had acknowledged, the verdict that an
 * acknowledged report gave, and the last wish that it had published, word for word.
 * Excused: what came after the backup from which the hub was restored.
 * Commands are fleeting by design (they expire, and are never kept): nothing is demanded of them.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Desired } from '../../core/wire/messages.ts'
import { checker, type Facts } from './checker.ts'
import { hubDevice } from './seen.ts'

/** Acknowledged statuses, newest first; a list can grow without a copy. */
interface Acked {
  readonly bootId: string
  readonly seq: number
  readonly before: Acked | null
}

interface State {
  readonly acked: Acked | null
  readonly wish: Desired | null
}

export const hubForgetsNothing = checker<State>({
  id: 'I12',
  says: 'a restart of the hub loses no acknowledged status and no wish',
  start: { acked: null, wish: null },
  on: {
    acked(state, { bootId, seq }) {
      const { acked } = state
      if (acked?.seq === seq && acked.bootId === bootId) return state
      return { ...state, acked: { bootId, seq, before: acked } }
    },
    wished: (state, { desired }) => ({ ...state, wish: desired }),
    planted: (state, { what }) => (what === 'hub-restored' ? { acked: null, wish: null } : state),
    'hub-restarted'({ acked, wish }, _, facts) {
      for (let it = acked; it !== null; it = it.before) remembers(it, facts)
      const desired = hubDevice(facts)?.desired ?? null
      if (wish !== null && !isDeepStrictEqual(desired, wish) && (desired?.seq ?? 0) <= wish.seq) {
        facts.violated(
          `the hub wished ${wish.release.id} as ${wish.seq}, after its restart ${wishText(desired)}`,
        )
      }
      return { acked, wish }
    },
  },
})

function remembers({ bootId, seq }: Acked, facts: Facts): void {
  const { board, world, violated } = facts
  const row = world.store.tables.statuses.get(`${board.id} ${bootId} ${seq}`)
  if (row === undefined) {
    violated(`status ${seq} of ${bootId}, which was acknowledged, is gone after a restart of the hub`)
    return
  }
  const { report } = row.status
  if (report === undefined || report.seq === 0) return
  const attempt = hubDevice(facts)?.attempts.find((it) => it.seq === report.seq)
  if (attempt !== undefined && attempt.decidedBy === null) {
    violated(
      `attempt ${report.seq} was reported as ${report.result} and is ${attempt.state} after a restart of the hub`,
    )
  }
}

function wishText(desired: Desired | null): string {
  return desired === null ? 'nothing' : `${desired.release.id} as ${desired.seq}`
}
