/**
 * Statuses in any order, repeated, of one life of a device and of its next.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AssertionFailed } from '../../../core/assert.ts'
import { type Status, updateStates } from '../../../core/wire/messages.ts'
import type { Effect, HubMessage, HubState } from '../../../hub/core/model.ts'
import { reduce } from '../../../hub/core/reduce.ts'
import {
  accepted,
  addDevice,
  hubAfter,
  register,
  releaseInfo,
  rollout,
  saying,
  statusOf,
} from '../fixtures.ts'

const start = hubAfter([
  addDevice('dev1'),
  register(releaseInfo('demo-2-bbb')),
  register(releaseInfo('demo-3-ccc')),
  rollout('demo-2-bbb', ['dev1'], 100),
  rollout('demo-3-ccc', ['dev1'], 200),
])

/** What must not depend on the order of arrival: not times, nor which boots were heard last. */
function essence(state: HubState): unknown {
  const ofArrival = ['atMs', 'endedMs', 'boots']
  const strip = (value: unknown): unknown =>
    JSON.parse(JSON.stringify(value, (key, it) => (ofArrival.includes(key) ? undefined : it)))
  return strip([state.devices.values(), state.rollouts.values()])
}

/** A life of a device: statuses 1 to n over several boots, at most one final report for each attempt. */
const lifeArbitrary = fc
  .array(
    fc.record({
      state: fc.constantFrom(...updateStates),
      newBoot: fc.boolean(),
      attempt: fc.constantFrom(null, 100, 200, 999),
      report: fc.constantFrom(null, null, 'ok', 'failed'),
      notice: fc.boolean(),
      slot: fc.constantFrom('a' as const, 'b' as const),
    }),
    { minLength: 1, maxLength: 12 },
  )
  .map((steps): Status[] => {
    let boot = 1
    return steps.map((step, index) => {
      if (step.newBoot) boot += 1
      const release = step.attempt === 200 ? 'demo-3-ccc' : 'demo-2-bbb'
      const attempt = step.attempt === null ? null : { seq: step.attempt, release }
      const evidence = { check: `check ${index}` }
      return {
        ...statusOf(index + 1, { bootId: `boot-${boot}`, state: step.state, slot: step.slot, attempt }),
        ...(step.report === null || attempt === null
          ? {}
          : { report: { ...attempt, result: step.report, code: 'EB-HEALTH' as const, evidence } }),
        ...(step.notice ? { notice: { code: 'EB-FELL-BACK' as const, what: `status ${index + 1}` } } : {}),
      } as Status
    })
  })

const shuffledTwice = (statuses: readonly Status[]): fc.Arbitrary<readonly Status[]> =>
  fc
    .tuple(
      fc.shuffledSubarray([...statuses], { minLength: statuses.length }),
      fc.array(fc.constantFrom(...statuses), { maxLength: 10 }),
      fc.infiniteStream(fc.nat()),
    )
    .map(([shuffled, again, places]) => {
      const all = [...shuffled]
      for (const it of again) all.splice((places.next().value ?? 0) % (all.length + 1), 0, it)
      return all
    })

describe('a status', () => {
  it('leaves the same picture whatever the order and repetition of arrival', () => {
    fc.assert(
      fc.property(
        lifeArbitrary.chain((statuses) => fc.tuple(fc.constant(statuses), shuffledTwice(statuses))),
        ([inOrder, mixed]) => {
          const one = hubAfter(
            inOrder.map((it) => saying('dev1', it)),
            start,
          )
          const other = hubAfter(
            mixed.map((it) => saying('dev1', it)),
            start,
          )
          expect(essence(other)).toEqual(essence(one))
        },
      ),
      { numRuns: 500 },
    )
  })

  it('moves the reported state forward only', () => {
    fc.assert(
      fc.property(lifeArbitrary.chain(shuffledTwice), (mixed) => {
        let state = start
        let highest = 0
        for (const status of mixed) {
          state = reduce(state, saying('dev1', status)).state
          highest = Math.max(highest, status.seq)
          expect(state.devices.get('dev1')?.reported?.seq).toBe(highest)
        }
      }),
    )
  })

  it('is acknowledged each time, after a commit that adds it', () => {
    const status = statusOf(7)
    for (const state of [start, hubAfter([saying('dev1', status)], start)]) {
      const { effects } = accepted(reduce(state, saying('dev1', status)))
      expect(effects.map((it) => it.kind).slice(0, 2)).toEqual(['commit', 'send-ack'])
      expect(writesOf(effects).filter((it) => it.kind === 'add-status')).toHaveLength(1)
      expect(effects[1]).toEqual({ kind: 'send-ack', device: 'dev1', bootId: 'boot-1', seq: 7 })
    }
  })

  it('of a device that the hub does not know is neither kept nor acknowledged', () => {
    const step = reduce(start, saying('stranger', statusOf(1)))
    expect(step.state).toBe(start)
    expect(step.effects).toEqual([])
    expect(step.answer).toMatchObject({ ok: false, error: { code: 'EB-NOT-FOUND' } })
  })

  it('takes a notice from the newest status that has one', () => {
    const notice = (what: string) => ({ notice: { code: 'EB-FELL-BACK' as const, what } })
    const state = hubAfter(
      [
        saying('dev1', statusOf(5, notice('new'))),
        saying('dev1', statusOf(3, notice('old'))),
        saying('dev1', statusOf(9)),
      ],
      start,
    )
    expect(state.devices.get('dev1')?.notice).toMatchObject({ what: 'new', order: { life: 1, seq: 5 } })
  })
})

describe('the verdict in a status', () => {
  const report = { seq: 200, release: 'demo-3-ccc', result: 'ok' } as const

  it('goes to its rollout with one commit: status, device, attempt, rollout', () => {
    const { effects } = accepted(reduce(start, saying('dev1', statusOf(1, { report }), 50)))
    const writes = writesOf(effects)
    expect(writes.map((it) => it.kind)).toEqual(['add-status', 'put-device', 'put-attempt', 'put-rollout'])
    expect(writes[2]).toMatchObject({ attempt: { rollout: 'r2', state: 'succeeded', atMs: 50 } })
    expect(writes[3]).toMatchObject({ rollout: { id: 'r2', counts: { succeeded: 1 }, endedMs: 50 } })
    expect(effects.filter((it) => it.kind === 'log')).toMatchObject([
      { event: { event: 'attempt', rollout: 'r2', state: 'succeeded', code: null } },
    ])
  })

  it('is kept with the device when its rollout has been removed, and writes nothing for that rollout', () => {
    const state = { ...start, rollouts: start.rollouts.delete('r2') }
    const step = accepted(reduce(state, saying('dev1', statusOf(1, { report }))))
    expect(step.state.devices.get('dev1')?.attempts.at(-1)).toMatchObject({ state: 'succeeded' })
    expect(step.state.rollouts).toBe(state.rollouts)
    expect(writesOf(step.effects).map((it) => it.kind)).toEqual(['add-status', 'put-device'])
  })

  it('that an earlier report of the same life corrects is written without counting the device twice', () => {
    const later = hubAfter([saying('dev1', statusOf(9, { report }))], start)
    const { state, effects } = accepted(reduce(later, saying('dev1', statusOf(5, { report }))))
    expect(state.devices.get('dev1')?.attempts.at(-1)?.decidedBy).toMatchObject({ seq: 5 })
    expect(state.rollouts.get('r2')).toBe(later.rollouts.get('r2'))
    expect(writesOf(effects).map((it) => it.kind)).toEqual(['add-status', 'put-device', 'put-attempt'])
  })
})

describe('a status that brings nothing new', () => {
  it('is added to the history and changes nothing else', () => {
    const known = hubAfter([saying('dev1', statusOf(7))], start)
    const step = accepted(reduce(known, saying('dev1', statusOf(7))))
    expect(step.state).toBe(known)
    expect(writesOf(step.effects).map((it) => it.kind)).toEqual(['add-status'])
    expect(step.answer).toEqual({ ok: true, value: { id: 'dev1', changed: false } })
  })
})

it('a message of a kind that is none is a bug, not a change', () => {
  expect(() => reduce(start, { kind: 'format' } as unknown as HubMessage)).toThrow(AssertionFailed)
})

describe('a board that was flashed anew', () => {
  const firstLife = [1, 2, 3, 50].map((seq) => saying('dev1', statusOf(seq, { bootId: 'old' })))
  const again = (seq: number, bootId = 'new'): HubMessage =>
    saying('dev1', statusOf(seq, { bootId, state: 'IDLE' }))

  it('begins its next life with its second status 1, and is believed from there', () => {
    const state = hubAfter([...firstLife, again(1), again(2)], start)
    expect(state.devices.get('dev1')).toMatchObject({
      life: { number: 2, firstBoot: 'new' },
      reported: { life: 2, seq: 2, bootId: 'new' },
    })
  })

  it('is not undone by a status of its former life that comes late', () => {
    const late = saying('dev1', statusOf(51, { bootId: 'old', state: 'DOWNLOADING' }))
    const state = hubAfter([...firstLife, again(1), late], start)
    expect(state.devices.get('dev1')?.reported).toMatchObject({ life: 2, seq: 1, state: 'IDLE' })
  })

  it('replaces the verdict of its former life by that of the new one', () => {
    const report = (result: 'ok' | 'failed') => ({ report: { seq: 200, release: 'demo-3-ccc', result } })
    const failed = saying('dev1', statusOf(51, { bootId: 'old', ...report('failed') }))
    const good = saying('dev1', statusOf(4, { bootId: 'new', ...report('ok') }))
    const state = hubAfter([...firstLife, failed, again(1), good], start)
    expect(state.devices.get('dev1')?.attempts.at(-1)).toMatchObject({ state: 'succeeded' })
    expect(state.rollouts.get('r2')?.counts).toMatchObject({ succeeded: 1, failed: 0 })
  })

  it('is believed when it lost its data within one boot', () => {
    const state = hubAfter([...firstLife, again(60, 'same'), again(1, 'same'), again(2, 'same')], start)
    expect(state.devices.get('dev1')?.reported).toMatchObject({ life: 2, seq: 2, bootId: 'same' })
  })

  it('is believed by a hub that never saw the status 1 of its former life', () => {
    const unseen = [600, 601].map((seq) => saying('dev1', statusOf(seq, { bootId: 'old' })))
    const state = hubAfter([...unseen, again(1), again(2)], start)
    expect(state.devices.get('dev1')?.reported).toMatchObject({ life: 2, seq: 2, bootId: 'new' })
    const close = [20, 21].map((seq) => saying('dev1', statusOf(seq, { bootId: 'old' })))
    const early = hubAfter([...close, again(1)], start)
    expect(early.devices.get('dev1')?.reported).toMatchObject({ life: 1, seq: 21, bootId: 'old' })
  })

  it('does not begin another life when its first boot repeats status 1', () => {
    const state = hubAfter([...firstLife, saying('dev1', statusOf(1, { bootId: 'old' }))], start)
    expect(state.devices.get('dev1')?.life.number).toBe(1)
  })
})

function writesOf(effects: readonly Effect[]) {
  return effects.flatMap((it) => (it.kind === 'commit' ? it.writes : []))
}
