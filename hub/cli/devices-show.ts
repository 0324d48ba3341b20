/**
 * `everboot devices show`: one device: what it reports, drift, attempts, evidence, history.
 */
import type { Command } from '../../core/command.ts'
import type { SlotReport } from '../../core/wire/messages.ts'
import type { DeviceDetailView } from '../http/views.ts'
import { hubOption, print, table, timeText, withHub } from './common.ts'

const historyLines = 12

export const devicesShow: Command = {
  name: 'devices show',
  summary: 'Show one device: state, drift, last reports with evidence, history',
  positionals: 'ID',
  positionalsMin: 1,
  positionalsMax: 1,
  options: hubOption,
  run: (input) =>
    withHub(input, async (hub) => {
      const [id = ''] = input.positionals
      const device = await hub.get<DeviceDetailView>(`/v1/devices/${encodeURIComponent(id)}`)
      print(input, device, () => [
        ...summary(device),
        ...attempts(device),
        ...evidences(device),
        ...history(device),
      ])
      return 0
    }),
}

function summary(it: DeviceDetailView): readonly string[] {
  const { reported, desired, notice } = it
  const running =
    it.running === null
      ? 'unknown'
      : `${it.running.release ?? 'nothing sealed'} (${it.running.version ?? '-'})`
  const lines = [
    `${it.id}: ${it.presence}${it.presenceAtMs === null ? '' : ` since ${timeText(it.presenceAtMs)}`}`,
    `  running  ${running}${reported === null ? '' : ` in slot ${reported.slot}, boot ${reported.bootId}`}`,
    `  desired  ${desired === null ? 'nothing' : `${desired.release} (attempt ${desired.seq})`}`,
    `  drift    ${it.drift}`,
  ]
  if (reported !== null) {
    lines.push(
      `  state    ${reported.state}, floor ${reported.floor}, hardware ${reported.hardware.join(', ')}`,
      ...(reported.inhibited === undefined
        ? []
        : [`  waiting  to ${reported.inhibited.step}: ${reported.inhibited.by}: ${reported.inhibited.why}`]),
      `  slot a   ${slotText(reported.slots.a)}`,
      `  slot b   ${slotText(reported.slots.b)}`,
      `  reported ${timeText(reported.atMs)} (status ${reported.seq})`,
    )
  }
  if (notice !== null) lines.push(`  notice   ${notice.code}: ${notice.what} (${timeText(notice.atMs)})`)
  return lines
}

function slotText(it: SlotReport): string {
  if (it.release === null) return 'nothing sealed'
  return `${it.release} (${it.version ?? '-'}), ${it.ok ? 'committed' : 'not committed'}, ${it.tries} tries left`
}

function attempts(it: DeviceDetailView): readonly string[] {
  if (it.attempts.length === 0) return []
  const rows = it.attempts.map((one) => [
    one.rollout,
    one.release,
    one.state,
    one.code ?? '-',
    timeText(one.atMs),
    one.what ?? '',
  ])
  return ['', ...table(['ROLLOUT', 'RELEASE', 'OUTCOME', 'CODE', 'TIME', 'WHY'], rows)]
}

function evidences(it: DeviceDetailView): readonly string[] {
  return it.evidences.flatMap((one) => {
    const { check, output, console, bootTrace, crash } = one.evidence
    const about = one.attempt === null ? 'notice' : `attempt ${one.attempt}`
    return [
      '',
      `evidence for ${about}: ${one.code ?? 'ok'} ${one.what ?? ''}`.trimEnd(),
      ...(check === undefined ? [] : [`  check: ${check}`]),
      ...block('output', output),
      ...block('console', console),
      ...block('boot trace', bootTrace),
      ...block('crash', crash),
    ]
  })
}

function block(name: string, text: string | undefined): readonly string[] {
  if (text === undefined || text.trim() === '') return []
  return [
    `  ${name}:`,
    ...printable(text)
      .trimEnd()
      .split('\n')
      .map((line) => `    ${line}`),
  ]
}

/** A console tail comes from a device: it must not steer the operator's terminal. */
function printable(text: string): string {
  return text.replace(/\r\n?/g, '\n').replace(/[^\P{Cc}\t\n]/gu, '?')
}

function history(it: DeviceDetailView): readonly string[] {
  if (it.history.length === 0) return []
  const rows = it.history
    .slice(0, historyLines)
    .map(({ atMs, status }) => [
      timeText(atMs),
      String(status.seq),
      status.state,
      status.slot,
      status.progress === null ? '' : `${status.progress.bytesDone} of ${status.progress.bytesTotal} bytes`,
      status.report?.result ?? status.notice?.code ?? '',
    ])
  return ['', ...table(['TIME', 'STATUS', 'STATE', 'SLOT', 'PROGRESS', 'REPORT'], rows)]
}
