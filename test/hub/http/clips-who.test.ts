/**
 * Who may ask for clips over HTTP, in which form, and how slowly.
 */
import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import Fastify from 'fastify'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hubClipLimits } from '../../../core/clip-limits.ts'
import { hubLimits } from '../../../core/limits.ts'
import { clipRoutes } from '../../../hub/http/adapters/clips.ts'
import type { ApiPorts } from '../../../hub/http/api.ts'
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

describe('an upload that trickles in', () => {
  it('is cut off when its time is over, and what came of it is given up', async () => {
    const app = Fastify()
    const taken: string[] = []
    const take = async (body: AsyncIterable<Uint8Array>): Promise<boolean> => {
      try {
        for await (const part of body) taken.push(String(part))
        return true
      } catch {
        taken.push('cut off')
        throw new Error('cut off')
      }
    }
    const ports = { keeper: { take } } as unknown as ApiPorts
    await clipRoutes(app, ports, { emit: () => undefined }, 200)
    await app.listen({ host: '127.0.0.1', port: 0 })
    const { port } = app.server.address() as AddressInfo
    const put = `PUT /v1/clips/${digestOf('1')} HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n`
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => undefined)
    const closed = once(socket, 'close')
    socket.write(put)
    const drip = setInterval(() => socket.write('x'), 90)
    await closed
    clearInterval(drip)
    expect(taken.at(-1)).toBe('cut off')
    const quick = connect(port, '127.0.0.1')
    quick.write(`${put}hello`)
    const [answer] = await once(quick, 'data')
    expect(String(answer)).toMatch(/^HTTP\/1.1 201 /)
    quick.destroy()
    await app.close()
  })
})
