/**
 * `everboot rollout status` and `rollout list`.
 */
import type { Command } from '../../core/command.ts'
import type { RolloutView } from '../http/views.ts'
import { hubOption, print, table, timeText, withHub } from './common.ts'
import { fetchRollout } from './follow.ts'

export const rolloutStatus: Command = {
  name: 'rollout status',
  summary: 'Show one rollout, device by device',
  positionals: 'ID',
  positionalsMin: 1,
  positionalsMax: 1,
  options: hubOption,
  run: (input) =>
    withHub(input, async (hub) => {
      const [id = ''] = input.positionals
      const rollout = await fetchRollout(hub, id)
      const rows = rollout.outcomes.map((it) => [
        it.device,
        it.state,
        it.deviceState ?? '-',
        it.presence,
        it.running?.version ?? '-',
        it.code ?? '',
        it.what ?? '',
      ])
      print(input, rollout, () => [
        headline(rollout),
        '',
        ...table(['DEVICE', 'OUTCOME', 'STATE', 'PRESENCE', 'RUNNING', 'CODE', 'WHY'], rows),
      ])
      return 0
    }),
}

export const rolloutList: Command = {
  name: 'rollout list',
  summary: 'List the rollouts, newest first',
  positionals: '',
  positionalsMin: 0,
  positionalsMax: 0,
  options: hubOption,
  run: (input) =>
    withHub(input, async (hub) => {
      const answer = await hub.get<{ rollouts: readonly RolloutView[] }>('/v1/rollouts')
      const { rollouts } = answer
      print(input, answer, () => (rollouts.length === 0 ? ['no rollouts'] : rollouts.map(headline)))
      return 0
    }),
}

function headline(it: RolloutView): string {
  const { counts } = it
  const open = counts.pending + counts['in-progress']
  return (
    `${it.id}  ${it.state}  ${it.release}  ${timeText(it.createdMs)}  ${it.devices} devices: ` +
    `${open} open, ${counts.succeeded} succeeded, ${counts.failed} failed, ${counts.superseded} superseded`
  )
}
