/**
 * The retry policy: what ends a transfer, what is tried again, when.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { virtualTime } from '../../../bootloader-sim/devices/clock.ts'
import { EverbootError, fault } from '../../../core/errors.ts'
import { downloadLimits } from '../../../core/limits.ts'
import type { FetchResponse, Random } from '../../../core/ports.ts'
import { seededRandom } from '../../../core/prng.ts'
import { ok, type Result } from '../../../core/result.ts'
import { retrying } from '../../../device/download/retrying.ts'
import { throttle } from '../../../device/download/throttle.ts'
import {
  type FaultClass,
  fromPort,
  refused,
  retryDecision,
  type TransferFault,
  transferFault,
} from '../../../device/download/transfer-fault.ts'
import { newTurn } from '../../../proof/adapters/turn.ts'

const problem = (of: FaultClass, retryAfterMs: number | null = null): TransferFault =>
  transferFault(of, fault('EB-HTTP-STATUS', 'planted'), retryAfterMs)

const highest: Random = { uint32: () => 0xffff_ffff, below: (limit) => limit - 1 }
const lowest: Random = { uint32: () => 0, below: () => 0 }

const answer = (status: number, retryAfterMs: number | null = null): FetchResponse => ({
  status,
  etag: null,
  contentRange: null,
  contentLength: null,
  retryAfterMs,
  read: async () => null,
  cancel: () => {},
})

describe('a decision', () => {
  it('gives up at once where asking again changes nothing', () => {
    for (const tries of [1, 2, 3, 100])
      expect(retryDecision(problem('final'), tries, highest).kind).toBe('give up')
  })

  it('tries three times in all for wrong bytes, then gives up', () => {
    const kinds = [1, 2, 3, 4].map((tries) => retryDecision(problem('bytes'), tries, highest).kind)
    expect(kinds).toEqual(['retry', 'retry', 'give up', 'give up'])
  })

  it('tries three times for the network, then waits for the link, for ever', () => {
    const kinds = [1, 2, 3, 4, 1000].map((tries) => retryDecision(problem('network'), tries, highest).kind)
    expect(kinds).toEqual(['retry', 'retry', 'wait for the link', 'wait for the link', 'wait for the link'])
  })

  it('waits a random time up to a doubling bound, never more than five minutes, never nothing', () => {
    const waits = (random: Random): number[] =>
      Array.from({ length: 20 }, (_, index) => {
        const decision = retryDecision(problem('network'), index + 1, random)
        return decision.kind === 'give up' ? -1 : decision.waitMs
      })
    expect(waits(lowest)).toEqual(Array.from({ length: 20 }, () => 1))
    expect(waits(highest)).toEqual(
      Array.from({ length: 20 }, (_, index) => Math.min(downloadLimits.retryCeilingMs, 1000 * 2 ** index)),
    )
    // Full jitter: both halves of the range are used.
    const random = seededRandom(3)
    const drawn = Array.from({ length: 200 }, () => {
      const decision = retryDecision(problem('network'), 30, random)
      return decision.kind === 'give up' ? 0 : decision.waitMs
    })
    expect(Math.min(...drawn)).toBeLessThan(downloadLimits.retryCeilingMs * 0.1)
    expect(Math.max(...drawn)).toBeGreaterThan(downloadLimits.retryCeilingMs * 0.9)
  })

  it('waits at least as long as the server asked, up to five minutes', () => {
    fc.assert(
      fc.property(fc.nat(1e12), fc.integer({ min: 1, max: 50 }), (askedMs, tries) => {
        const decision = retryDecision(problem('network', askedMs), tries, lowest)
        if (decision.kind === 'give up') throw new Error('gave up')
        expect(decision.waitMs).toBe(Math.max(1, Math.min(askedMs, downloadLimits.retryCeilingMs)))
      }),
    )
  })
})

describe('a status', () => {
  it('of the kind 4xx ends the transfer, but for those that say "later"', () => {
    for (let status = 400; status < 500; status += 1) {
      const later = [408, 425, 429].includes(status)
      expect(refused('u', answer(status)).class, `${status}`).toBe(later ? 'network' : 'final')
    }
  })

  it('of the kind 5xx may be better later; redirects and oddities are final', () => {
    for (const status of [500, 502, 503, 504, 599]) expect(refused('u', answer(status)).class).toBe('network')
    for (const status of [0, 100, 204, 301, 302, 304, 307])
      expect(refused('u', answer(status)).class).toBe('final')
  })

  it('has its code and keeps what the server asked', () => {
    expect(refused('u', answer(401)).fault.code).toBe('EB-AUTH')
    expect(refused('u', answer(403)).fault.code).toBe('EB-AUTH')
    expect(refused('u', answer(416)).fault.code).toBe('EB-RANGE')
    expect(refused('u', answer(404)).fault.code).toBe('EB-HTTP-STATUS')
    expect(refused('u', answer(429, 5000)).retryAfterMs).toBe(5000)
  })
})

describe('an exception of the port', () => {
  it('is of the network, unless it is of something that waiting does not mend', () => {
    const of = (code: 'EB-HUB-UNREACHABLE' | 'EB-TLS' | 'EB-FILE' | 'EB-CONTAINER'): FaultClass =>
      fromPort(new EverbootError(fault(code, 'planted'))).class
    expect(of('EB-HUB-UNREACHABLE')).toBe('network')
    expect(of('EB-TLS')).toBe('network')
    expect(of('EB-FILE')).toBe('final')
    expect(of('EB-CONTAINER')).toBe('final')
  })

  it('that is a bug is thrown on', () => {
    expect(() => fromPort(new TypeError('planted'))).toThrow(TypeError)
  })
})

describe('trying again', () => {
  type Try =
    | { readonly ok: true; readonly value: string }
    | { readonly ok: false; readonly error: TransferFault; readonly gained: boolean }
  interface Run {
    readonly outcome: Result<string | null> | null
    readonly times: readonly number[]
  }

  /** @param outcomes of the tries, the last one for ever */
  async function run(
    outcomes: readonly Try[],
    limitMs: number,
    cancelAtMs = Number.POSITIVE_INFINITY,
  ): Promise<Run> {
    const time = virtualTime(newTurn(), 0)
    const cancelling = new AbortController()
    const times: number[] = []
    let gained = 0
    let outcome: Result<string | null> | null = null
    if (Number.isFinite(cancelAtMs)) time.clock.timer(cancelAtMs, () => cancelling.abort())
    void retrying(
      async () => {
        const it = outcomes[Math.min(times.length, outcomes.length - 1)] ?? ok('none')
        times.push(time.nowMs())
        if (!it.ok && it.gained) gained += 1
        return it
      },
      () => gained,
      { cancelled: cancelling.signal, waitForLink: (waitMs) => time.clock.sleep(waitMs) },
      { clock: time.clock, random: highest, events: { emit: () => {} } },
    ).then((it) => {
      outcome = it
    })
    await time.until(() => outcome !== null, limitMs)
    return { outcome, times }
  }
  const failed = (of: FaultClass, gained = false, retryAfterMs: number | null = null) => ({
    ok: false as const,
    error: problem(of, retryAfterMs),
    gained,
  })

  it('ends with the first success', async () => {
    const { outcome, times } = await run([failed('network'), failed('bytes'), ok('done')], 1e6)
    expect(outcome).toEqual(ok('done'))
    expect(times).toEqual([0, 1000, 3000])
  })

  it('counts failures from the last gain on', async () => {
    const gaining = [
      failed('bytes', true),
      failed('bytes'),
      failed('bytes', true),
      failed('bytes'),
      failed('bytes'),
    ]
    const { outcome, times } = await run(gaining, 1e6)
    expect(outcome?.ok).toBe(false)
    expect(times).toHaveLength(5)
  })

  it('goes on for a day against a dead network with a few hundred tries', async () => {
    const { outcome, times } = await run([failed('network')], 86_400_000)
    expect(outcome).toBeNull()
    expect(times.length).toBeLessThan(86_400_000 / downloadLimits.retryCeilingMs + 12)
  })

  it('ends at once when it is cancelled, in any wait', async () => {
    for (const [problems, cancelAtMs] of [
      [[failed('network', false, 200_000)], 5_000],
      [[failed('bytes')], 500],
    ] as const) {
      const { outcome, times } = await run(problems, cancelAtMs + 1, cancelAtMs)
      expect(outcome).toEqual(ok(null))
      expect(times.length).toBeLessThan(3)
    }
  })
})

describe('a throttle', () => {
  it('lets one second pass at once and then keeps the rate over any parts', async () => {
    for (const part of [1, 100, 1000, 5000]) {
      const time = virtualTime(newTurn(), 0)
      const slower = throttle(1000, time.clock)
      let done = false
      void (async () => {
        for (let sent = 0; sent < 20_000; sent += part) await slower(part)
        done = true
      })()
      await time.until(() => done, 1e9)
      expect(time.nowMs(), `parts of ${part}`).toBeGreaterThanOrEqual(19_000 - part)
      expect(time.nowMs(), `parts of ${part}`).toBeLessThanOrEqual(19_000 + part + 100)
    }
  })

  it('does not save up more than a second of rest', async () => {
    const time = virtualTime(newTurn(), 0)
    const slower = throttle(1000, time.clock)
    await time.pass(3_600_000)
    let done = false
    void slower(3000).then(() => {
      done = true
    })
    await time.until(() => done, 1e9)
    expect(time.nowMs() - 3_600_000).toBe(2000)
  })

  it('without a rate waits for nothing', async () => {
    const time = virtualTime(newTurn(), 0)
    await throttle(null, time.clock)(1e12)
    expect(time.timers()).toBe(0)
  })
})
