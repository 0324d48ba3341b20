/**
 * The status of a board in lines for people.
 * Leaves to others: the status itself (adapters/runner.ts), whose JSON form has everything.
 */
import type { BootFacts, RecordFacts } from './adapters/boot-facts.ts'
import type { ProcessFacts } from './adapters/processes.ts'

type Status = Readonly<Record<string, unknown>>

export function statusLines(status: Status): readonly string[] {
  const rows: [string, string][] = [['board', `${status['deviceId']} in ${status['directory']}`]]
  if (status['running'] === true) rows.push(...runningRows(status))
  else rows.push(['state', 'off'])
  rows.push(...recordRows(status['record'] as BootFacts))
  return rows.map(([name, text]) => `${name.padEnd(10)} ${text}`)
}

function runningRows(status: Status): [string, string][] {
  const why = status['why'] === null ? '' : ` (${status['why']})`
  const { agent, service } = status['processes'] as Record<'agent' | 'service', ProcessFacts | null>
  const watchdog = status['watchdog'] as { timeoutMs: number; silentMs: number | null }
  const silent = watchdog.silentMs === null ? 'not armed' : `silent for ${watchdog.silentMs} ms`
  return [
    ['state', `${status['phase']}, boot ${status['boot']}, process ${status['pid']}`],
    ['mode', `${status['mode']}${why}`],
    [
      'slot',
      status['slot'] === null ? 'none' : `${status['slot']}: ${status['version']} (${status['release']})`,
    ],
    ['watchdog', `${silent} of ${watchdog.timeoutMs} ms`],
    ['agent', processText(agent)],
    ['service', processText(service)],
  ]
}

function processText(it: ProcessFacts | null): string {
  if (it === null) return 'does not run'
  const place = it.inSlot ? 'in the booted slot' : 'NOT in the booted slot'
  return `process ${it.pid}, ${it.executable} ${place}, device ${it.device}, SHA-256 ${it.sha256.slice(0, 16)}…`
}

function recordRows(facts: BootFacts): [string, string][] {
  const rows = facts.copies.map((it, index): [string, string] => {
    const mark = facts.current === index ? ' (counts)' : ''
    return [`record ${index}`, it === null ? 'bad' : `${recordText(it)}${mark}`]
  })
  const stamp = facts.stamp === null ? 'none' : `floor ${facts.stamp.floor}, priority ${facts.stamp.priority}`
  return [...rows, ['stamp', stamp]]
}

function recordText(it: RecordFacts): string {
  const slot = (id: 'a' | 'b'): string =>
    `${id} ${it[id].ok ? 'ok' : 'not ok'} sv ${it[id].sv} tries ${it[id].tries}`
  return `${slot('a')}; ${slot('b')}; floor ${it.floor}; priority ${it.priority}; sequence ${it.sequence}`
}
