/**
 * Who may ask for clips over HTTP, and in which form.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hubClipLimits } from '../../../core/clip-limits.ts'
import { hubLimits } from '../../../core/limits.ts'
import { digestOf } from '../fixtures.ts'
import { type Answer, ask, json, newDevice, sendJson } from '../http-client.ts'
import { type HubHome, hubHome, type LocalHub, localHub } from '../hub-process.ts'

const codeOf = (answer: Answer): string => json(answer).error?.code ?? 'ok'

describe('who asks for clips', () => {
  let home: HubHome
  let hub: LocalHub
  let token: string
  beforeAll(async () => {
    home = hubHome()
    hub = await localHub(home)
    token = await newDevice(hub.client, 'dev1')
  })
  afterAll(async () => {
    await hub.close()
    home.remove()
  })
  const paths = [
    ['GET', `/clips/${digestOf('1')}`],
    ['PUT', `/clips/${digestOf('1')}?clip=a`],
    ['POST', '/clips/have'],
    ['POST', `/clips/${digestOf('1')}/claim`],
    ['GET', '/clips/own'],
    ['DELETE', '/clips/own/a'],
  ] as const

  it('is refused without a good token, before anything else', async () => {
    for (const [method, path] of paths) {
      for (const bad of [null, 'x', `${token}x`, `dev2.${token.split('.')[1]}`]) {
        const answer = await ask(hub.client, path, { method, token: bad })
        expect([path, answer.status, codeOf(answer)]).toEqual([path, 401, 'EB-AUTH'])
      }
    }
  })

  it('as an operator has no clips of its own', async () => {
    for (const [method, path] of paths.slice(1)) {
      const answer = await ask(hub.client, path, { method })
      expect([path, answer.status]).toEqual([path, 401])
    }
  })

  it('and how, is checked: unknown fields, bad hashes, too many of them', async () => {
    const bodies: [string, unknown][] = [
      ['/clips/have', {}],
      ['/clips/have', { sha256: [] }],
      ['/clips/have', { sha256: ['x'] }],
      ['/clips/have', { sha256: digestOf('1') }],
      ['/clips/have', { sha256: [digestOf('1')], more: 1 }],
      ['/clips/have', { sha256: Array.from({ length: hubClipLimits.haveMax + 1 }, () => digestOf('1')) }],
      [`/clips/${digestOf('1')}/claim`, { clip: 'a', challenge: 'ff', proof: digestOf('1') }],
      [`/clips/${digestOf('1')}/claim`, { clip: 'a', challenge: 'f'.repeat(112), proof: 'x' }],
      [`/clips/${digestOf('1')}/claim`, { clip: '..', challenge: 'f'.repeat(112), proof: digestOf('1') }],
      ['/clips/x/claim', { clip: 'a', challenge: 'f'.repeat(112), proof: digestOf('1') }],
    ]
    for (const [path, body] of bodies) {
      const answer = await sendJson(hub.client, path, body, token)
      expect([path, body, answer.status]).toEqual([path, body, 400])
    }
    const most = Array.from({ length: hubClipLimits.haveMax }, (_, at) => at.toString(16).padStart(64, '0'))
    const answer = await sendJson(hub.client, '/clips/have', { sha256: most }, token)
    expect(json(answer).missing).toHaveLength(hubClipLimits.haveMax)
    expect(hubLimits.requestBytesMax).toBeGreaterThan(70 * hubClipLimits.haveMax)
  })
})
