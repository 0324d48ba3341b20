/**
 * I11, I12, I14 and I16: what the hub keeps, says and offers, and lies about it.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import type { Desired } from '../../../core/wire/messages.ts'
import { type Cast, makeCast, name } from './story.ts'
import { releaseNamed, saveJournal, statusOf, tell, updated, type Witness, witness } from './witness.ts'

let cast: Cast
beforeAll(async () => {
  cast = await makeCast()
})

function wish(at: Witness): Desired {
  const desired = at.world.hub().state().devices.get(name)?.desired
  if (desired == null) throw new Error('there is no wish')
  return desired
}

describe('I11', () => {
  it('fires when a status comes that is not newer than the last', async () => {
    for (const back of [1, 2]) {
      const at = await witness(cast)
      const status = statusOf(at)
      tell(at, { kind: 'kept', status: { ...status, seq: status.seq - back } })
      expect(at.fired()).toEqual(['I11'])
    }
  })

  it('lets a board begin again that has lost its data, once', async () => {
    const at = await witness(cast)
    at.observer.planted('data-lost')
    const fresh = statusOf(at, { bootId: 'boot-new', seq: 1 })
    tell(at, { kind: 'kept', status: fresh })
    expect(at.fired()).toEqual([])
    tell(at, { kind: 'kept', status: fresh })
    expect(at.fired()).toEqual(['I11'])
  })

  it('fires when the hub sees a new life of a board that has lost nothing', async () => {
    const at = await witness(cast)
    const status = statusOf(at, { bootId: 'boot-new', seq: 1 })
    await at.world.hub().handle({ kind: 'status', device: name, status, atMs: 1 })
    expect(at.fired()).toEqual(['I11'])
    expect(at.said('I11')).toContain('life 2')
  })

  it('fires when something is acknowledged that was not kept', async () => {
    const at = await witness(cast)
    tell(at, { kind: 'acked', bootId: at.board.bootId, seq: 999 })
    expect(at.fired()).toEqual(['I11'])
  })

  it('fires when the outbox has statuses in another order than their numbers', async () => {
    const at = await witness(cast)
    const status = statusOf(at)
    saveJournal(at, { outbox: [status, { ...status, seq: status.seq - 1 }] })
    expect(at.fired()).toEqual(['I11'])
  })
})

describe('I12', () => {
  it('fires when an acknowledged status is gone after a restart of the hub', async () => {
    const at = await witness(cast)
    await updated(at)
    const { statuses } = at.world.store.tables
    const [first] = statuses.keys()
    if (first !== undefined) statuses.delete(first)
    at.world.stopHub()
    await at.world.startHub()
    expect(at.fired()).toEqual(['I12'])
    expect(at.said('I12')).toContain('which was acknowledged, is gone')
  })

  it('fires when a verdict is gone that an acknowledged report gave', async () => {
    const at = await witness(cast)
    const seq = await updated(at)
    const { devices } = at.world.store.tables
    const device = devices.get(name)
    if (device === undefined) throw new Error('no device')
    const attempts = device.attempts.map((it) => ({ ...it, state: 'pending' as const, decidedBy: null }))
    devices.set(name, { ...device, attempts })
    at.world.stopHub()
    await at.world.startHub()
    expect(at.fired()).toContain('I12')
    expect(at.said('I12')).toContain(`attempt ${seq} was reported as ok and is pending`)
  })

  it('fires when the wish is gone or another one', async () => {
    for (const change of ['gone', 'other']) {
      const at = await witness(cast)
      await updated(at)
      const { devices } = at.world.store.tables
      const device = devices.get(name)
      if (device === undefined) throw new Error('no device')
      const desired = change === 'gone' ? null : { ...wish(at), throttle: 5000 }
      devices.set(name, { ...device, desired })
      at.world.stopHub()
      await at.world.startHub()
      // Another wish under the same number is also what goes back.
      expect(at.fired()).toEqual(change === 'gone' ? ['I12'] : ['I12', 'I14'])
    }
  })

  it('has nothing against a hub that is killed and comes back', async () => {
    const at = await witness(cast)
    await updated(at)
    at.world.stopHub()
    await at.world.startHub()
    await at.world.time.pass(60_000)
    expect(at.fired()).toEqual([])
  })
})

describe('I14', () => {
  it('fires when one number becomes another wish', async () => {
    const at = await witness(cast)
    await updated(at)
    tell(at, { kind: 'wished', desired: { ...wish(at), throttle: 5000 } })
    expect(at.fired()).toEqual(['I14'])
  })

  it('fires when an older wish comes again, which is superseded too', async () => {
    const at = await witness(cast)
    await at.assign(releaseNamed(at, 'good-1'))
    const older = wish(at)
    await at.world.time.pass(0)
    await at.assign(releaseNamed(at, 'good-2'))
    tell(at, { kind: 'wished', desired: older })
    expect(at.fired()).toEqual(['I14', 'I16'])
  })

  it('fires when the floor or the last finished attempt falls in what the board says', async () => {
    const at = await witness(cast)
    await updated(at, 'good-2')
    const status = statusOf(at)
    expect(status).toMatchObject({ floor: 1, finished: { result: 'ok' } })
    tell(at, { kind: 'kept', status: { ...status, floor: 0 } })
    expect(at.fired()).toEqual(['I14'])
    const again = await witness(cast)
    await updated(again, 'good-2')
    tell(again, { kind: 'kept', status: { ...statusOf(again), finished: null } })
    expect(again.fired()).toEqual(['I14'])
  })
})

describe('I16', () => {
  it('fires when a wish is of no rollout', async () => {
    const at = await witness(cast)
    await updated(at)
    tell(at, { kind: 'wished', desired: { ...wish(at), seq: wish(at).seq + 1 } })
    expect(at.fired()).toEqual(['I16'])
  })

  it('fires when a wish is of another release than its rollout', async () => {
    const at = await witness(cast)
    const { attempts } = at.world.store.tables
    await updated(at)
    for (const [key, it] of attempts) attempts.set(key, { ...it, release: 'demo-other' })
    tell(at, { kind: 'wished', desired: wish(at) })
    expect(at.fired()).toEqual(['I16'])
  })

  it('fires when an attempt is offered for the first time that has its verdict already', async () => {
    const at = await witness(cast)
    await updated(at)
    const { attempts } = at.world.store.tables
    const [[key, last] = []] = attempts
    if (key === undefined || last === undefined) throw new Error('no attempt')
    const desired = { ...wish(at), seq: last.seq + 1 }
    attempts.set(`${key} again`, { ...last, seq: desired.seq })
    tell(at, { kind: 'wished', desired })
    expect(at.fired()).toEqual(['I16'])
    expect(at.said('I16')).toContain('for the first time and is succeeded')
  })

  it('fires when a rollout does not know that it has ended', async () => {
    const at = await witness(cast)
    await updated(at)
    const { rollouts } = at.world.store.tables
    for (const [id, it] of rollouts) rollouts.set(id, { ...it, endedMs: null })
    tell(at, { kind: 'wished', desired: wish(at) })
    expect(at.fired()).toEqual(['I16'])
  })
})
