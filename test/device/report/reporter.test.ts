/**
 * The reporter: what must arrive is sent until it is acknowledged, in order, under rising numbers; nothing of
 * it grows without bound.
 */
import { describe, expect, it } from 'vitest'
import { simFiles } from '../../../bootloader-sim/devices/file-store.ts'
import { raise } from '../../../core/errors.ts'
import { wireLimits } from '../../../core/limits.ts'
import { decodeStatus, encodeMessage, type Report } from '../../../core/wire/messages.ts'
import { createReporter, type Reporter } from '../../../device/report/reporter.ts'
import { evidenceOf } from '../../../device/report/snapshot.ts'
import { decodeJournal } from '../../../device/update/journal.ts'
import { type Fake, fakeBoard } from './fake-board.ts'

const view = { state: 'IDLE' as const, progress: null }
const report = (seq: number): Report => ({ seq, release: 'r', result: 'ok' })
const notice = (what: string) => ({ notice: { code: 'EB-HEALTH' as const, what } })

async function made(files = simFiles()): Promise<Fake & { reporter: Reporter; heard: () => number }> {
  const fake = await fakeBoard(files)
  let heard = 0
  const reporter = createReporter(
    fake.board,
    () => view,
    () => {
      heard += 1
    },
  )
  return { ...fake, reporter, heard: () => heard }
}

const seqs = (fake: Fake): number[] => fake.statuses().map((it) => it.seq)
const soon = { waitMs: 1000 }

describe('a kept status', () => {
  it('is sent at once when the hub is there, and again until it is acknowledged', async () => {
    const fake = await made()
    fake.reporter.linkUp()
    await fake.reporter.keep({ report: report(5) })
    expect(seqs(fake)).toEqual([1])
    await fake.time.pass(10 * 60_000)
    const sent = seqs(fake)
    expect(sent.length).toBeGreaterThan(3)
    expect(sent.length).toBeLessThan(40)
    expect(new Set(sent)).toEqual(new Set([1]))
    fake.reporter.acknowledged({ v: 1, bootId: 'boot-1', seq: 1 })
    await fake.time.pass(60 * 60_000)
    expect(seqs(fake)).toHaveLength(sent.length)
    expect(fake.board.journal.current.outbox).toEqual([])
  })

  it('waits for its turn: the next goes out after the acknowledgement of the one before', async () => {
    const fake = await made()
    fake.reporter.linkUp()
    for (const seq of [5, 6, 7]) await fake.reporter.keep({ report: report(seq) })
    expect(seqs(fake)).toEqual([1])
    fake.reporter.show()
    for (const seq of [1, 2, 3]) {
      fake.reporter.acknowledged({ v: 1, bootId: 'boot-1', seq })
      await fake.time.pass(soon.waitMs)
    }
    expect(seqs(fake)).toEqual([1, 2, 3, 4])
    expect(fake.statuses().map((it) => it.report?.seq)).toEqual([5, 6, 7, undefined])
  })

  it('is sent again after a reconnect, and after a restart under its old number', async () => {
    const fake = await made()
    fake.reporter.linkUp()
    await fake.reporter.keep({ report: report(5) })
    fake.reporter.linkDown()
    fake.reporter.linkUp()
    expect(seqs(fake)).toEqual([1, 1])
    const again = await made(fake.files)
    again.reporter.linkUp()
    await again.reporter.keep({ report: report(6) })
    again.reporter.acknowledged({ v: 1, bootId: 'boot-1', seq: 1 })
    await again.time.pass(soon.waitMs)
    const [first, second] = seqs(again)
    expect(first).toBe(1)
    expect(second).toBeGreaterThan(1000)
  })

  it('is not taken for acknowledged by an answer to another boot or number', async () => {
    const fake = await made()
    fake.reporter.linkUp()
    await fake.reporter.keep({ report: report(5) })
    fake.reporter.acknowledged({ v: 1, bootId: 'boot-0', seq: 1 })
    fake.reporter.acknowledged({ v: 1, bootId: 'boot-1', seq: 2 })
    expect(fake.board.journal.current.outbox).toHaveLength(1)
    expect(fake.reporter.hubHeard).toBe(true)
  })

  it('stays although the broker took it: only the hub counts', async () => {
    const fake = await made()
    fake.reporter.linkUp()
    await fake.reporter.keep({ report: report(5) })
    await fake.time.pass(1)
    expect(fake.link.answer).toBe('yes')
    expect(fake.board.journal.current.outbox).toHaveLength(1)
  })

  it('is not overtaken by a state that is shown while it is being kept', async () => {
    const fake = await made()
    fake.reporter.linkUp()
    await fake.reporter.keep({})
    fake.reporter.acknowledged({ v: 1, bootId: 'boot-1', seq: 1 })
    await fake.time.pass(soon.waitMs)
    fake.files.fault = (operation) => {
      if (operation === 'syncFile') fake.reporter.show()
    }
    await fake.reporter.keep({ report: report(5) })
    await fake.time.pass(soon.waitMs)
    const numbers = seqs(fake)
    expect(numbers.length).toBeGreaterThan(1)
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b))
  })

  it('is one save of the journal with the change that belongs to it', async () => {
    const fake = await made()
    let writes = 0
    fake.files.fault = (operation) => {
      if (operation === 'write') writes += 1
    }
    await fake.reporter.keep({ report: report(5) }, (it) => ({ ...it, handedBack: true }))
    expect(writes).toBe(1)
    const journal = decodeJournal(fake.files.content('journal') ?? new Uint8Array(0))
    expect(journal).toMatchObject({ handedBack: true, outbox: [{ report: { seq: 5 } }] })
  })
})

describe('the hub is heard of', () => {
  it('with the first acknowledgement of this boot, once', async () => {
    const fake = await made()
    expect(fake.reporter.hubHeard).toBe(false)
    fake.reporter.acknowledged({ v: 1, bootId: 'an-earlier-boot', seq: 1 })
    expect(fake.reporter.hubHeard).toBe(false)
    for (const seq of [7, 8]) fake.reporter.acknowledged({ v: 1, bootId: 'boot-1', seq })
    expect(fake.reporter.hubHeard).toBe(true)
    expect(fake.heard()).toBe(1)
  })
})

describe('numbers', () => {
  it('only rise, over a hundred restarts with shown and kept statuses', async () => {
    const files = simFiles()
    let last = 0
    for (let run = 0; run < 100; run += 1) {
      const fake = await made(files)
      fake.reporter.linkUp()
      for (let shown = 0; shown < 3; shown += 1) {
        await fake.reporter.keep({})
        const { outbox } = fake.board.journal.current
        for (const { bootId, seq } of outbox) fake.reporter.acknowledged({ v: 1, bootId, seq })
        await fake.time.pass(1)
        fake.reporter.show()
        await fake.time.pass(1)
      }
      const sent = seqs(fake).filter((it) => it > last)
      expect(sent.length).toBeGreaterThan(3)
      expect([...sent].sort((a, b) => a - b)).toEqual(sent)
      last = sent.at(-1) ?? last
    }
  })

  it('that are not set aside are not used: nothing is shown before the first save', async () => {
    const fake = await made()
    fake.reporter.linkUp()
    fake.reporter.show()
    await fake.time.pass(1)
    expect(seqs(fake)).toEqual([])
    await fake.reporter.keep({})
    expect(seqs(fake)).toEqual([1])
  })
})

describe('a full data partition', () => {
  const fill = (fake: Fake): void => {
    fake.files.fault = (operation) => {
      if (operation === 'write') raise('EB-DATA-FULL', 'planted')
    }
  }

  it('makes `keep` fail and `keepSoon` wait; it is kept when there is room', async () => {
    const fake = await made()
    fake.reporter.linkUp()
    await fake.reporter.keep({})
    fake.reporter.acknowledged({ v: 1, bootId: 'boot-1', seq: 1 })
    await fake.time.pass(1)
    fill(fake)
    await expect(fake.reporter.keep({ report: report(5) })).rejects.toThrow('EB-DATA-FULL')
    await fake.reporter.keepSoon(notice('first'))
    await fake.reporter.keepSoon(notice('second'), (it) => ({ ...it, handedBack: true }))
    await fake.time.pass(3 * wireLimits.keepRetryMs)
    expect(fake.board.journal.current.handedBack).toBe(false)
    // Meanwhile a shown status carries it, unkept.
    fake.reporter.show()
    await fake.time.pass(1)
    expect(fake.statuses().at(-1)?.notice?.what).toBe('first')
    fake.files.fault = () => {}
    await fake.time.pass(wireLimits.keepRetryMs)
    expect(fake.board.journal.current.outbox.map((it) => it.notice?.what)).toEqual(['first', 'second'])
    expect(fake.board.journal.current.handedBack).toBe(true)
    await fake.time.pass(60 * 60_000)
    expect(fake.board.journal.current.outbox).toHaveLength(2)
  })

  it('does not hold up what comes after an acknowledged status', async () => {
    const fake = await made()
    fake.reporter.linkUp()
    for (const seq of [5, 6]) await fake.reporter.keep({ report: report(seq) })
    fill(fake)
    fake.reporter.acknowledged({ v: 1, bootId: 'boot-1', seq: 1 })
    await fake.time.pass(1)
    expect(fake.statuses().map((it) => it.report?.seq)).toEqual([5, 6])
    fake.reporter.acknowledged({ v: 1, bootId: 'boot-1', seq: 2 })
    await fake.time.pass(60 * 60_000)
    expect(fake.statuses()).toHaveLength(2)
    fake.files.fault = () => {}
    await fake.reporter.keep({})
    expect(fake.board.journal.current.outbox).toHaveLength(1)
  })

  it('keeps no more than a few statuses waiting', async () => {
    const fake = await made()
    fill(fake)
    for (let index = 0; index < 100; index += 1) await fake.reporter.keepSoon(notice(`${index}`))
    fake.files.fault = () => {}
    await fake.time.pass(wireLimits.keepRetryMs)
    expect(fake.board.journal.current.outbox).toHaveLength(wireLimits.keepsWaitingMax)
    expect(fake.board.journal.current.outbox.at(-1)?.notice?.what).toBe('99')
  })
})

describe('the outbox', () => {
  it('keeps of mere snapshots only number 1 and the newest, and every report and notice', async () => {
    const fake = await made()
    for (let index = 0; index < 10; index += 1) await fake.reporter.keep({})
    await fake.reporter.keep({ report: report(5) })
    for (let index = 0; index < 10; index += 1) await fake.reporter.keep({})
    await fake.reporter.keep(notice('n'))
    const kept = fake.board.journal.current.outbox.map(
      (it) => it.report?.seq ?? it.notice?.what ?? 'snapshot',
    )
    expect(kept).toEqual(['snapshot', 5, 'n'])
    expect(fake.board.journal.current.outbox[0]?.seq).toBe(1)
  })

  it('gives up notices before reports when there are too many', async () => {
    const fake = await made()
    await fake.reporter.keep({ report: report(5) })
    for (let index = 0; index < wireLimits.outboxMessagesMax + 20; index += 1) {
      await fake.reporter.keep(notice(`${index}`))
    }
    const { outbox } = fake.board.journal.current
    expect(outbox).toHaveLength(wireLimits.outboxMessagesMax)
    expect(outbox[0]?.report?.seq).toBe(5)
    expect(outbox.at(-1)?.notice?.what).toBe(`${wireLimits.outboxMessagesMax + 19}`)
  })

  it('keeps the evidence of the newest only: it is what makes a journal large', async () => {
    const fake = await made()
    const evidence = evidenceOf({ console: 'x'.repeat(20_000), bootTrace: 'y'.repeat(20_000) })
    for (let index = 0; index < 40; index += 1) {
      await fake.reporter.keep({ notice: { code: 'EB-HEALTH', what: `${index}`, evidence } })
    }
    const { outbox } = fake.board.journal.current
    expect(outbox).toHaveLength(40)
    expect(outbox.filter((it) => it.notice?.evidence !== undefined)).toHaveLength(
      wireLimits.outboxEvidencesMax,
    )
    expect(outbox.at(-1)?.notice?.evidence).toBeDefined()
    expect(fake.files.content('journal')?.length).toBeLessThan(512 * 1024)
  })
})

describe('a status', () => {
  it('is never too long for the wire or the journal, whatever is to be said', async () => {
    const fake = await made()
    fake.reporter.linkUp()
    // Control characters take six bytes each in JSON.
    const long = '\u0001'.repeat(50_000)
    const evidence = evidenceOf({ check: long, output: long, console: long, bootTrace: long })
    await fake.reporter.keep({
      report: { ...report(5), result: 'failed', code: 'EB-HEALTH', what: long, evidence },
    })
    await fake.reporter.keep({ notice: { code: 'EB-HEALTH', what: long, evidence } })
    fake.reporter.acknowledged({ v: 1, bootId: 'boot-1', seq: 1 })
    await fake.time.pass(1)
    for (const { payload } of fake.link.published) {
      expect(payload.length).toBeLessThan(wireLimits.messageBytesMax)
      expect(decodeStatus(payload).ok).toBe(true)
    }
    expect(fake.link.published).toHaveLength(2)
    expect(decodeJournal(fake.files.content('journal') ?? new Uint8Array(0))).not.toBeNull()
  })
})

describe('draining', () => {
  it('ends when all is acknowledged, at the latest after its time, at once without a link', async () => {
    const fake = await made()
    const drained = async (waitMs: number): Promise<number> => {
      const from = fake.time.nowMs()
      let done = false
      void fake.reporter.drain(waitMs).then(() => {
        done = true
      })
      await fake.time.until(() => done, 60_000)
      return fake.time.nowMs() - from
    }
    await fake.reporter.keep({ report: report(5) })
    expect(await drained(1500)).toBe(0)
    fake.reporter.linkUp()
    expect(await drained(1500)).toBe(1500)
    fake.time.clock.timer(300, () => fake.reporter.acknowledged({ v: 1, bootId: 'boot-1', seq: 1 }))
    const took = await drained(1500)
    expect(took).toBeGreaterThanOrEqual(300)
    expect(took).toBeLessThan(400)
  })
})

describe('a closed reporter', () => {
  it('sends nothing and leaves no timer', async () => {
    const fake = await made()
    fake.link.answer = 'no'
    fake.reporter.linkUp()
    await fake.reporter.keep({ report: report(5) })
    fake.files.fault = (operation) => {
      if (operation === 'write') raise('EB-DATA-FULL', 'planted')
    }
    await fake.reporter.keepSoon(notice('n'))
    await fake.time.pass(1)
    fake.reporter.close()
    await fake.time.pass(1)
    expect(fake.time.timers()).toBe(0)
    const sent = fake.link.published.length
    fake.reporter.show()
    await fake.time.pass(60 * 60_000)
    expect(fake.link.published).toHaveLength(sent)
  })
})

describe('encodeMessage', () => {
  it('makes what decodeStatus takes, byte for byte the same again', async () => {
    const fake = await made()
    fake.reporter.linkUp()
    await fake.reporter.keep({ report: report(5) })
    const [status] = fake.statuses()
    expect(status).toBeDefined()
    if (status === undefined) return
    expect(encodeMessage(status)).toEqual(fake.link.published[0]?.payload)
  })
})
