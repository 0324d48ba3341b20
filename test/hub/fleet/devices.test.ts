/** Adding devices to the hub: what is refused, what a new token does to the old one. */
import { describe, expect, it } from 'vitest'
import { hubLimits } from '../../../core/limits.ts'
import type { Device, HubMessage, HubState, Step } from '../../../hub/core/model.ts'
import { emptyHub, reduce } from '../../../hub/core/reduce.ts'
import { Shelf } from '../../../hub/core/shelf.ts'
import {
  accepted,
  addDevice,
  digestOf,
  hubAfter,
  presenceOf,
  register,
  releaseInfo,
  rollout,
  saying,
  statusOf,
} from '../fixtures.ts'

const renewing = (device: string): HubMessage => ({
  kind: 'add-device',
  device,
  tokenSha256: digestOf('f'),
  renew: true,
  atMs: 9,
})
const deviceIn = (state: HubState, id = 'dev1'): Device | undefined => state.devices.get(id)

function refusedFrom(state: HubState, step: Step): string {
  expect(step.state).toBe(state)
  expect(step.effects).toEqual([])
  return step.answer.ok ? 'accepted' : `${step.answer.error.code} ${step.answer.error.what}`
}

describe('a new device', () => {
  it('is kept with the hash of its token and nothing heard of it yet', () => {
    const { state, effects, answer } = accepted(reduce(emptyHub(), addDevice('dev1', 77)))
    const device = deviceIn(state)
    expect(device).toEqual({
      ...{ id: 'dev1', tokenSha256: digestOf('0'), addedMs: 77, attempts: [] },
      ...{ desired: null, reported: null, presence: null, notice: null },
      life: { number: 1, firstBoot: null, boots: [], formerBoots: [] },
    })
    expect(effects).toEqual([
      { kind: 'commit', writes: [{ kind: 'put-device', device }] },
      { kind: 'log', event: { event: 'device-added', device: 'dev1', renewed: false } },
    ])
    expect(answer).toEqual({ ok: true, value: { id: 'dev1', changed: true } })
  })

  it.each(['', ' ', 'a/b', '+', '#', 'ä', '../x', 'x'.repeat(65)])('is refused by the name %j', (id) => {
    const state = hubAfter([addDevice('dev1')])
    expect(refusedFrom(state, reduce(state, addDevice(id)))).toMatch(
      /^EB-USAGE device id ".*" is not 1 to 64/,
    )
  })

  it('is refused under an id that is taken, and the one that has it keeps its token', () => {
    const state = hubAfter([addDevice('dev1')])
    const again = { ...renewing('dev1'), renew: false } as HubMessage
    expect(refusedFrom(state, reduce(state, again))).toBe('EB-CONFLICT device dev1 exists')
    expect(deviceIn(state)?.tokenSha256).toBe(digestOf('0'))
  })

  it('is refused by a hub that has as many as it can, where a known one may still be renewed', () => {
    const one = deviceIn(hubAfter([addDevice('dev1')]))
    if (one === undefined) throw new Error('no device')
    const fleet = Array.from({ length: hubLimits.devicesMax }, (_, at) => ({ ...one, id: `d${at}` }))
    const full = { ...emptyHub(), devices: Shelf.from(fleet, (it) => it.id) }
    expect(refusedFrom(full, reduce(full, addDevice('dev1')))).toBe(
      `EB-LIMIT the hub has ${hubLimits.devicesMax} devices, the most it can`,
    )
    expect(accepted(reduce(full, renewing('d7'))).state.devices.size).toBe(hubLimits.devicesMax)
    const room = { ...full, devices: full.devices.delete('d7') }
    expect(accepted(reduce(room, addDevice('dev1'))).state.devices.size).toBe(hubLimits.devicesMax)
  })
})

describe('a new token', () => {
  it('replaces the old one, cuts the session that used it, and changes nothing else', () => {
    const before = hubAfter([
      addDevice('dev1'),
      register(releaseInfo('demo-2-bbb')),
      rollout('demo-2-bbb', ['dev1'], 100),
      { kind: 'presence', device: 'dev1', presence: presenceOf('boot-1', 3), atMs: 4 },
      saying('dev1', statusOf(3)),
    ])
    const { state, effects, answer } = accepted(reduce(before, renewing('dev1')))
    expect(deviceIn(state)).toEqual({ ...deviceIn(before), tokenSha256: digestOf('f') })
    expect(effects.map((it) => it.kind)).toEqual(['commit', 'cut-session', 'log'])
    expect(effects[1]).toEqual({ kind: 'cut-session', device: 'dev1' })
    expect(effects[2]).toMatchObject({ event: { renewed: true } })
    expect(answer).toEqual({ ok: true, value: { id: 'dev1', changed: false } })
  })

  it('is refused for a device that the hub does not know', () => {
    const state = hubAfter([addDevice('dev1')])
    expect(refusedFrom(state, reduce(state, renewing('dev2')))).toBe(
      'EB-NOT-FOUND there is no device dev2 to renew',
    )
  })
})
