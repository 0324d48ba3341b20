/**
 * The update table: every state with every event, and the diagram of it in docs/ARCHITECTURE.md.
 * With UPDATE_DOCS=1 the diagram is written instead of compared.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { type UpdateState, updateStates } from '../../../core/wire/messages.ts'
import { step, type UpdateEvent, type UpdateRow, updateTable } from '../../../device/update/machine.ts'

const events: readonly UpdateEvent[] = [
  'assigned',
  'held',
  'downloaded',
  'intact',
  'damaged',
  'armed',
  'trial',
  'committed',
  'unhealthy',
  'stuck',
  'fell back',
  'failed',
  'withdrawn',
  'reported',
]

const leadsTo = (state: UpdateState): readonly UpdateState[] =>
  updateTable.filter((it) => it.from === state).map((it) => it.to)

/** All states that can be reached from one. */
function reachable(from: UpdateState): ReadonlySet<UpdateState> {
  const seen = new Set<UpdateState>([from])
  for (const state of seen) for (const next of leadsTo(state)) seen.add(next)
  return seen
}

describe('the update table', () => {
  it('has one answer at most for every event in every state', () => {
    for (const state of updateStates) {
      for (const event of events) {
        const rows = updateTable.filter((it) => it.from === state && it.on === event)
        expect(rows.length, `${state} on ${event}`).toBeLessThanOrEqual(1)
        expect(step(state, event)).toBe(rows[0] ?? null)
      }
    }
  })

  it('is as it is agreed, row by row', () => {
    const rows = updateTable.map((it) => `${it.from} --${it.on}-> ${it.to}: ${it.does}`)
    expect(rows).toEqual([
      'IDLE --assigned-> DOWNLOADING: check and download',
      'DOWNLOADING --downloaded-> VERIFYING: read back',
      'DOWNLOADING --held-> COMPLETE: report success',
      'DOWNLOADING --failed-> FAILED: report failure',
      'DOWNLOADING --withdrawn-> FAILED: report failure',
      'VERIFYING --intact-> APPLYING: seal and arm',
      'VERIFYING --damaged-> DOWNLOADING: download what is damaged',
      'VERIFYING --failed-> FAILED: report failure',
      'APPLYING --armed-> REBOOTING: reboot',
      'APPLYING --failed-> FAILED: report failure',
      'APPLYING --withdrawn-> FAILED: report failure',
      'REBOOTING --trial-> REBOOTING: watch health',
      'REBOOTING --committed-> COMPLETE: report success',
      'REBOOTING --unhealthy-> ROLLBACK: roll back and reboot',
      'REBOOTING --stuck-> FAILED: report failure',
      'REBOOTING --fell back-> ROLLBACK: report failure',
      'ROLLBACK --fell back-> ROLLBACK: report failure',
      'ROLLBACK --reported-> IDLE: take the next assignment',
      'COMPLETE --reported-> IDLE: take the next assignment',
      'FAILED --reported-> IDLE: take the next assignment',
    ])
  })

  it('reaches every state from IDLE, and IDLE from every state', () => {
    expect([...reachable('IDLE')].sort()).toEqual([...updateStates].sort())
    for (const state of updateStates) expect(reachable(state).has('IDLE'), state).toBe(true)
  })

  it('uses every event and begins only in IDLE', () => {
    expect(new Set(updateTable.map((it) => it.on))).toEqual(new Set(events))
    expect(updateTable.filter((it) => it.does === 'check and download').map((it) => it.from)).toEqual([
      'IDLE',
    ])
  })

  it('comes to IDLE only by a report, and to a success only through a commit or by holding it already', () => {
    const into = (state: UpdateState): readonly UpdateEvent[] =>
      updateTable.filter((it) => it.to === state && it.from !== state).map((it) => it.on)
    expect(new Set(into('IDLE'))).toEqual(new Set(['reported']))
    expect(new Set(into('COMPLETE'))).toEqual(new Set(['held', 'committed']))
    expect(updateTable.filter((it) => it.to === 'APPLYING').map((it) => it.on)).toEqual(['intact'])
  })

  it('can fail at every step before the reboot', () => {
    for (const state of ['DOWNLOADING', 'VERIFYING', 'APPLYING'] as const) {
      expect(step(state, 'failed')?.to).toBe('FAILED')
    }
  })
})

/** Mermaid, as GitHub shows it. */
function diagram(rows: readonly UpdateRow[]): string {
  const lines = rows.map((it) => `  ${it.from} --> ${it.to}: ${it.on} / ${it.does}`)
  return ['```mermaid', 'stateDiagram-v2', '  [*] --> IDLE', ...lines, '```'].join('\n')
}

const file = new URL('../../../docs/ARCHITECTURE.md', import.meta.url)
const [begin, end] = ['<!-- update-table -->', '<!-- /update-table -->']

describe('docs/ARCHITECTURE.md', () => {
  it('shows the update table as it is', () => {
    const block = `${begin}\n${diagram(updateTable)}\n${end}`
    if (process.env['UPDATE_DOCS'] === '1') writeFileSync(file, withBlock(block))
    const text = readFileSync(file, 'utf8')
    const found = text.slice(text.indexOf(begin), text.indexOf(end) + end.length)
    expect(found, 'run UPDATE_DOCS=1 npx vitest run test/device/update/machine').toBe(block)
  })
})

function withBlock(block: string): string {
  const text = existsSync(file)
    ? readFileSync(file, 'utf8')
    : `# Everboot: architecture\n\n${begin}\n${end}\n`
  const [before = '', rest = ''] = text.split(begin)
  const after = rest.slice(rest.indexOf(end) + end.length)
  return `${before}${block}${after}`
}
