/**
 * HTTP over real TLS: ranges, deadlines, the pinned CA, and who gets the credentials.
 */
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Fetch, FetchResponse } from '../../../core/ports.ts'
import { httpFetch } from '../../../device/adapters/http-fetch.ts'
import { codeOf, type TestTls, testTls } from './real.ts'

const file = Buffer.from(Array.from({ length: 100_000 }, (_, index) => index % 251))
const token = 'secret-token'

let tls: TestTls
let answer: RequestListener
let server: Server
let origin = ''
let connections = 0
beforeAll(() => {
  tls = testTls()
})
beforeEach(async () => {
  connections = 0
  server = createServer({ cert: tls.server.cert, key: tls.server.key }, (request, response) =>
    answer(request, response),
  )
  server.on('connection', () => {
    connections += 1
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  origin = `https://localhost:${(server.address() as AddressInfo).port}`
})
afterEach(() => {
  server.closeAllConnections()
  server.close()
})

const client = (change: { ca?: string; origin?: string } = {}): Fetch =>
  httpFetch({ origin, ca: tls.ca, token, ...change })

async function body(response: FetchResponse): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for (;;) {
    const part = await response.read()
    if (part === null) return Buffer.concat(parts)
    parts.push(part)
  }
}

/** Serves the file with ranges. */
const serving: RequestListener = (request, response) => {
  const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')
  const etag = '"sha256-1"'
  if (match === null) {
    response.writeHead(200, { etag, 'content-length': file.length })
    response.end(file)
    return
  }
  const [start, last] = [Number(match[1]), Number(match[2])]
  response.writeHead(206, { etag, 'content-range': `bytes ${start}-${last}/${file.length}` })
  response.end(file.subarray(start, last + 1))
}

describe('a request', () => {
  it('asks for exactly the range, without encodings, with the credentials', async () => {
    let seen: Readonly<Record<string, unknown>> = {}
    answer = (request, response) => {
      seen = request.headers
      serving(request, response)
    }
    const range = { start: 10, endExclusive: 2000, ifRange: '"sha256-1"' }
    const response = await client().get({ url: `${origin}/blobs/x`, range })
    expect(response).toMatchObject({
      status: 206,
      etag: '"sha256-1"',
      contentRange: { start: 10, endExclusive: 2000, size: file.length },
    })
    expect(Buffer.compare(await body(response), file.subarray(10, 2000))).toBe(0)
    expect(seen).toMatchObject({
      range: 'bytes=10-1999',
      'if-range': '"sha256-1"',
      'accept-encoding': 'identity',
      authorization: `Bearer ${token}`,
    })
  })

  it('of many in a row uses one connection', async () => {
    answer = serving
    const fetch = client()
    for (let start = 0; start < 10; start += 1) {
      const response = await fetch.get({ url: `${origin}/x`, range: { start, endExclusive: start + 50_000 } })
      expect((await body(response)).length).toBe(50_000)
      response.cancel()
    }
    expect(connections).toBe(1)
  })

  it('to any other origin is refused before anything is sent: the credentials are the hub’s', async () => {
    answer = serving
    const fetch = client()
    for (const url of [
      'https://example.org/x',
      origin,
      `${origin}.evil.example/x`,
      `${origin}@evil.example/x`,
      origin.replace('https', 'http'),
      '/x',
      '',
    ]) {
      expect(await codeOf(() => fetch.get({ url })), url).toBe('EB-HUB-UNREACHABLE')
    }
    expect(connections).toBe(0)
  })

  it('with any path at all goes to the hub or is refused, and never elsewhere', async () => {
    let hosts: (string | undefined)[] = []
    answer = (request, response) => {
      hosts.push(request.headers.host)
      response.end()
    }
    for (const path of [
      '//evil.example/x',
      '/@evil.example',
      '/\\evil.example',
      '/..//x',
      '/a b',
      '/ü',
      '/%00',
      '/\r\nX: y',
    ]) {
      const code = await codeOf(async () => body(await client().get({ url: `${origin}${path}` })))
      expect(['done', 'EB-HUB-UNREACHABLE', 'EB-INTERNAL']).toContain(code)
    }
    expect(hosts.every((it) => origin.endsWith(`${it}`))).toBe(true)
    hosts = []
  })
})

describe('an answer', () => {
  const headers = async (status: number, sent: Record<string, string>): Promise<FetchResponse> => {
    answer = (_, response) => {
      response.writeHead(status, sent)
      response.end('x')
    }
    return client().get({ url: `${origin}/x` })
  }

  it('that redirects is handed on as it is; nobody follows it', async () => {
    for (const status of [301, 302, 303, 307, 308]) {
      const response = await headers(status, { location: 'https://example.org/x' })
      expect(response.status).toBe(status)
      response.cancel()
    }
    expect(connections).toBeGreaterThan(0)
  })

  it('with a content encoding is refused: gzip bombs too', async () => {
    for (const encoding of ['gzip', 'br', 'identity', 'gzip, gzip, gzip']) {
      expect(await codeOf(() => headers(200, { 'content-encoding': encoding }))).toBe('EB-RANGE')
    }
  })

  it('has a content range only when that is well formed', async () => {
    for (const [text, range] of [
      ['bytes 0-9/100', { start: 0, endExclusive: 10, size: 100 }],
      ['bytes 0-9/*', null],
      ['bytes */100', null],
      ['bytes 0-9/100, 20-29/100', null],
      ['items 0-9/100', null],
      ['bytes -1-9/100', null],
      ['bytes 0x0-9/100', null],
      [`bytes 0-9/${'9'.repeat(30)}`, null],
      ['', null],
    ] as const) {
      const response = await headers(206, { 'content-range': text })
      expect(response.contentRange, text).toEqual(range)
      response.cancel()
    }
  })

  it('has the seconds of Retry-After, not a date or nonsense', async () => {
    for (const [text, ms] of [
      ['120', 120_000],
      ['0', 0],
      ['Wed, 21 Oct 2026 07:28:00 GMT', null],
      ['-5', null],
      ['1e9', null],
    ] as const) {
      const response = await headers(429, { 'retry-after': text })
      expect(response.retryAfterMs, text).toBe(ms)
      response.cancel()
    }
  })

  it('with headers without end is refused', async () => {
    expect(await codeOf(() => headers(200, { 'x-long': 'y'.repeat(200_000) }))).toBe('EB-HUB-UNREACHABLE')
  })
})

describe('a certificate', () => {
  it('of another CA is EB-TLS, and nothing is sent', async () => {
    let requests = 0
    answer = () => {
      requests += 1
    }
    expect(await codeOf(() => client({ ca: testTls().ca }).get({ url: `${origin}/x` }))).toBe('EB-TLS')
    expect(requests).toBe(0)
  })

  it('for another name is EB-TLS', async () => {
    answer = serving
    const { port } = server.address() as AddressInfo
    const other = `https://127.0.0.2:${port}`
    server.close()
    server.closeAllConnections()
    server = createServer({ cert: tls.server.cert, key: tls.server.key }, (request, response) =>
      answer(request, response),
    )
    await new Promise<void>((resolve) => void server.listen(port, '127.0.0.2', resolve))
    expect(await codeOf(() => client({ origin: other }).get({ url: `${other}/x` }))).toBe('EB-TLS')
  })

  it('that is none, from a server that does not speak TLS, is a coded failure', async () => {
    const plain = createHttpServer((_, response) => response.end('hello'))
    await new Promise<void>((resolve) => void plain.listen(0, '127.0.0.1', resolve))
    const other = `https://localhost:${(plain.address() as AddressInfo).port}`
    expect(['EB-TLS', 'EB-HUB-UNREACHABLE']).toContain(
      await codeOf(() => client({ origin: other }).get({ url: `${other}/x` })),
    )
    plain.close()
  })

  it('of a CA that is damaged in the identity is EB-TLS too', async () => {
    answer = serving
    const ca = tls.ca.replace(/[A-Za-z0-9]{20}/, 'AAAAAAAAAAAAAAAAAAAA')
    expect(await codeOf(() => client({ ca }).get({ url: `${origin}/x` }))).toBe('EB-TLS')
    const none = '-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n'
    expect(await codeOf(() => client({ ca: none }).get({ url: `${origin}/x` }))).toBe('EB-TLS')
  })
})

describe('a connection', () => {
  it('that nobody takes, or that breaks before the answer, is EB-HUB-UNREACHABLE', async () => {
    server.close()
    expect(await codeOf(() => client().get({ url: `${origin}/x` }))).toBe('EB-HUB-UNREACHABLE')
    const unresolved = 'https://no-such-host.invalid'
    expect(await codeOf(() => client({ origin: unresolved }).get({ url: `${unresolved}/x` }))).toBe(
      'EB-HUB-UNREACHABLE',
    )
  })

  it('that breaks in the body rejects the read with a code', async () => {
    answer = (request, response) => {
      response.writeHead(200, { 'content-length': 1000 })
      response.write('some')
      setTimeout(() => request.socket.destroy(), 50)
    }
    const response = await client().get({ url: `${origin}/x` })
    expect(await codeOf(() => body(response))).toBe('EB-HUB-UNREACHABLE')
  })

  it('that is cancelled ends a read that waits, frees the server, and may be cancelled again', async () => {
    let closed = false
    answer = (_, response) => {
      response.writeHead(200, { 'content-length': 1000 })
      response.write('some')
      response.on('close', () => {
        closed = true
      })
    }
    const response = await client().get({ url: `${origin}/x` })
    expect((await response.read())?.length).toBe(4)
    const waiting = codeOf(() => body(response))
    await new Promise((resolve) => setTimeout(resolve, 20))
    response.cancel()
    response.cancel()
    expect(await waiting).toBe('EB-HUB-UNREACHABLE')
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(closed).toBe(true)
  })

  it('that is cancelled before anything was read, or after all of it, throws nothing anywhere', async () => {
    answer = serving
    const fetch = client()
    const early = await fetch.get({ url: `${origin}/x` })
    early.cancel()
    const late = await fetch.get({ url: `${origin}/x` })
    await body(late)
    late.cancel()
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect((await body(await fetch.get({ url: `${origin}/x` }))).length).toBe(file.length)
  })
})

describe('a plain hub', () => {
  it('is reached without TLS', async () => {
    const plain = createHttpServer(serving)
    await new Promise<void>((resolve) => void plain.listen(0, '127.0.0.1', resolve))
    const other = `http://127.0.0.1:${(plain.address() as AddressInfo).port}`
    const response = await client({ origin: other, ca: '' }).get({ url: `${other}/x` })
    expect((await body(response)).length).toBe(file.length)
    plain.closeAllConnections()
    plain.close()
  })
})
