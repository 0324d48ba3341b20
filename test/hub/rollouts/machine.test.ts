/**
 * Rollouts and drift: outcomes, truth that comes late, numbers of attempts.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AssertionFailed } from '../../../core/assert.ts'
import { hubLimits } from '../../../core/limits.ts'
import type { Status } from '../../../core/wire/messages.ts'
import type { HubMessage, HubState } from '../../../hub/core/model.ts'
import { emptyHub, reduce } from '../../../hub/core/reduce.ts'
import { driftOf } from '../../../hub/fleet/drift.ts'
import { supersede } from '../../../hub/rollouts/machine.ts'
import { addDevice, hubAfter, register, releaseInfo, rollout, saying, statusOf } from '../fixtures.ts'

const base = hubAfter([
  addDevice('dev1'),
  addDevice('dev2'),
  register(releaseInfo('demo-1-aaa')),
  register(releaseInfo('demo-2-bbb')),
  register(releaseInfo('demo-3-ccc')),
])
const attempt = (seq: number, release = 'demo-2-bbb') => ({ seq, release })
const reporting = (seq: number, over: Partial<Status>): HubMessage => saying('dev1', statusOf(seq, over))
const running = (release: string): Partial<Status> => ({
  slots: {
    a: { release, version: '1', ok: true, tries: 8 },
    b: { release: null, version: null, ok: false, tries: 0 },
  },
})
const outcomeOf = (state: HubState, id = 'dev1') => state.devices.get(id)?.attempts.at(-1)

describe('a rollout', () => {
  it('goes pending, in progress, succeeded by the final report of that very attempt', () => {
    const one = hubAfter([rollout('demo-2-bbb', ['dev1', 'dev2'], 100)], base)
    expect(one.rollouts.get('r1')).toMatchObject({ counts: { pending: 2 }, endedMs: null })
    const two = hubAfter([reporting(1, { attempt: attempt(100) })], one)
    expect(outcomeOf(two)?.state).toBe('in-progress')
    const three = hubAfter([reporting(2, { report: { ...attempt(100), result: 'ok' } })], two)
    expect(outcomeOf(three)?.state).toBe('succeeded')
    expect(three.rollouts.get('r1')).toMatchObject({ counts: { pending: 1, succeeded: 1 }, endedMs: null })
    const four = hubAfter(
      [saying('dev2', statusOf(1, { report: { ...attempt(100), result: 'ok' } }), 77)],
      three,
    )
    expect(four.rollouts.get('r1')).toMatchObject({ counts: { pending: 0, succeeded: 2 }, endedMs: 77 })
  })

  it.each<[string, Partial<Status>]>([
    ['the device runs the release', running('demo-2-bbb')],
    ['it says that the attempt has finished', { finished: { seq: 100, result: 'ok' } }],
    ['it reports another attempt', { report: { seq: 99, release: 'demo-2-bbb', result: 'ok' } }],
    ['it reports another release', { report: { seq: 100, release: 'demo-3-ccc', result: 'ok' } }],
    ['its state is COMPLETE', { state: 'COMPLETE', attempt: attempt(100) }],
  ])('is not succeeded because %s', (_why, over) => {
    const state = hubAfter([rollout('demo-2-bbb', ['dev1'], 100), reporting(1, over)], base)
    expect(['pending', 'in-progress']).toContain(outcomeOf(state)?.state)
    expect(state.rollouts.get('r1')?.endedMs).toBeNull()
  })

  it('fails with code, reason and a pointer to the evidence', () => {
    const report = { ...attempt(100), result: 'failed', code: 'EB-HEALTH', what: 'service is sick' } as const
    const state = hubAfter([rollout('demo-2-bbb', ['dev1'], 100), reporting(9, { report })], base)
    expect(outcomeOf(state)).toMatchObject({
      state: 'failed',
      code: 'EB-HEALTH',
      what: 'service is sick',
      decidedBy: { bootId: 'boot-1', seq: 9 },
    })
    expect(state.rollouts.get('r1')).toMatchObject({ counts: { failed: 1 } })
    expect(state.rollouts.get('r1')?.endedMs).not.toBeNull()
  })

  it('fails with EB-INTERNAL when the device gives no code', () => {
    const report = { ...attempt(100), result: 'failed' } as const
    const state = hubAfter([rollout('demo-2-bbb', ['dev1'], 100), reporting(9, { report })], base)
    expect(outcomeOf(state)).toMatchObject({ state: 'failed', code: 'EB-INTERNAL', what: null })
  })

  it('is superseded, device by device, by a newer one', () => {
    const state = hubAfter(
      [rollout('demo-2-bbb', ['dev1', 'dev2'], 100), rollout('demo-3-ccc', ['dev1'], 200)],
      base,
    )
    expect(state.rollouts.get('r1')?.counts).toMatchObject({ pending: 1, superseded: 1 })
    expect(state.rollouts.get('r2')?.counts).toMatchObject({ pending: 1 })
    expect(state.devices.get('dev1')?.desired).toMatchObject({ seq: 200, release: { id: 'demo-3-ccc' } })
    expect(state.devices.get('dev1')?.attempts[0]).toMatchObject({
      state: 'superseded',
      code: 'EB-CANCELLED',
    })
  })

  it('leaves a verdict that an attempt has, also when a newer one takes the device', () => {
    const report = { ...attempt(100), result: 'failed', code: 'EB-HEALTH' } as const
    const state = hubAfter(
      [rollout('demo-2-bbb', ['dev1'], 100), reporting(1, { report }), rollout('demo-3-ccc', ['dev1'], 200)],
      base,
    )
    const [first] = state.devices.get('dev1')?.attempts ?? []
    expect(first).toMatchObject({ rollout: 'r1', state: 'failed', code: 'EB-HEALTH' })
    expect(state.rollouts.get('r1')?.counts).toMatchObject({ failed: 1, superseded: 0 })
    if (first === undefined) throw new Error('no attempt')
    expect(() => supersede(first, 'r3', 9)).toThrow(AssertionFailed)
  })

  it('learns the truth from a final report that comes after it was superseded', () => {
    const state = hubAfter(
      [
        rollout('demo-2-bbb', ['dev1'], 100),
        rollout('demo-3-ccc', ['dev1'], 200),
        reporting(4, { report: { ...attempt(100), result: 'ok' } }),
      ],
      base,
    )
    expect(state.rollouts.get('r1')?.counts).toMatchObject({ superseded: 0, succeeded: 1 })
    expect(outcomeOf(state)).toMatchObject({ rollout: 'r2', state: 'pending' })
  })

  it('fails at once, and asks nothing, for a device without a content key', () => {
    const message = {
      ...rollout('demo-2-bbb', ['dev1', 'dev2'], 100),
      keys: new Map([['dev2', { rootfs: 'k' }]]),
    }
    const step = reduce(base, message as HubMessage)
    expect(step.state.rollouts.get('r1')?.counts).toMatchObject({ failed: 1, pending: 1 })
    expect(step.state.devices.get('dev1')?.desired).toBeNull()
    const published = step.effects.flatMap((it) => (it.kind === 'publish-desired' ? [it.device] : []))
    expect(published).toEqual(['dev2'])
    const writes = step.effects.flatMap((it) => (it.kind === 'commit' ? it.writes : []))
    expect(writes).toContainEqual(
      expect.objectContaining({
        kind: 'put-attempt',
        attempt: expect.objectContaining({
          device: 'dev1',
          state: 'failed',
          code: 'EB-WRONG-DEVICE',
          seq: 0,
        }),
      }),
    )
  })

  it.each([
    ['an unknown release', rollout('demo-9-zzz', ['dev1'], 100)],
    ['an unknown device', rollout('demo-2-bbb', ['dev1', 'dev9'], 100)],
    ['no device', rollout('demo-2-bbb', [], 100)],
  ])('of %s is refused and changes nothing', (_what, message) => {
    const step = reduce(base, message)
    expect(step.answer).toMatchObject({ ok: false, error: { code: 'EB-NOT-FOUND' } })
    expect(step.state).toBe(base)
    expect(step.effects).toEqual([])
  })

  it('numbers attempts by hub time, and upwards when the clock of the hub goes back', () => {
    const seqs = [5_000, 5_000, 20, 9_000].reduce<{ state: HubState; seqs: number[] }>(
      ({ state, seqs: before }, atMs) => {
        const next = hubAfter([rollout('demo-2-bbb', ['dev1'], atMs)], state)
        return { state: next, seqs: [...before, next.devices.get('dev1')?.desired?.seq ?? 0] }
      },
      { state: base, seqs: [] },
    ).seqs
    expect(seqs).toEqual([5_000, 5_001, 5_002, 9_000])
  })

  it('leaves, the oldest ended one first, when there are too many', () => {
    let state = hubAfter([rollout('demo-2-bbb', ['dev2'], 1)], base)
    for (let number = 0; number < hubLimits.rolloutsKeptMax + 3; number += 1) {
      state = hubAfter([rollout('demo-2-bbb', ['dev1'], 10 + number)], state)
    }
    expect(state.rollouts.size).toBe(hubLimits.rolloutsKeptMax)
    expect(state.rollouts.get('r1')).toBeDefined()
    expect(state.rollouts.get('r2')).toBeUndefined()
    expect(state.rollouts.get(`r${hubLimits.rolloutsKeptMax + 4}`)).toBeDefined()
  })

  it('stays when it ended at once while all others are open, so that its number is not given again', () => {
    const devices = Array.from({ length: hubLimits.rolloutsKeptMax }, (_, number) => `open-${number}`)
    const open = hubAfter(
      devices.flatMap((id) => [addDevice(id), rollout('demo-2-bbb', [id], 1)]),
      base,
    )
    expect(open.rollouts.size).toBe(hubLimits.rolloutsKeptMax)
    const keyless = { ...rollout('demo-3-ccc', ['dev1'], 2), keys: new Map() } as HubMessage
    const state = hubAfter([keyless], open)
    expect(state.rollouts.get(`r${hubLimits.rolloutsKeptMax + 1}`)?.endedMs).toBe(2)
  })

  it('has counts that always sum to its devices and agree with the attempts', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('rollout' as const), device: fc.constantFrom('dev1', 'dev2') }),
      fc.record({
        kind: fc.constant('report' as const),
        device: fc.constantFrom('dev1', 'dev2'),
        rollout: fc.integer({ min: 1, max: 6 }),
        result: fc.constantFrom('ok' as const, 'failed' as const, null),
      }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        let state = base
        let seq = 0
        let made = 0
        const table = new Map<string, string>()
        for (const it of steps) {
          seq += 1
          const wanted = attempt(it.kind === 'report' ? it.rollout : 0)
          const message =
            it.kind === 'rollout'
              ? rollout('demo-2-bbb', [it.device], ++made)
              : saying(
                  it.device,
                  statusOf(
                    seq,
                    it.result === null ? { attempt: wanted } : { report: { ...wanted, result: it.result } },
                  ),
                )
          const { state: next, effects } = reduce(state, message)
          state = next
          for (const effect of effects) {
            for (const write of effect.kind === 'commit' ? effect.writes : []) {
              if (write.kind === 'put-attempt') table.set(write.attempt.rollout, write.attempt.state)
            }
          }
          for (const one of state.rollouts.values()) {
            expect(Object.values(one.counts).reduce((sum, count) => sum + count, 0)).toBe(1)
            expect(one.counts[table.get(one.id) as 'pending']).toBe(1)
          }
        }
      }),
    )
  })
})

describe('drift', () => {
  const wished = hubAfter([rollout('demo-2-bbb', ['dev1'], 100)], base)
  const drift = (state: HubState): string => {
    const device = state.devices.get('dev1')
    return device === undefined ? 'missing' : driftOf(device)
  }

  it('is unassigned, unknown, updating, none in the course of an update', () => {
    expect(drift(base)).toBe('unassigned')
    expect(drift(wished)).toBe('unknown')
    const begun = hubAfter([reporting(1, { ...running('demo-1-aaa'), attempt: attempt(100) })], wished)
    expect(drift(begun)).toBe('updating')
    const done = { ...running('demo-2-bbb'), report: { ...attempt(100), result: 'ok' } } as const
    expect(drift(hubAfter([reporting(2, done)], begun))).toBe('none')
  })

  it('shows when a device falls back after its success, and ends with a new rollout', () => {
    const done = { ...running('demo-2-bbb'), report: { ...attempt(100), result: 'ok' } } as const
    const fell = { ...running('demo-1-aaa'), notice: { code: 'EB-FELL-BACK', what: 'runs slot a' } } as const
    const state = hubAfter([reporting(1, done), reporting(2, fell)], wished)
    expect(drift(state)).toBe('drift')
    expect(outcomeOf(state)?.state).toBe('succeeded')
    expect(state.devices.get('dev1')?.notice?.code).toBe('EB-FELL-BACK')
    const again = hubAfter([rollout('demo-2-bbb', ['dev1'], 300)], state)
    expect(drift(again)).toBe('updating')
    const back = { ...running('demo-2-bbb'), report: { ...attempt(300), result: 'ok' } } as const
    expect(drift(hubAfter([reporting(3, back)], again))).toBe('none')
  })

  it('shows when an attempt failed', () => {
    const report = { ...attempt(100), result: 'failed', code: 'EB-HEALTH' } as const
    expect(drift(hubAfter([reporting(1, { ...running('demo-1-aaa'), report })], wished))).toBe('drift')
  })
})

describe('an empty hub', () => {
  it('numbers its rollouts from 1', () => {
    const state = hubAfter(
      [addDevice('x'), register(releaseInfo('demo-2-bbb')), rollout('demo-2-bbb', ['x'], 1)],
      emptyHub(),
    )
    expect(state.rollouts.ids()).toEqual(['r1'])
  })
})
