/**
 * How the commands of a device reach its agent, and how they print what it says of itself.
 */
import { type CommandInput, textOption } from '../core/command.ts'
import { bytesText } from '../core/units.ts'
import type { LocalStatus } from './local-request.ts'

const defaultSocket = '/run/everboot/agent.sock'

export const socketOption = {
  socket: { type: 'string', value: 'PATH', means: `socket of the agent (default ${defaultSocket})` },
} as const

export function socketOf(input: CommandInput): string {
  return textOption(input, 'socket') ?? defaultSocket
}

export function printStatus(input: CommandInput, it: LocalStatus): void {
  if (input.json) {
    input.io.out(JSON.stringify(it))
    return
  }
  const { status: at } = it
  input.io.out(statusLine(it))
  for (const slot of ['a', 'b'] as const) {
    const { release, ok, tries } = at.slots[slot]
    const mark = at.slot === slot ? 'running' : 'other  '
    const proof = ok ? 'committed' : 'not committed'
    input.io.out(`  slot ${slot}  ${mark}  ${release ?? 'empty'}  ${proof}, ${tries} tries left`)
  }
  const last = at.finished === null ? 'none' : `${at.finished.seq} ${at.finished.result}`
  input.io.out(
    `  floor ${at.floor}, last assignment: ${last}, hub ${it.hubConnected ? 'connected' : 'not connected'}`,
  )
}

export function statusLine(it: LocalStatus): string {
  const { state, progress, attempt } = it.status
  const what = attempt === null ? '' : ` ${attempt.release}`
  const done =
    progress === null ? '' : ` ${bytesText(progress.bytesDone)} of ${bytesText(progress.bytesTotal)}`
  const { inhibited } = it.status
  const waits =
    inhibited === undefined ? '' : `; waits to ${inhibited.step}: ${inhibited.by}: ${inhibited.why}`
  return `${state}${what}${done}${waits}`
}
