/**
 * Clips over a port of the loopback: what a browser on the device, or a page that it shows, may do.
 */
import { chmodSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { present } from '../../../../core/assert.ts'
import {
  type ClipServer,
  type LoopbackPlace,
  serveClips,
} from '../../../../device/clips/adapters/clip-server.ts'
import { codeOf, type Workshop, workshop } from '../../adapters/real.ts'
import { ask, type Cache, errorOf, openCache, type Sent, wav } from '../serving.ts'

let shop: Workshop
let cache: Cache
let server: ClipServer | null = null
beforeEach(async () => {
  shop = workshop()
  cache = await openCache(shop.path('clips'))
})
afterEach(async () => {
  await server?.close()
  server = null
  await cache.close()
  shop.close()
})

const token = 'a-token-of-enough-letters'

async function serve(more: Partial<LoopbackPlace> = {}): Promise<number> {
  const place = { host: '127.0.0.1' as const, port: 0, ...more }
  server = await serveClips(cache.service, place, { emit: () => {} })
  return present(server.port, 'a port')
}

function tokenFile(text = `${token}\n`, mode = 0o600): string {
  const path = shop.path('token')
  writeFileSync(path, text)
  chmodSync(path, mode)
  return path
}

const put: Sent = { method: 'PUT', body: wav('a') }

describe('a port', () => {
  it('serves clips, and lets nobody change them', async () => {
    const port = await serve()
    const refused = await ask(port, '/clips/a?skill=s', put)
    expect([refused.status, errorOf(refused)]).toEqual([403, 'EB-AUTH'])
    expect([...cache.service.list()]).toEqual([])
    const about = {
      id: 'a',
      skill: 's',
      language: null,
      private: false,
      pinned: false,
      ttlMs: null,
      claims: {},
    }
    await cache.service.put(about, wav('a'))
    expect((await ask(port, '/clips/a')).body.equals(wav('a'))).toBe(true)
    for (const [method, path] of [
      ['DELETE', '/clips/a'],
      ['POST', '/invalidate'],
      ['POST', '/clips/a/pin'],
    ] as const) {
      expect((await ask(port, path, { method })).status).toBe(403)
    }
    expect((await ask(port, '/clips/a')).status).toBe(200)
  })

  it('takes changes from one who knows the token', async () => {
    const port = await serve({ tokenFile: tokenFile() })
    const authorization = `Bearer ${token}`
    expect((await ask(port, '/clips/a?skill=s', { ...put, headers: { authorization } })).status).toBe(201)
    const wrong = await ask(port, '/clips/a', { method: 'DELETE', headers: { authorization: 'Bearer x' } })
    expect([wrong.status, wrong.headers['www-authenticate']]).toEqual([401, 'Bearer'])
    expect((await ask(port, '/clips/a', { method: 'DELETE' })).status).toBe(401)
    expect((await ask(port, '/clips/a', { method: 'DELETE', headers: { authorization } })).status).toBe(200)
  })

  it('serves no other host and no web page', async () => {
    const port = await serve()
    for (const host of ['evil.example', `evil.example:${port}`, `127.0.0.1:${port + 1}`, '127.0.0.1']) {
      const got = await ask(port, '/stats', { headers: { host } })
      expect([got.status, errorOf(got)]).toEqual([403, 'EB-AUTH'])
    }
    const origin = `http://127.0.0.1:${port}`
    expect((await ask(port, '/stats', { headers: { origin } })).status).toBe(403)
    expect((await ask(port, '/stats', { headers: { host: `localhost:${port}` } })).status).toBe(200)
  })

  it('is not there on other networks', async () => {
    const port = await serve()
    const others = Object.values(networkInterfaces())
      .flatMap((it) => it ?? [])
      .filter((it) => it.family === 'IPv4' && !it.internal)
    for (const { address } of others) {
      const taken = await new Promise<boolean>((resolve) => {
        const other = createServer()
        other.once('error', () => resolve(true))
        other.listen({ host: address, port }, () => other.close(() => resolve(false)))
      })
      expect(taken).toBe(false)
    }
  })

  it('that is in use has a code', async () => {
    const port = await serve()
    const again = () => serveClips(cache.service, { host: '127.0.0.1', port }, { emit: () => {} })
    expect(await codeOf(again)).toBe('EB-PORT-IN-USE')
  })

  it('has no token that others can read, that is short, or that is not there', async () => {
    const made = (path: string) => codeOf(() => serve({ tokenFile: path }))
    expect(await made(tokenFile(`${token}\n`, 0o640))).toBe('EB-KEY')
    expect(await made(tokenFile('short\n'))).toBe('EB-KEY')
    expect(await made(tokenFile(`${token} ${token}`))).toBe('EB-KEY')
    expect(await made(tokenFile(''))).toBe('EB-KEY')
    expect(await made(shop.path('none'))).toBe('EB-KEY')
  })
})
