/**
 * "Not now", in the simulated world: what waits, what does not, what hub and people hear of it, and every end of it.
 */
import { beforeAll, describe, expect, it } from 'vitest'
import { inhibitLimits } from '../../../core/service-limits.ts'
import { encodeMessage } from '../../../core/wire/messages.ts'
import { deviceTopic } from '../../../core/wire/topics.ts'
import { type Inhibitor, inhibited } from '../../../device/update/inhibit.ts'
import { assignedTo } from '../../../proof/publisher.ts'
import {
  ask,
  type Factory,
  holds,
  lastStatus,
  makeFactory,
  minute,
  name,
  notices,
  releaseFile,
  reported,
  type Scene,
  say,
  scene,
  stillUpdates,
} from '../fixtures.ts'

const holder = (step: Inhibitor['step'], change: Partial<Inhibitor> = {}): Inhibitor => ({
  who: 'player',
  why: 'a film runs',
  step,
  untilMs: null,
  ...change,
})

describe('the rule', () => {
  it('lets pass what nobody holds', () => {
    expect(inhibited('start', [], 0, false)).toBeNull()
    expect(inhibited('activate', [], 0, false)).toBeNull()
    expect(inhibited('start', [], 0, true)).toBeNull()
  })

  it('holds the activation for both kinds, the start for one', () => {
    expect(inhibited('start', [holder('activate')], 0, false)).toBeNull()
    expect(inhibited('activate', [holder('activate')], 0, false)).toEqual({
      step: 'activate',
      by: 'player',
      why: 'a film runs',
    })
    for (const step of ['start', 'activate'] as const) {
      expect(inhibited(step, [holder('start')], 0, false)).toMatchObject({ step, by: 'player' })
    }
  })

  it('ends with its time', () => {
    const it = holder('activate', { untilMs: 100 })
    expect(inhibited('activate', [it], 99, false)).not.toBeNull()
    expect(inhibited('activate', [it], 100, false)).toBeNull()
  })

  it('names one and counts the others, whatever their order', () => {
    const both = [holder('start', { who: 'z' }), holder('activate', { who: 'a', why: 'b' })]
    for (const all of [both, [...both].reverse()]) {
      expect(inhibited('activate', all, 0, true)).toMatchObject({ by: 'a', why: 'b, and 1 more' })
    }
    expect(inhibited('activate', [], 0, true)).toMatchObject({ by: 'operator' })
  })
})

let factory: Factory
beforeAll(async () => {
  factory = await makeFactory()
})

/** The board has downloaded and checked the release and waits; the hub knows for whom. */
async function waiting(at: Scene): Promise<void> {
  await at.world.time.until(() => lastStatus(at.world).inhibited !== undefined, 60 * minute)
  expect(lastStatus(at.world)).toMatchObject({ state: 'APPLYING', inhibited: { step: 'activate' } })
}

describe('an update', () => {
  it('is downloaded and waits while somebody says "not now"; then it goes on by itself', async () => {
    const at = await scene(factory)
    at.board.system.inhibitors = [holder('activate')]
    const v2 = await at.release('2', 'healthy')
    const seq = await at.assign(v2)
    await waiting(at)
    expect(lastStatus(at.world).inhibited).toEqual({ step: 'activate', by: 'player', why: 'a film runs' })
    expect(holds(at.board, 'b', v2)).toBe(true)
    await at.world.time.pass(600 * minute)
    expect(at.board.boots).toEqual(['a'])
    const requests = at.world.net.files.requests.length
    at.board.system.inhibitors = []
    expect(await reported(at, seq)).toMatchObject({ result: 'ok' })
    expect(at.world.net.files.requests).toHaveLength(requests)
    expect(lastStatus(at.world).inhibited).toBeUndefined()
    expect(notices(at.world)).toEqual([])
  })

  it('does not even begin while somebody holds the start', async () => {
    const at = await scene(factory)
    at.board.system.inhibitors = [holder('start')]
    const requests = at.world.net.files.requests.length
    const seq = await at.assign(await at.release('2', 'healthy'))
    await at.world.time.pass(60 * minute)
    expect(lastStatus(at.world)).toMatchObject({
      state: 'IDLE',
      attempt: null,
      inhibited: { step: 'start', by: 'player' },
    })
    expect(at.world.net.files.requests).toHaveLength(requests)
    at.board.system.inhibitors = []
    expect(await reported(at, seq)).toMatchObject({ result: 'ok' })
  })

  it('waits through a loss of power and a killed agent, and boots the old system meanwhile', async () => {
    const at = await scene(factory)
    at.board.system.inhibitors = [holder('activate')]
    const seq = await at.assign(await at.release('2', 'healthy'))
    await waiting(at)
    at.board.killAgent()
    await at.world.time.pass(5 * minute)
    at.board.powerOff()
    await at.board.powerOn()
    await at.world.time.pass(5 * minute)
    expect(at.board.boots).toEqual(['a', 'a'])
    await waiting(at)
    at.board.system.inhibitors = []
    expect(await reported(at, seq)).toMatchObject({ result: 'ok' })
    expect(at.board.boots).toEqual(['a', 'a', 'b'])
  })

  it('that waits gives way to a newer wish', async () => {
    const at = await scene(factory)
    at.board.system.inhibitors = [holder('activate')]
    const first = await at.assign(await at.release('2', 'healthy'))
    await waiting(at)
    const v3 = await at.release('3', 'healthy')
    const second = await at.assign(v3)
    expect(await reported(at, first)).toMatchObject({ result: 'failed', code: 'EB-CANCELLED' })
    await at.world.time.until(() => holds(at.board, 'b', v3), 60 * minute)
    at.board.system.inhibitors = []
    expect(await reported(at, second)).toMatchObject({ result: 'ok' })
  })

  it('that is rolled back does not wait', async () => {
    const at = await scene(factory)
    const seq = await at.assign(await at.release('2', 'sick'))
    await at.world.time.until(() => at.board.boots.length === 2, 60 * minute)
    at.board.system.inhibitors = [holder('start')]
    expect(await reported(at, seq)).toMatchObject({ result: 'failed', code: 'EB-HEALTH' })
    expect(at.board.boots).toEqual(['a', 'b', 'a'])
    at.board.system.inhibitors = []
    await stillUpdates(at)
  })

  it('of the hub that is to be activated later waits for a word on the device', async () => {
    const at = await scene(factory)
    const release = assignedTo(await at.release('2', 'healthy'), at.board.wrappingKey)
    const seq = at.world.time.clock.wallMs()
    const payload = encodeMessage({ v: 1, seq, release, activate: 'later' })
    await at.world.net.broker.publish({ topic: deviceTopic(name, 'desired'), payload, qos: 1, retain: true })
    await at.world.time.pass(60 * minute)
    expect(lastStatus(at.world)).toMatchObject({ state: 'APPLYING', inhibited: { by: 'operator' } })
    at.board.killAgent()
    await at.world.time.pass(60 * minute)
    expect(at.board.boots, 'a new run of the agent waits too').toEqual(['a'])
    await ask(at, { op: 'activate' })
    expect(await reported(at, seq)).toMatchObject({ result: 'ok' })
  })

  it('asked for on the device with `later` waits for a word on the device', async () => {
    const at = await scene(factory)
    const v2 = await at.release('2', 'healthy')
    at.board.system.openReleaseFile = async () => releaseFile(at, v2)
    expect(await ask(at, { op: 'install', file: '/v2.ebr', later: true })).toMatchObject({ ok: true })
    await at.world.time.pass(60 * minute)
    expect(lastStatus(at.world)).toMatchObject({ state: 'APPLYING', inhibited: { by: 'operator' } })
    expect(await ask(at, { op: 'activate' })).toMatchObject({ ok: true })
    await at.world.time.pass(5 * minute)
    expect(at.board.boots).toEqual(['a', 'b'])
    expect(lastStatus(at.world)).toMatchObject({ state: 'IDLE', attempt: null })
  })
})

describe('a program on the device', () => {
  it('holds updates up under its name, and lets them go', async () => {
    const at = await scene(factory)
    expect(await ask(at, { op: 'inhibit', who: 'player', why: 'a film', step: 'start' })).toMatchObject({
      ok: true,
    })
    expect(await ask(at, { op: 'install', file: '/x.ebr' })).toMatchObject({
      ok: false,
      error: { code: 'EB-INHIBITED' },
    })
    expect(await ask(at, { op: 'rollback' })).toMatchObject({ ok: false, error: { code: 'EB-INHIBITED' } })
    // Nothing waits for it.
    expect(lastStatus(at.world).inhibited).toBeUndefined()
    expect(await ask(at, { op: 'release', who: 'player' })).toMatchObject({ ok: true })
    expect(await ask(at, { op: 'release', who: 'player' })).toMatchObject({
      ok: false,
      error: { code: 'EB-NOT-FOUND' },
    })
    await stillUpdates(at)
  })

  it('that is gone holds no longer than it said', async () => {
    const at = await scene(factory)
    await ask(at, { op: 'inhibit', who: 'player', why: 'a film', forMs: 90 * minute })
    const seq = await at.assign(await at.release('2', 'healthy'))
    await waiting(at)
    await at.world.time.pass(60 * minute)
    expect(at.board.boots).toEqual(['a'])
    await at.world.time.pass(31 * minute)
    expect(await reported(at, seq)).toMatchObject({ result: 'ok' })
  })

  it('has what waits looked at anew when it lets go', async () => {
    const at = await scene(factory)
    await ask(at, { op: 'inhibit', who: 'player', why: 'a film' })
    await at.assign(await at.release('2', 'healthy'))
    await waiting(at)
    const from = at.world.time.clock.monotonicMs()
    await ask(at, { op: 'release', who: 'player' })
    await at.world.time.until(() => at.board.boots.length === 2, minute)
    // Without waiting for the next look, but for the last word to the hub.
    expect(at.world.time.clock.monotonicMs() - from).toBeLessThan(inhibitLimits.lookMs)
  })

  it('keeps the hub from rebooting the device', async () => {
    const at = await scene(factory)
    const reboot = () =>
      say(at, 'cmd', {
        v: 1,
        id: 'c1',
        command: 'reboot',
        expiresAtMs: at.world.time.clock.wallMs() + minute,
      })
    at.board.system.inhibitors = [holder('activate')]
    await reboot()
    await at.world.time.pass(minute)
    expect(at.board.boots).toEqual(['a'])
    at.board.system.inhibitors = []
    await reboot()
    await at.world.time.pass(minute)
    expect(at.board.boots).toEqual(['a', 'a'])
  })
})
