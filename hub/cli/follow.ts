/**
 * Follows a rollout to its end, from the command line.
 * Promise: a hub that restarts meanwhile is waited for; the wait has a deadline, after which the devices that
 * are not done are named; changes are printed once each.
 * Leaves to others: making the rollout (rollout-create.ts).
 */
import type { CommandInput } from '../../core/command.ts'
import { EverbootError } from '../../core/errors.ts'
import { hubLimits } from '../../core/limits.ts'
import type { HubClient } from '../adapters/api-client.ts'
import { openHubClient } from '../adapters/api-client.ts'
import type { RolloutDeviceView, RolloutView } from '../http/views.ts'
import { hubLocation } from './common.ts'

export interface RolloutDetail extends RolloutView {
  readonly outcomes: readonly RolloutDeviceView[]
}

/** The rollout with all its devices. */
export async function fetchRollout(hub: HubClient, id: string): Promise<RolloutDetail> {
  const outcomes: RolloutDeviceView[] = []
  for (let after = ''; ; ) {
    const path = `/v1/rollouts/${encodeURIComponent(id)}?after=${encodeURIComponent(after)}`
    const page = await hub.get<RolloutDetail & { next: string | null }>(path)
    outcomes.push(...page.outcomes)
    const { next, ...rest } = page
    if (next === null) return { ...rest, outcomes }
    after = next
  }
}

/**
 * @param deadlineMs by the monotonic clock of this process, `performance.now()`
 * @returns the rollout when it has ended, or as it was at the deadline
 */
export async function followRollout(
  input: CommandInput,
  id: string,
  deadlineMs: number,
): Promise<{ readonly rollout: RolloutDetail; readonly ended: boolean }> {
  const seen = new Map<string, string>()
  let silentSinceMs: number | null = null
  let last: RolloutDetail | null = null
  for (;;) {
    try {
      last = await fetchOnce(input, id)
      silentSinceMs = null
      show(input, last, seen)
      if (last.endedMs !== null) return { rollout: last, ended: true }
    } catch (caught) {
      silentSinceMs ??= performance.now()
      if (!isPassing(caught) || performance.now() - silentSinceMs > hubLimits.unreachableMs) throw caught
    }
    if (last !== null && (performance.now() >= deadlineMs || input.io.interrupted.aborted)) {
      return { rollout: last, ended: false }
    }
    await new Promise((resolve) => setTimeout(resolve, hubLimits.pollMs))
  }
}

/** The address is read anew each time: a hub that restarted may listen elsewhere. */
async function fetchOnce(input: CommandInput, id: string): Promise<RolloutDetail> {
  const hub = await openHubClient(hubLocation(input))
  try {
    return await fetchRollout(hub, id)
  } finally {
    hub.close()
  }
}

function isPassing(caught: unknown): boolean {
  if (!(caught instanceof EverbootError)) return false
  return caught.fault.code === 'EB-HUB-UNREACHABLE' || caught.fault.code === 'EB-TIMEOUT'
}

function show(input: CommandInput, rollout: RolloutDetail, seen: Map<string, string>): void {
  const { io, json } = input
  if (json) return
  for (const it of rollout.outcomes) {
    const line = lineOf(it)
    if (seen.get(it.device) === line) continue
    seen.set(it.device, line)
    if (!io.terminal || it.progress === null) io.err(`${it.device}  ${line}`)
  }
  if (io.terminal && rollout.endedMs === null) io.draw(bar(rollout, io.columns))
}

function lineOf(it: RolloutDeviceView): string {
  if (it.state === 'failed') return `failed ${it.code ?? ''}: ${it.what ?? ''}`
  if (it.state === 'superseded') return `superseded: ${it.what ?? ''}`
  if (it.state !== 'in-progress') return it.state
  const { progress } = it
  const share =
    progress === null || progress.bytesTotal === 0 ? null : (100 * progress.bytesDone) / progress.bytesTotal
  // Tens are enough for a log; the bar shows the rest.
  return `${it.deviceState ?? 'in progress'}${share === null ? '' : ` ${Math.floor(share / 10) * 10} %`}`
}

function bar(rollout: RolloutDetail, columns: number): string {
  const { counts, devices } = rollout
  const open = rollout.outcomes.filter((it) => it.progress !== null && it.state === 'in-progress')
  const parts = open.map((it) =>
    it.progress === null ? 0 : it.progress.bytesDone / Math.max(1, it.progress.bytesTotal),
  )
  const done = counts.succeeded + counts.failed + counts.superseded
  const share = (done + parts.reduce((sum, it) => sum + it, 0)) / Math.max(1, devices)
  const text = ` ${Math.floor(100 * share)} %  ${counts.succeeded} ok, ${counts.failed} failed of ${devices}`
  const room = Math.max(10, Math.min(40, columns - text.length - 4))
  const full = Math.round(share * room)
  return `[${'#'.repeat(full)}${'.'.repeat(room - full)}]${text}`
}
