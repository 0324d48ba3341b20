/**
 * `everboot rollout create`: gives a release to devices, and follows it when asked to.
 * Promise: with `--wait` the exit status tells a script the outcome: 0 all succeeded, 6 some failed or the time
 * was up; `--dry-run` changes nothing.
 */
import {
  type Command,
  type CommandInput,
  flagOption,
  listOption,
  numberOption,
  requiredOption,
} from '../../core/command.ts'
import { exitStatus, fault, faultText, raise } from '../../core/errors.ts'
import { hubLimits, wireLimits } from '../../core/limits.ts'
import type { HubClient } from '../adapters/api-client.ts'
import type { RolloutView } from '../http/views.ts'
import type { DevicePlan } from '../rollouts/plan.ts'
import { hubOption, print, table, withHub } from './common.ts'
import { followRollout, type RolloutDetail } from './follow.ts'

export const rolloutCreate: Command = {
  name: 'rollout create',
  summary: 'Give a release to devices',
  positionals: '',
  positionalsMin: 0,
  positionalsMax: 0,
  options: {
    ...hubOption,
    release: { type: 'string', value: 'R', means: 'release id, or product@version (required)' },
    device: { type: 'string', value: 'ID', multiple: true, means: 'a device that gets it' },
    all: { type: 'boolean', means: 'every device gets it' },
    throttle: { type: 'string', value: 'BYTES', means: 'bytes a second that each device may use' },
    later: { type: 'boolean', means: 'each device waits for "everboot device activate" before its reboot' },
    wait: { type: 'boolean', means: 'follow it to its end' },
    timeout: {
      type: 'string',
      value: 'SECONDS',
      means: `with --wait: give up after this long (default: ${hubLimits.rolloutWaitMs / 1000})`,
    },
    'dry-run': { type: 'boolean', means: 'only say what would happen, device by device' },
  },
  notes: 'Exit status with --wait: 0 all devices succeeded, 6 some failed, were superseded or took too long.',
  async run(input) {
    const devices = devicesOf(input)
    const throttle = numberOption(input, 'throttle', wireLimits.throttleBytesMin, Number.MAX_SAFE_INTEGER)
    const body = {
      release: requiredOption(input, 'release'),
      devices,
      ...(throttle === undefined ? {} : { throttle }),
      ...(flagOption(input, 'later') ? { activate: 'later' } : {}),
    }
    const seconds = numberOption(input, 'timeout', 1, 1_000_000) ?? hubLimits.rolloutWaitMs / 1000
    const deadlineMs = performance.now() + seconds * 1000
    if (flagOption(input, 'dry-run')) return withHub(input, (hub) => dryRun(input, hub, body))
    const made = await withHub(input, (hub) => hub.post<RolloutView>('/v1/rollouts', body))
    if (!flagOption(input, 'wait')) {
      print(input, made, () => [`rollout ${made.id}: ${made.release} for ${made.devices} devices`])
      return 0
    }
    if (!input.json) input.io.err(`rollout ${made.id}: ${made.release} for ${made.devices} devices`)
    const { rollout, ended } = await followRollout(input, made.id, deadlineMs)
    return conclude(input, rollout, ended)
  },
}

function devicesOf(input: CommandInput): 'all' | readonly string[] {
  const named = listOption(input, 'device')
  const all = flagOption(input, 'all')
  if (all === named.length > 0) raise('EB-USAGE', 'give either --all or --device ID, one or more')
  return all ? 'all' : named
}

async function dryRun(input: CommandInput, hub: HubClient, body: object): Promise<number> {
  const answer = await hub.post<{ release: string; plan: readonly DevicePlan[] }>('/v1/rollouts', {
    ...body,
    dryRun: true,
  })
  print(input, answer, () => [
    `${answer.release} for ${answer.plan.length} devices, nothing is changed:`,
    ...table(
      ['DEVICE', 'FORECAST', 'DETAIL'],
      answer.plan.map((it) => [
        it.device,
        it.forecast,
        it.supersedes === null ? it.detail : `${it.detail}; supersedes rollout ${it.supersedes}`,
      ]),
    ),
  ])
  return 0
}

function conclude(input: CommandInput, rollout: RolloutDetail, ended: boolean): number {
  const { counts, devices } = rollout
  const good = counts.succeeded === devices
  const open = rollout.outcomes.filter((it) => it.state === 'pending' || it.state === 'in-progress')
  const late = ended
    ? null
    : fault('EB-DEADLINE', `rollout ${rollout.id}: not done: ${open.map((it) => it.device).join(', ')}`)
  print(input, late === null ? rollout : { ...rollout, error: late }, () => [
    `rollout ${rollout.id} ${ended ? 'ended' : 'is not done'}: ${counts.succeeded} of ${devices} succeeded, ` +
      `${counts.failed} failed, ${counts.superseded} superseded`,
  ])
  if (late !== null && !input.json) input.io.err(faultText(late))
  return good ? 0 : exitStatus.updateFailed
}
