/**
 * What the service manager hears of the agent, in virtual time: ready once, a sign of life while the agent answers.
 */
import { beforeEach, describe, expect, it } from 'vitest'
import { type VirtualTime, virtualTime } from '../../bootloader-sim/devices/clock.ts'
import { fault } from '../../core/errors.ts'
import { fail, ok, type Result } from '../../core/result.ts'
import { serviceLimits } from '../../core/service-limits.ts'
import type { LocalStatus } from '../../device/local-request.ts'
import { type Pulse, startPulse } from '../../device/service-pulse.ts'
import { newTurn } from '../../proof/adapters/turn.ts'

const status: LocalStatus = {
  status: {
    v: 1,
    bootId: 'boot-1',
    seq: 1,
    state: 'IDLE',
    slot: 'a',
    floor: 0,
    slots: {
      a: { release: 'demo-1', version: '1', ok: true, tries: 8 },
      b: { release: null, version: null, ok: false, tries: 0 },
    },
    hardware: ['sim'],
    attempt: null,
    progress: null,
    finished: null,
  },
  hubConnected: true,
  settled: true,
  lastReport: null,
  version: '1',
}

let time: VirtualTime
let told: { atMs: number; words: readonly string[] }[]
let answer: () => Promise<Result<LocalStatus>>
beforeEach(() => {
  time = virtualTime(newTurn(), 0)
  told = []
  answer = async () => ok(status)
})

function begin(watchdogMs: number | null = 60_000): Pulse {
  const from = time.clock.monotonicMs()
  return startPulse(
    time.clock,
    { request: () => answer() },
    { watchdogMs, tell: async (words) => void told.push({ atMs: time.clock.monotonicMs() - from, words }) },
  )
}
const pets = (): readonly number[] =>
  told.filter((it) => it.words.includes('WATCHDOG=1')).map((it) => it.atMs)

describe('the service manager', () => {
  it('hears that the agent is ready only when it answers', async () => {
    answer = async () => fail(fault('EB-NO-AGENT', 'the agent is still starting'))
    begin()
    await time.pass(30_000)
    expect(told).toEqual([])
    answer = async () => ok(status)
    await time.pass(1_000)
    expect(told).toEqual([
      {
        atMs: expect.any(Number),
        words: ['READY=1', 'STATUS=IDLE; demo-1 in slot a; hub connected', 'WATCHDOG=1'],
      },
    ])
  })

  it('gets signs of life three times in its period, and a new text when there is one', async () => {
    begin(60_000)
    await time.pass(300_000)
    const seen = pets()
    expect(seen.length).toBeGreaterThanOrEqual(12)
    for (const [index, it] of seen.entries())
      if (index > 0) expect(it - (seen[index - 1] ?? 0)).toBeLessThanOrEqual(30_000)
    expect(told.filter((it) => it.words.some((word) => word.startsWith('STATUS='))).length).toBe(1)
    const progress = { bytesDone: 1024, bytesTotal: 4096, bytesFetched: 1024, bytesRefetched: 0 }
    const attempt = { seq: 1, release: 'demo-2' }
    answer = async () =>
      ok({ ...status, status: { ...status.status, state: 'DOWNLOADING', attempt, progress } })
    await time.pass(11_000)
    expect(told.flatMap((it) => it.words)).toContain(
      'STATUS=DOWNLOADING demo-2 1.0 KiB of 4.0 KiB; demo-1 in slot a; hub connected',
    )
  })

  it('gets none without a watchdog', async () => {
    begin(null)
    await time.pass(300_000)
    expect(pets()).toEqual([])
    expect(told).toHaveLength(1)
  })

  it('gets them while the agent is busy for long, and none once it is stuck', async () => {
    begin(60_000)
    await time.pass(10_000)
    answer = () => new Promise(() => {})
    await time.pass(serviceLimits.stuckMs - 60_000)
    const before = pets().length
    expect(before).toBeGreaterThan(60)
    await time.pass(120_000)
    const after = pets().length
    await time.pass(600_000)
    expect(pets()).toHaveLength(after)
  })

  it('hears nothing but the end once the agent ends', async () => {
    const pulse = begin(60_000)
    await time.pass(10_000)
    told = []
    await pulse.stop()
    await time.pass(600_000)
    expect(told.map((it) => it.words)).toEqual([['STOPPING=1']])
  })
})
