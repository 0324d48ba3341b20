/**
 * What requests of the local interface ask for.
 */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { servingLimits } from '../../../core/clip-limits.ts'
import { safeName } from '../../../core/units.ts'
import { type ApiRequest, type Asked, readRequest, type Way } from '../../../device/clips/clip-request.ts'

const socket: Way = { over: 'socket' }

function asked(method: string, target: string, headers: ApiRequest['headers'] = {}, way = socket): Asked {
  return readRequest({ method, target, headers }, way)
}

/** `code status`, or what is to be done. */
function verdict(it: Asked): string {
  return it.to === 'refuse' ? `${it.fault.code} ${it.status ?? ''}`.trim() : it.to
}

describe('a request', () => {
  it.each([
    ['GET', '/clips/hello', { to: 'play', id: 'hello', head: false }],
    ['HEAD', '/clips/hello', { to: 'play', id: 'hello', head: true }],
    ['GET', '/clips/%68ello', { to: 'play', id: 'hello' }],
    ['DELETE', '/clips/hello', { to: 'remove', id: 'hello', forget: false }],
    ['DELETE', '/clips/hello?forget=1', { to: 'remove', id: 'hello', forget: true }],
    ['POST', '/clips/hello/pin', { to: 'pin', id: 'hello' }],
    ['GET', '/clips/hello/about', { to: 'show', id: 'hello' }],
    ['GET', '/clips', { to: 'list', after: '', limit: servingLimits.pageClips, skill: null }],
    ['GET', '/clips?after=a&limit=5&skill=s', { to: 'list', after: 'a', limit: 5, skill: 's' }],
    ['GET', '/stats', { to: 'stats' }],
    ['POST', '/invalidate', { to: 'invalidate' }],
    ['POST', '/skills/weather/prefetch', { to: 'prefetch', skill: 'weather' }],
  ])('%s %s is understood', (method, target, what) => expect(asked(method, target)).toMatchObject(what))

  it('to store a clip may say all of it', () => {
    const query =
      'skill=s&language=en-GB&ttl=60&pinned=1&private=1&format=wav&durationMs=250&sampleRate=8000&bitRate=128000&channels=1&compressionLevel=5'
    expect(asked('PUT', `/clips/a?${query}`)).toEqual({
      to: 'put',
      about: {
        ...{ id: 'a', skill: 's', language: 'en-GB', ttlMs: 60_000, pinned: true, private: true },
        claims: {
          ...{ format: 'wav', durationMs: 250, sampleRate: 8_000, bitRate: 128_000, channels: 1 },
          compressionLevel: 5,
        },
      },
    })
    const few = {
      id: 'a',
      skill: 's',
      language: null,
      ttlMs: null,
      pinned: false,
      private: false,
      claims: {},
    }
    expect(asked('PUT', '/clips/a?skill=s')).toEqual({ to: 'put', about: few })
    expect(asked('PUT', '/clips/a?skill=s&ttl=0')).toMatchObject({ about: { ttlMs: 0 } })
  })

  it.each([
    ['GET', '/clips/..', 'EB-CLIP-NAME'],
    ['GET', '/clips/.', 'EB-CLIP-NAME'],
    ['GET', '/clips/%2e%2e', 'EB-CLIP-NAME'],
    ['GET', '/clips/%252e%252e', 'EB-CLIP-NAME'],
    ['GET', '/clips/a%2Fb', 'EB-CLIP-NAME'],
    ['GET', '/clips/a%5Cb', 'EB-CLIP-NAME'],
    ['GET', '/clips/a%00', 'EB-CLIP-NAME'],
    ['GET', '/clips/a\u0000', 'EB-CLIP-NAME'],
    ['GET', '/clips/%', 'EB-CLIP-NAME'],
    ['GET', '/clips/%ff', 'EB-CLIP-NAME'],
    ['GET', '/clips/', 'EB-CLIP-NAME'],
    ['GET', `/clips/${'a'.repeat(65)}`, 'EB-CLIP-NAME'],
    ['PUT', '/clips/..?skill=s', 'EB-CLIP-NAME'],
    ['DELETE', '/clips/%2e%2e', 'EB-CLIP-NAME'],
    ['POST', '/skills/%2e%2e/prefetch', 'EB-CLIP-NAME'],
    ['PUT', '/clips/a?skill=..', 'EB-CLIP-NAME'],
    ['PUT', '/clips/a?skill=', 'EB-CLIP-NAME'],
    ['GET', '/clips/a/b', 'EB-NOT-FOUND'],
    ['GET', '/clips/../stats', 'EB-NOT-FOUND'],
    ['GET', '/', 'EB-NOT-FOUND'],
    ['GET', '', 'EB-NOT-FOUND'],
    ['GET', '*', 'EB-NOT-FOUND'],
    ['GET', 'clips/a', 'EB-NOT-FOUND'],
    ['GET', 'http://127.0.0.1/clips/a', 'EB-NOT-FOUND'],
    ['GET', '//clips/a', 'EB-NOT-FOUND'],
    ['GET', '/__proto__', 'EB-NOT-FOUND'],
    ['constructor', '/stats', 'EB-USAGE 405'],
    ['POST', '/clips/a', 'EB-USAGE 405'],
    ['GET', '/invalidate', 'EB-USAGE 405'],
    ['PUT', '/clips/a', 'EB-USAGE'],
    ['PUT', '/clips/a?skill=s&pinned=yes', 'EB-USAGE'],
    ['PUT', '/clips/a?skill=s&ttl=-1', 'EB-USAGE'],
    ['PUT', '/clips/a?skill=s&ttl=1.5', 'EB-USAGE'],
    ['PUT', '/clips/a?skill=s&ttl=99999999999', 'EB-USAGE'],
    ['PUT', '/clips/a?skill=s&skill=t', 'EB-USAGE'],
    ['PUT', '/clips/a?skill=s&other=1', 'EB-USAGE'],
    ['PUT', '/clips/a?skill=s&durationMs=x', 'EB-USAGE'],
    ['PUT', '/clips/a?skill=s&sampleRate=12345', 'EB-AUDIO-CLAIM'],
    ['PUT', '/clips/a?skill=s&durationMs=0', 'EB-AUDIO-CLAIM'],
    ['PUT', '/clips/a?skill=s&format=exe', 'EB-AUDIO-CLAIM'],
    ['PUT', '/clips/a?skill=s&channels=9999', 'EB-AUDIO-CLAIM'],
    ['GET', '/clips?limit=0', 'EB-USAGE'],
    ['GET', '/clips?limit=1001', 'EB-USAGE'],
    ['GET', '/clips/a?forget=1', 'EB-USAGE'],
  ])('%s %j is refused: %s', (method, target, code) => expect(verdict(asked(method, target))).toBe(code))

  it('of whatever form is understood or refused, and what it names are safe names', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        'clips',
        'skills',
        'stats',
        'pin',
        'about',
        'prefetch',
        '..',
        '%2e%2e',
        'a',
        '?',
        '&',
        '=',
      ),
      fc.string(),
    )
    const target = fc.array(piece, { maxLength: 6 }).map((parts) => `/${parts.join('/')}`)
    const method = fc.constantFrom('GET', 'PUT', 'POST', 'DELETE', 'HEAD')
    fc.assert(
      fc.property(method, target, (way, path) => {
        const it = asked(way, path)
        if ('id' in it) expect(it.id).toMatch(safeName)
        if (it.to === 'put') expect(it.about.id).toMatch(safeName)
        if (it.to === 'prefetch') expect(it.skill).toMatch(safeName)
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('over a port', () => {
  const way = (token: string | null): Way => ({
    over: 'loopback',
    port: 8080,
    tokenSha256: token === null ? null : createHash('sha256').update(token).digest(),
  })
  const own = { host: '127.0.0.1:8080' }
  const get = (headers: ApiRequest['headers'], target = '/clips/a') =>
    verdict(asked('GET', target, headers, way(null)))

  it.each(['127.0.0.1:8080', 'localhost:8080', 'LOCALHOST:8080', '[::1]:8080'])('%s is served', (host) =>
    expect(get({ host })).toBe('play'),
  )

  it.each([
    'evil.example:8080',
    '127.0.0.1.evil.example:8080',
    '127.0.0.1:80',
    '127.0.0.1',
    '0.0.0.0:8080',
    '127.0.0.1:8080@evil.example',
    'localhost:8080.evil.example',
    '[::1]evil:8080',
    '',
  ])('the host %j is refused', (host) => expect(get({ host })).toBe('EB-AUTH 403'))

  it('without a host, or from a web page, nothing is served, not even an error that tells of clips', () => {
    expect(get({})).toBe('EB-AUTH 403')
    expect(get({ ...own, origin: 'http://localhost:8080' })).toBe('EB-AUTH 403')
    expect(get({ ...own, origin: 'null' })).toBe('EB-AUTH 403')
    expect(get({ host: 'evil.example' }, '/clips/..')).toBe('EB-AUTH 403')
  })

  it('the port may be left out where it is that of HTTP', () => {
    const http: Way = { over: 'loopback', port: 80, tokenSha256: null }
    expect(asked('GET', '/stats', { host: 'localhost' }, http)).toEqual({ to: 'stats' })
  })

  it('nothing is changed without a token', () => {
    for (const [method, target] of [
      ['PUT', '/clips/a?skill=s'],
      ['DELETE', '/clips/a'],
      ['POST', '/invalidate'],
      ['POST', '/clips/a/pin'],
      ['POST', '/skills/s/prefetch'],
      ['PATCH', '/stats'],
    ] as const) {
      expect(verdict(asked(method, target, own, way(null)))).toBe('EB-AUTH 403')
      expect(verdict(asked(method, target, own, way('secret')))).toBe('EB-AUTH 401')
      const wrong = { ...own, authorization: 'Bearer secre' }
      expect(verdict(asked(method, target, wrong, way('secret')))).toBe('EB-AUTH 401')
      const other = { ...own, authorization: 'Basic secret' }
      expect(verdict(asked(method, target, other, way('secret')))).toBe('EB-AUTH 401')
    }
    const right = { ...own, authorization: 'Bearer secret' }
    expect(verdict(asked('DELETE', '/clips/a', right, way('secret')))).toBe('remove')
    const foreign = { ...right, origin: 'http://evil.example' }
    expect(verdict(asked('DELETE', '/clips/a', foreign, way('secret')))).toBe('EB-AUTH 403')
  })

  it('an empty token is never right', () => {
    expect(verdict(asked('DELETE', '/clips/a', { ...own, authorization: 'Bearer ' }, way('x')))).toBe(
      'EB-AUTH 401',
    )
  })
})
