/**
 * Clips over HTTP on a real socket, from a real service: reading, storing, forgetting, figures.
 */
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { groupNumber } from '../../../../device/adapters/socket-file.ts'
import { type ClipServer, serveClips } from '../../../../device/clips/adapters/clip-server.ts'
import { codeOf, type Workshop, workshop } from '../../adapters/real.ts'
import { ask, type Cache, errorOf, type Got, openCache, raw, type Sent, sha, wav } from '../serving.ts'

let shop: Workshop
let cache: Cache
let server: ClipServer
let socket: string
beforeEach(async () => {
  shop = workshop()
  socket = shop.path('run/clips.sock')
  cache = await openCache(shop.path('clips'))
  server = await serveClips(cache.service, { socket }, silent)
})
afterEach(async () => {
  await server.close()
  await cache.close()
  shop.close()
})

const silent = { emit: () => {} }

function put(id: string, body: Uint8Array, more = '', sent: Sent = {}): Promise<Got> {
  return ask(socket, `/clips/${id}?skill=weather${more}`, { method: 'PUT', body, ...sent })
}

const get = (path: string, headers: Sent['headers'] = {}): Promise<Got> => ask(socket, path, { headers })

describe('the socket', () => {
  it('is for its owner, and for the group where there is one', () => {
    expect(statSync(socket).mode & 0o777).toBe(groupNumber('everboot') === null ? 0o600 : 0o660)
  })

  it('takes the place of one that an earlier run has left, and goes in the end', async () => {
    await server.close()
    expect(readdirSync(shop.path('run'))).toEqual([])
    writeFileSync(socket, '')
    server = await serveClips(cache.service, { socket }, silent)
    expect((await get('/stats')).status).toBe(200)
  })

  it('that cannot be made has a code', async () => {
    mkdirSync(shop.path('run/directory'))
    const made = (path: string) => codeOf(() => serveClips(cache.service, { socket: path }, silent))
    expect(await made(shop.path('run/directory'))).toBe('EB-CONFIG')
    expect(await made(shop.path(`run/${'x'.repeat(200)}`))).toBe('EB-CONFIG')
  })
})

describe('a stored clip', () => {
  const bytes = wav('hello', 200_000)
  const etag = `"sha256-${sha(bytes)}"`

  beforeEach(async () => {
    const made = await put('hello', bytes, '&language=en-GB&pinned=1&ttl=60&format=wav')
    expect(made.status).toBe(201)
    expect(made.json['placed']).toBe('added')
  })

  it('is played whole, from memory or from the disk', async () => {
    const first = await get('/clips/hello')
    expect(first.status).toBe(200)
    expect(first.body.equals(bytes)).toBe(true)
    expect(first.headers).toMatchObject({
      ...{ etag, 'accept-ranges': 'bytes', 'content-type': 'audio/wav', 'content-length': '200000' },
      ...{ 'x-everboot-from': 'disk', 'cache-control': 'no-cache', 'x-content-type-options': 'nosniff' },
    })
    const second = await get('/clips/hello')
    expect(second.headers['x-everboot-from']).toBe('memory')
    expect(second.body.equals(bytes)).toBe(true)
  })

  it.each([
    ['bytes=0-0', 0, 1],
    ['bytes=65536-131071', 65_536, 131_072],
    ['bytes=199999-', 199_999, 200_000],
    ['bytes=-5', 199_995, 200_000],
    ['bytes=100-999999999', 100, 200_000],
  ])('is played in part: %s', async (range, start, end) => {
    const part = await get('/clips/hello', { range })
    expect(part.status).toBe(206)
    expect(part.headers['content-range']).toBe(`bytes ${start}-${end - 1}/200000`)
    expect(part.headers['content-length']).toBe(`${end - start}`)
    expect(part.body.equals(bytes.subarray(start, end))).toBe(true)
    const fresh = await get('/clips/hello', { range, 'if-range': etag })
    expect(fresh.status).toBe(206)
    const old = await get('/clips/hello', { range, 'if-range': '"sha256-other"' })
    expect(old.status).toBe(200)
    expect(old.body.equals(bytes)).toBe(true)
  })

  it('has no part behind its end', async () => {
    const none = await get('/clips/hello', { range: 'bytes=200000-' })
    expect(none.status).toBe(416)
    expect(none.headers['content-range']).toBe('bytes */200000')
    expect(none.body.length).toBe(0)
  })

  it.each(['bytes=0-1,5-6', 'items=0-1', 'bytes=', 'bytes=5-1', 'bytes=x'])(
    'is played whole where the range is %j',
    async (range) => {
      const whole = await get('/clips/hello', { range })
      expect(whole.status).toBe(200)
      expect(whole.body.equals(bytes)).toBe(true)
    },
  )

  it('is not sent again to one who has it', async () => {
    for (const tag of [etag, `"x", W/${etag}`, '*']) {
      const same = await get('/clips/hello', { 'if-none-match': tag })
      expect(same.status).toBe(304)
      expect(same.headers.etag).toBe(etag)
      expect(same.body.length).toBe(0)
    }
    expect((await get('/clips/hello', { 'if-none-match': '"x"' })).status).toBe(200)
  })

  it('is described by HEAD as by GET, without its sound, whatever range is asked for', async () => {
    const head = await ask(socket, '/clips/hello', { method: 'HEAD', headers: { range: 'bytes=0-1' } })
    expect(head.status).toBe(200)
    expect(head.headers).toMatchObject({ etag, 'content-length': '200000', 'content-type': 'audio/wav' })
    expect(head.body.length).toBe(0)
    const missing = await ask(socket, '/clips/none', { method: 'HEAD' })
    expect(missing.status).toBe(404)
    expect(missing.body.length).toBe(0)
  })

  it('is shown with all that is known of it', async () => {
    await get('/clips/hello')
    const { json, headers } = await get('/clips/hello/about')
    expect(headers['cache-control']).toBe('no-store')
    expect(json['clip']).toMatchObject({
      ...{ id: 'hello', skill: 'weather', sha256: sha(bytes), bytes: 200_000, language: 'en-GB' },
      ...{ private: false, shared: false, listed: false, pinned: true, accesses: 1 },
      audio: { format: 'wav', durationMs: 12_497, sampleRate: 8_000, bitRate: 128_000, channels: 1 },
    })
    expect(errorOf(await get('/clips/none/about'))).toBe('EB-CLIP-MISSING')
  })

  it('is stored again: as it was, with other sound, under another id', async () => {
    expect((await put('hello', bytes)).json['placed']).toBe('same')
    expect((await put('hello', bytes)).status).toBe(200)
    const alias = await put('again', bytes)
    expect([alias.status, alias.json['placed']]).toEqual([201, 'alias'])
    const other = await put('hello', wav('other'))
    expect([other.status, other.json['placed']]).toEqual([200, 'replaced'])
    expect((await get('/clips/hello')).body.equals(wav('other'))).toBe(true)
    expect((await get('/clips/again')).body.equals(bytes)).toBe(true)
  })

  it('leaves when it is told to, and only it', async () => {
    await put('again', bytes)
    expect((await ask(socket, '/clips/hello', { method: 'DELETE' })).json).toEqual({ gone: 1 })
    expect(errorOf(await get('/clips/hello'))).toBe('EB-CLIP-MISSING')
    expect((await get('/clips/again')).body.equals(bytes)).toBe(true)
    const twice = await ask(socket, '/clips/hello', { method: 'DELETE' })
    expect([twice.status, errorOf(twice)]).toEqual([404, 'EB-CLIP-MISSING'])
  })

  it('is pinned and unpinned', async () => {
    const pin = (body: string, id = 'hello') => ask(socket, `/clips/${id}/pin`, { method: 'POST', body })
    expect((await pin('{"pinned":false}')).json['clip']).toMatchObject({ pinned: false })
    expect((await pin('{"pinned":true}')).json['clip']).toMatchObject({ pinned: true })
    expect(errorOf(await pin('{"pinned":true}', 'none'))).toBe('EB-CLIP-MISSING')
    for (const body of ['', '{', '{"pinned":1}', '{"pinned":true,"more":1}', '[]', 'null', '\xff']) {
      const bad = await pin(body)
      expect([bad.status, errorOf(bad)]).toEqual([400, 'EB-USAGE'])
    }
  })
})

describe('a private clip', () => {
  it('shows nothing of its keys, leaves no copy, shares nothing, and is forgotten', async () => {
    const bytes = wav('secret')
    const made = await put('diary', bytes, '&private=1')
    expect(made.json['clip']).toMatchObject({ private: true, sha256: null, shared: false })
    expect(Object.keys(made.json['clip'] as object).sort()).toEqual(
      'accesses audio bytes createdMs expiresInMs id language lastAccessAgoMs listed pinned private sha256 shared skill'.split(
        ' ',
      ),
    )
    expect((await put('public', bytes)).json['placed']).toBe('added')
    const got = await get('/clips/diary')
    expect(got.body.equals(bytes)).toBe(true)
    expect(got.headers['cache-control']).toBe('no-store')
    expect(got.headers.etag).not.toContain(sha(bytes))
    const gone = await ask(socket, '/clips/diary?forget=1', { method: 'DELETE' })
    expect(gone.json).toEqual({ gone: 1 })
    expect(errorOf(await get('/clips/diary'))).toBe('EB-CLIP-MISSING')
    expect((await get('/clips/public')).status).toBe(200)
  })
})

describe('the list', () => {
  it('comes in pages, in the order of ids, of all skills or of one', async () => {
    const ids = ['b', 'a', 'e', 'd', 'c', 'Z', '_x']
    for (const id of ids) await put(id, wav(id))
    await ask(socket, '/clips/y?skill=music', { method: 'PUT', body: wav('y') })
    const idsOf = (got: Got) => (got.json['clips'] as { id: string }[]).map((it) => it.id)
    const whole = await get('/clips')
    expect(idsOf(whole)).toEqual([...ids, 'y'].sort())
    expect(whole.json['next']).toBeNull()
    const seen: string[] = []
    for (let after = ''; ; ) {
      const page = await get(`/clips?limit=3&after=${after}`)
      seen.push(...idsOf(page))
      const next = page.json['next']
      if (next === null) break
      expect(idsOf(page)).toHaveLength(3)
      after = String(next)
    }
    expect(seen).toEqual([...ids, 'y'].sort())
    expect(idsOf(await get('/clips?skill=music'))).toEqual(['y'])
    expect(idsOf(await get('/clips?skill=none'))).toEqual([])
    const four = await get('/clips?skill=weather&limit=7')
    expect([idsOf(four).length, four.json['next']]).toEqual([7, null])
  })
})

describe('figures and invalidation', () => {
  it('count what happened', async () => {
    await put('a', wav('a'))
    await put('b', wav('a'))
    await get('/clips/a')
    await get('/clips/a')
    await get('/clips/none')
    const { json } = await get('/stats')
    expect(json).toMatchObject({
      items: 2,
      contents: 1,
      hits: 2,
      bytesSaved: 4_000,
      dedupRatio: 2,
      memoryHits: 1,
    })
  })

  it('let clips go by skill, by content, all', async () => {
    const post = (body: unknown) => ask(socket, '/invalidate', { method: 'POST', body: JSON.stringify(body) })
    for (const id of ['a', 'b']) await put(id, wav('same'))
    await put('c', wav('c'))
    await ask(socket, '/clips/d?skill=music', { method: 'PUT', body: wav('d') })
    expect((await post({ skill: 'music' })).json).toEqual({ gone: 1 })
    expect((await post({ content: sha(wav('same')) })).json).toEqual({ gone: 2 })
    expect((await post({ all: true })).json).toEqual({ gone: 1 })
    for (const body of [
      {},
      { all: false },
      { skill: '..' },
      { content: 'x' },
      { skill: 'a', all: true },
      1,
    ]) {
      const bad = await post(body)
      expect([bad.status, errorOf(bad)]).toEqual([400, 'EB-USAGE'])
    }
  })
})

describe('what cannot be stored', () => {
  it('is refused with a status and a code', async () => {
    const refused = async (got: Promise<Got>) => [(await got).status, errorOf(await got)]
    const body = wav('x')
    expect(await refused(put('a', Buffer.from('no sound')))).toEqual([415, 'EB-AUDIO'])
    expect(await refused(put('a', body.subarray(0, 300)))).toEqual([415, 'EB-AUDIO'])
    expect(await refused(put('a', Buffer.alloc(0)))).toEqual([413, 'EB-CLIP-SIZE'])
    expect(await refused(put('a', body, '&sampleRate=16000'))).toEqual([422, 'EB-AUDIO-CLAIM'])
    expect(await refused(put('a', body, '&durationMs=9999'))).toEqual([422, 'EB-AUDIO-CLAIM'])
    expect(await refused(put('a', body, '&format=mp3'))).toEqual([422, 'EB-AUDIO-CLAIM'])
    expect(await refused(put('a', body, '&language=English'))).toEqual([400, 'EB-CLIP-NAME'])
    expect(await refused(put('..', body))).toEqual([400, 'EB-CLIP-NAME'])
    await put('a', body)
    const foreign = ask(socket, '/clips/a?skill=music', { method: 'PUT', body })
    expect(await refused(foreign)).toEqual([409, 'EB-CONFLICT'])
    expect((await get('/clips/a')).body.equals(body)).toBe(true)
  })

  it('because it does not fit the cache, is refused too', async () => {
    await server.close()
    await cache.close()
    const limits = {
      bytes: 10_000,
      items: 10,
      ttlMs: 0,
      pinnedBytes: 5_000,
      quotas: new Map(),
      quotaDefault: 1e9,
    }
    cache = await openCache(shop.path('small'), { limits })
    server = await serveClips(cache.service, { socket }, silent)
    const large = await put('a', wav('a', 20_000))
    expect([large.status, errorOf(large)]).toEqual([413, 'EB-CLIP-SIZE'])
    await put('b', wav('b', 4_000), '&pinned=1')
    await put('c', wav('c', 4_000))
    const pin = await ask(socket, '/clips/c/pin', { method: 'POST', body: '{"pinned":true}' })
    expect([pin.status, errorOf(pin)]).toEqual([507, 'EB-CLIP-FULL'])
    const full = await put('d', wav('d', 8_000))
    expect([full.status, errorOf(full)]).toEqual([507, 'EB-CLIP-FULL'])
  })
})

describe('names and lines', () => {
  it.each([
    '/clips/..',
    '/clips/%2e%2e',
    '/clips/a%2Fb',
    '/clips/a%00b',
    `/clips/${'a'.repeat(65)}`,
    '/clips/%',
  ])('%s is refused', async (path) => {
    const got = await get(path)
    expect([got.status, errorOf(got)]).toEqual([400, 'EB-CLIP-NAME'])
  })

  it('that are no HTTP end the connection', async () => {
    expect(await raw(socket, 'GET /clips/a\0b HTTP/1.1\r\nHost: x\r\n\r\n')).toMatch(/^HTTP\/1.1 400 /)
    expect(await raw(socket, 'nonsense\r\n\r\n')).toMatch(/^HTTP\/1.1 400 /)
    expect(await raw(socket, `GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}`)).toMatch(/^HTTP\/1.1 431 /)
    expect((await get('/clips/a/b')).status).toBe(404)
    expect((await ask(socket, '/clips/a', { method: 'POST' })).headers['allow']).toBe(
      'GET, HEAD, PUT, DELETE',
    )
  })
})
