/**
 * The rules of the soak: a board and a hub that are as they must be break none; each lie breaks its rule.
 */
import { describe, expect, it } from 'vitest'
import type { AttemptFacts, DiskFacts, ReportFacts, Violation } from './facts.ts'
import {
  changed,
  diskBefore,
  goodAttempt,
  goodDisk,
  goodHub,
  goodReport,
  release,
  releases,
} from './samples.ts'
import {
  bootFaults,
  couldCarry,
  diskFaults,
  outcomeFaults,
  reportFaults,
  strayReports,
  truthFaults,
  wireFaults,
} from './verdicts.ts'

const rulesOf = (found: readonly Violation[]): readonly string[] => [...new Set(found.map((it) => it.rule))]
const slotB = (change: Partial<DiskFacts['slots']['b']>): DiskFacts =>
  changed(goodDisk, {}, { b: { ...goodDisk.slots.b, ...change } })
const failed = (code: string): ReportFacts => ({ ...goodReport, result: 'failed', code })

describe('the disk', () => {
  it('that is as it must be breaks no rule', () => {
    expect(diskFaults(goodDisk, diskBefore, releases)).toEqual([])
    expect(diskFaults(goodDisk, null, releases)).toEqual([])
  })

  it.each<[string, string, DiskFacts]>([
    ['one copy of the record is bad', 'record', { ...goodDisk, copies: [goodDisk.record, null] }],
    ['fw_printenv cannot read it', 'record', { ...goodDisk, printed: [null, null, null] }],
    [
      'fw_printenv reads something else',
      'record',
      { ...goodDisk, printed: goodDisk.printed.map((it) => ({ ...it, a_tries: '3' })) },
    ],
    ['the stamp is bad', 'record', { ...goodDisk, stamp: null }],
    ['the journal is damaged', 'record', { ...goodDisk, journal: 'bad' }],
    [
      'what comes first is not committed',
      'committed',
      changed(goodDisk, { b: { ok: false, sv: 2, tries: 3 } }),
    ],
    ['the seal is bad', 'seal', slotB({ release: null })],
    ['nobody made what is in the slot', 'seal', slotB({ release: 'demo-9' })],
    ['the seal names another image', 'seal', slotB({ sealFits: false })],
    ['a byte of the image is other', 'image', slotB({ differsAt: 0 })],
    ['a sick system is committed', 'fit', slotB({ release: 'demo-4' })],
    ['the committed slot is below the floor', 'floor', slotB({ securityVersion: 1 })],
    ['the floor fell', 'floor', { ...changed(goodDisk, { floor: 0 }), stamp: { floor: 0, priority: 'b' } }],
  ])('breaks a rule when %s', (_, rule, disk) => {
    expect(rulesOf(diskFaults(disk, diskBefore, releases))).toContain(rule)
  })

  it('may lose its running slot only while the other one is committed, whole and at the floor', () => {
    expect(couldCarry(goodDisk, releases)).toBe(true)
    expect(couldCarry(diskBefore, releases)).toBe(false)
    const slotA = { ...goodDisk.slots.a, differsAt: 7 }
    expect(couldCarry(changed(goodDisk, {}, { a: slotA }), releases)).toBe(false)
    expect(couldCarry(changed(goodDisk, { a: { ok: true, sv: 2, tries: 0 } }), releases)).toBe(false)
    expect(couldCarry(changed(goodDisk, { floor: 3 }), releases)).toBe(false)
  })
})

describe('the boot', () => {
  it('is of the slot that comes first, or of the other when that one is not whole', () => {
    expect(bootFaults(goodDisk, { slot: 'b', release: 'demo-3' })).toEqual([])
    expect(bootFaults(slotB({ differsAt: 9 }), { slot: 'a', release: 'demo-2' })).toEqual([])
  })

  it.each([
    [goodDisk, { slot: 'a', release: 'demo-2' } as const],
    [goodDisk, { slot: 'b', release: 'demo-2' } as const],
    [slotB({ differsAt: 9 }), { slot: 'b', release: 'demo-3' } as const],
  ])('breaks a rule otherwise (%#)', (disk, booted) => {
    expect(rulesOf(bootFaults(disk, booted))).toEqual(['boot'])
  })
})

describe('the report', () => {
  const [known] = goodHub.attempts
  const finished = goodDisk.finished

  it('that is there once and agrees with hub and journal breaks no rule', () => {
    expect(reportFaults(goodAttempt, [goodReport], known, finished)).toEqual([])
    expect(strayReports([goodReport], new Set([10]))).toEqual([])
  })

  it('breaks a rule when it is missing, double, of another release, or drawn wrong conclusions from', () => {
    const faults = [
      reportFaults(goodAttempt, [], known, finished),
      reportFaults(goodAttempt, [goodReport, { ...goodReport, key: 'boot-2 9' }], known, finished),
      reportFaults(goodAttempt, [{ ...goodReport, release: 'demo-2' }], known, finished),
      reportFaults(goodAttempt, [goodReport], undefined, finished),
      reportFaults(goodAttempt, [failed('EB-HEALTH')], known, finished),
      reportFaults(goodAttempt, [goodReport], known, { seq: 9, result: 'ok' }),
      strayReports([{ ...goodReport, seq: 11 }], new Set([10])),
    ]
    for (const found of faults) expect(rulesOf(found)).toEqual(['report'])
  })

  it('is true when the disk shows what it says', () => {
    expect(truthFaults(goodAttempt, goodReport, diskBefore, goodDisk)).toEqual([])
    expect(truthFaults(goodAttempt, failed('EB-HEALTH'), diskBefore, diskBefore)).toEqual([])
    // What was committed before and not touched is no success of this attempt.
    expect(truthFaults(goodAttempt, failed('EB-ROLLBACK'), goodDisk, goodDisk)).toEqual([])
  })

  it('is a lie otherwise', () => {
    expect(rulesOf(truthFaults(goodAttempt, goodReport, diskBefore, diskBefore))).toEqual(['truth'])
    expect(rulesOf(truthFaults(goodAttempt, failed('EB-NO-VERDICT'), diskBefore, goodDisk))).toEqual([
      'truth',
    ])
    const onTrial = changed(goodDisk, { b: { ok: false, sv: 2, tries: 2 } })
    expect(rulesOf(truthFaults(goodAttempt, goodReport, diskBefore, onTrial))).toEqual(['truth'])
  })
})

describe('the outcome', () => {
  const worn: Partial<AttemptFacts> = { trialBoots: 3, bootsSinceArmed: 4 }
  const of = (change: Partial<AttemptFacts>): AttemptFacts => ({ ...goodAttempt, ...change })

  it.each<[string, AttemptFacts, ReportFacts, number]>([
    ['a good release is committed', goodAttempt, goodReport, 2],
    ['a good release is worn out by resets', of(worn), failed('EB-NO-VERDICT'), 2],
    ['a release is below the floor', of({ release: release(1, 'good', 1) }), failed('EB-ROLLBACK'), 2],
    ['a sick release fails', of({ release: release(4, 'sick'), strikes: 0 }), failed('EB-HEALTH'), 2],
    ['a hung one comes to nothing', of({ release: release(7, 'hung'), ...worn }), failed('EB-NO-VERDICT'), 2],
    ['the slot was damaged', of({ damaged: true }), failed('EB-READBACK'), 2],
  ])('is believed when %s', (_, attempt, report, floor) => {
    expect(outcomeFaults(attempt, report, floor)).toEqual([])
  })

  it.each<[string, AttemptFacts, ReportFacts, number]>([
    ['a sick release is committed', of({ release: release(4, 'sick') }), goodReport, 2],
    ['a release below the floor is committed', of({ release: release(1, 'good', 1) }), goodReport, 2],
    [
      'one below the floor fails for another reason',
      of({ release: release(1, 'good', 1) }),
      failed('EB-HEALTH'),
      2,
    ],
    ['a good release fails unstruck', of({ strikes: 0, ...worn }), failed('EB-NO-VERDICT'), 2],
    ['a good release is given up too early', of({ bootsSinceArmed: 3 }), failed('EB-NO-VERDICT'), 2],
    ['a good release fails for want of a hub', goodAttempt, failed('EB-HUB-UNREACHABLE'), 2],
    ['a trial is booted four times', of({ trialBoots: 4, bootsSinceArmed: 5 }), failed('EB-NO-VERDICT'), 2],
    ['a hung system is found sick', of({ release: release(7, 'hung'), ...worn }), failed('EB-HEALTH'), 2],
  ])('breaks a rule when %s', (_, attempt, report, floor) => {
    expect(rulesOf(outcomeFaults(attempt, report, floor))).toEqual(['outcome'])
  })
})

describe('the wire', () => {
  const wire = { acknowledged: ['boot-1 4', 'boot-1 5', 'boot-1 5'], ambiguous: [] }

  it('breaks no rule when all that was acknowledged is kept once', () => {
    expect(wireFaults(wire, goodHub)).toEqual([])
  })

  it('breaks a rule when an acknowledged status is missing or double, or a number stands for two', () => {
    expect(rulesOf(wireFaults(wire, { ...goodHub, statuses: ['boot-1 4'] }))).toEqual(['acknowledged'])
    const twice = { ...goodHub, statuses: [...goodHub.statuses, 'boot-1 5'] }
    expect(rulesOf(wireFaults(wire, twice))).toEqual(['acknowledged'])
    expect(rulesOf(wireFaults({ ...wire, ambiguous: ['boot-2 7'] }, goodHub))).toEqual(['numbers'])
  })
})
