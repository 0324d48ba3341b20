/**
 * I18: final reports, and lies in them and about them.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import { type Cast, makeCast, minute } from './story.ts'
import {
  openAttempt,
  releaseNamed,
  reportOf,
  saveJournal,
  slotAs,
  statusOf,
  tell,
  updated,
  type Witness,
  witness,
  writeChanged,
} from './witness.ts'

let cast: Cast
beforeAll(async () => {
  cast = await makeCast()
})

/** The hub keeps a status with this report. */
function kept(at: Witness, report: ReturnType<typeof reportOf>): void {
  tell(at, { kind: 'kept', status: statusOf(at, { report }) })
}

describe('I18', () => {
  it('fires at a second final report of one attempt, whatever it says', async () => {
    for (const result of ['ok', 'failed'] as const) {
      const at = await witness(cast)
      const seq = await updated(at)
      kept(at, reportOf(seq, releaseNamed(at, result === 'ok' ? 'good-1' : 'good-2'), { result }))
      expect(at.fired()).toEqual(['I18'])
      expect(at.said('I18')).toContain('a second final report')
    }
  })

  it('lets installations without a number report as often as there are', async () => {
    const at = await witness(cast)
    await updated(at)
    kept(at, reportOf(0, releaseNamed(at, 'good-1')))
    const status = statusOf(at)
    tell(at, {
      kind: 'kept',
      status: { ...status, seq: status.seq + 1, report: reportOf(0, releaseNamed(at, 'good-1')) },
    })
    expect(at.fired()).toEqual([])
  })

  it('fires at success of a release that no committed slot holds whole', async () => {
    const at = await witness(cast)
    kept(at, reportOf(9, releaseNamed(at, 'good-1')))
    expect(at.fired()).toEqual(['I18'])
    const rotten = await witness(cast)
    await updated(rotten)
    rotten.board.slots.b.plant(0, new Uint8Array(4096))
    kept(rotten, reportOf(9, releaseNamed(rotten, 'good-1')))
    expect(rotten.fired()).toEqual(['I18'])
  })

  it('fires at success of a slot that was committed while the other one ran', async () => {
    const at = await witness(cast)
    await updated(at, 'sick-1')
    const { b } = await at.board.record()
    expect(b.ok).toBe(false)
    await writeChanged(at, slotAs('b', true, b.sv, 0))
    kept(at, reportOf(9, releaseNamed(at, 'sick-1')))
    expect(at.fired()).toEqual(['I18'])
    expect(at.said('I18')).toContain('never committed by its own run')
  })

  it('fires at failure of what runs, committed', async () => {
    const at = await witness(cast)
    await updated(at)
    kept(at, reportOf(9, releaseNamed(at, 'good-1'), { result: 'failed', code: 'EB-HEALTH' }))
    expect(at.fired()).toEqual(['I18'])
  })

  it('fires at "no verdict" of a trial that had not all its boots', async () => {
    for (const taken of [2, 3]) {
      const at = await witness(cast)
      const release = releaseNamed(at, 'good-2')
      saveJournal(at, { attempt: openAttempt(9, release) })
      await writeChanged(at, slotAs('b', false, 2, 3), 1)
      for (let left = 2; left >= 3 - taken; left -= 1) await writeChanged(at, slotAs('b', false, 2, left), 1)
      const status = statusOf(at, {
        report: reportOf(9, release, { result: 'failed', code: 'EB-NO-VERDICT' }),
      })
      saveJournal(at, { outbox: [status] })
      // The slot is empty, which is another lie.
      expect(at.fired()).toEqual(taken === 2 ? ['I2', 'I18'] : ['I2'])
    }
  })

  it('looks at the truth when a report is written, not when it comes', async () => {
    const at = await witness(cast)
    const seq = await updated(at)
    const report = reportOf(seq + 1, releaseNamed(at, 'good-1'))
    const status = statusOf(at, { report })
    saveJournal(at, { outbox: [status] })
    at.board.slots.b.plant(0, new Uint8Array(4096))
    tell(at, { kind: 'kept', status })
    expect(at.fired()).toEqual([])
  })

  it('fires when an attempt ends without a report', async () => {
    const at = await witness(cast)
    saveJournal(at, { attempt: openAttempt(9, releaseNamed(at, 'good-1')) })
    saveJournal(at, {})
    expect(at.fired()).toEqual(['I18'])
    expect(at.said('I18')).toContain('ends without a report')
  })

  it('does not take an attempt for opened whose journal never became durable', async () => {
    const at = await witness(cast)
    saveJournal(at, {})
    const bytes = at.board.files.content('journal')
    saveJournal({ ...at, observer: { ...at.observer, tell: () => {} } }, { attempt: openAttempt(9, cast.v1) })
    if (bytes !== null) at.board.files.put('journal', bytes)
    tell(at, { kind: 'rename', from: 'journal.new' }, { kind: 'synced' })
    expect(at.fired()).toEqual([])
  })

  it('fires when a report leaves the outbox that the hub does not have', async () => {
    const at = await witness(cast)
    const report = reportOf(9, releaseNamed(at, 'good-1'), { result: 'failed', code: 'EB-HEALTH' })
    saveJournal(at, { outbox: [statusOf(at, { report })] })
    saveJournal(at, {})
    expect(at.fired()).toEqual(['I18'])
    expect(at.said('I18')).toContain('the hub does not have it')
  })

  it('fires when in the end an attempt has no report, or another result at the hub', async () => {
    const at = await witness(cast)
    await updated(at)
    const { attempts } = at.world.store.tables
    for (const [key, it] of attempts) attempts.set(key, { ...it, state: 'failed' })
    tell(at, { kind: 'end', converged: true })
    expect(at.fired()).toEqual(['I18'])
    const missing = await witness(cast)
    await updated(missing)
    const { attempts: rows } = missing.world.store.tables
    const [[key, row] = []] = rows
    if (key === undefined || row === undefined) throw new Error('no attempt')
    rows.set(`${key} again`, { ...row, seq: row.seq + 1 })
    tell(missing, { kind: 'end', converged: true })
    expect(missing.fired()).toEqual(['I18'])
    expect(missing.said('I18')).toContain('has no final report')
  })

  it('excuses what is repeated after a loss of the data, and the truth after a loss of the record', async () => {
    const at = await witness(cast)
    const seq = await updated(at)
    at.observer.planted('data-lost')
    kept(at, reportOf(seq, releaseNamed(at, 'good-1')))
    await at.world.time.pass(minute)
    expect(at.fired()).toEqual([])
    at.observer.planted('record')
    const later = statusOf(at, { report: reportOf(seq + 1, releaseNamed(at, 'good-2')) })
    tell(at, { kind: 'kept', status: { ...later, seq: later.seq + 1 } })
    expect(at.fired()).toEqual([])
  })
})
