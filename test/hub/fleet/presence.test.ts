/**
 * Presence under wills that come late.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { HubMessage, HubState } from '../../../hub/core/model.ts'
import { reduce } from '../../../hub/core/reduce.ts'
import { forgetPresence } from '../../../hub/fleet/presence.ts'
import { addDevice, hubAfter, presenceOf } from '../fixtures.ts'

const base = hubAfter([addDevice('dev1')])
const says = (bootId: string, connection: number, online = true): HubMessage => ({
  kind: 'presence',
  device: 'dev1',
  presence: presenceOf(bootId, connection, online),
  atMs: 9,
})
const onlineIn = (state: HubState): boolean | null | undefined => state.devices.get('dev1')?.presence?.online

describe('presence', () => {
  it('is unknown until a device is heard', () => {
    expect(onlineIn(base)).toBeUndefined()
    expect(onlineIn(hubAfter([says('b1', 1)], base))).toBe(true)
    expect(onlineIn(hubAfter([says('b1', 1), says('b1', 1, false)], base))).toBe(false)
  })

  it('of a device that the hub does not know is not kept', () => {
    const step = reduce(base, { ...says('b1', 1), device: 'stranger' } as HubMessage)
    expect(step.state).toBe(base)
    expect(step.effects).toEqual([])
    expect(step.answer).toMatchObject({ ok: false, error: { code: 'EB-NOT-FOUND' } })
  })

  it('is committed and logged each time it becomes another', () => {
    for (const online of [true, false]) {
      const { state, effects } = reduce(hubAfter([says('b1', 1)], base), says('b1', 2, online))
      expect(effects).toEqual([
        { kind: 'commit', writes: [{ kind: 'put-device', device: state.devices.get('dev1') }] },
        { kind: 'log', event: { event: online ? 'online' : 'offline', device: 'dev1' } },
      ])
    }
  })

  it('stays unheard of through a start of the hub for a device that was never heard', () => {
    expect(forgetPresence(base).devices.get('dev1')?.presence).toBeNull()
  })

  it('takes no will for the first word of a boot', () => {
    const state = hubAfter([says('b1', 1)], base)
    const step = reduce(state, says('b2', 1, false))
    expect(step.state).toBe(state)
    expect(step.answer).toEqual({ ok: true, value: { id: 'dev1', changed: false } })
  })

  it('voids the will of a connection that was taken over within one boot', () => {
    const state = hubAfter([says('b1', 1), says('b1', 2)], base)
    const step = reduce(state, says('b1', 1, false))
    expect(step.state).toBe(state)
    expect(step.effects).toEqual([])
    expect(step.answer).toEqual({ ok: true, value: { id: 'dev1', changed: false } })
  })

  it('voids the will of an earlier boot, and a late greeting of it', () => {
    const state = hubAfter([says('b1', 7), says('b2', 1)], base)
    expect(onlineIn(hubAfter([says('b1', 7, false)], state))).toBe(true)
    expect(onlineIn(hubAfter([says('b1', 8)], state))).toBe(true)
    expect(state.devices.get('dev1')?.presence).toMatchObject({ bootId: 'b2', connection: 1 })
  })

  it('is unknown after a start of the hub, while old wills stay void', () => {
    const state = forgetPresence(hubAfter([says('b1', 1), says('b2', 4)], base))
    expect(onlineIn(state)).toBeNull()
    expect(onlineIn(hubAfter([says('b1', 1, false)], state))).toBeNull()
    expect(onlineIn(hubAfter([says('b2', 3, false)], state))).toBeNull()
    expect(onlineIn(hubAfter([says('b2', 4, false)], state))).toBe(false)
    expect(onlineIn(hubAfter([says('b3', 1)], state))).toBe(true)
  })

  it('ends as the newest connection left it, wherever old wills fall in between', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.boolean(), fc.nat({ max: 3 })), { minLength: 1, maxLength: 12 }),
        fc.boolean(),
        (connections, endsOffline) => {
          let state = base
          let boot = 0
          let number = 0
          const wills: { will: HubMessage; delay: number }[] = []
          for (const [reboot, delay] of connections) {
            if (reboot) {
              boot += 1
              number = 0
            }
            number += 1
            state = reduce(state, says(`b${boot}`, number)).state
            for (const it of wills) it.delay -= 1
            for (const it of wills.filter((one) => one.delay === 0)) state = reduce(state, it.will).state
            expect(onlineIn(state)).toBe(true)
            wills.push({ will: says(`b${boot}`, number, false), delay: delay + 1 })
          }
          const last = wills.pop()
          for (const it of wills) state = reduce(state, it.will).state
          expect(onlineIn(state)).toBe(true)
          if (endsOffline && last !== undefined) state = reduce(state, last.will).state
          expect(onlineIn(state)).toBe(!endsOffline)
        },
      ),
    )
  })
})
