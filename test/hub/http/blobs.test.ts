/**
 * Files of releases over HTTP: ranges, conditions, who may ask, what a path can reach.
 */
import { createHash, randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { connect as tlsConnect } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hubLimits } from '../../../core/limits.ts'
import { type Answer, ask, newDevice, upload } from '../http-client.ts'
import { type HubHome, hubHome, type LocalHub, localHub } from '../hub-process.ts'
import { type MadeRelease, makeRelease } from '../releases.ts'

let home: HubHome
let hub: LocalHub
let release: MadeRelease
let deviceToken: string
let path: string
let blob: Buffer
let etag: string

beforeAll(async () => {
  home = hubHome()
  hub = await localHub(home)
  release = await makeRelease(home.keys, '1.0', { bytes: 3 * hubLimits.blobStepBytes + 12_345 })
  expect((await upload(hub.client, release.file)).status).toBe(201)
  deviceToken = await newDevice(hub.client, 'dev1')
  path = `/blobs/${release.manifest.id}/rootfs.blob`
  blob = release.files.get('rootfs.blob') ?? Buffer.alloc(0)
  etag = `"sha256-${createHash('sha256').update(blob).digest('hex')}"`
})
afterAll(async () => {
  await hub.close()
  home.remove()
})

const get = (headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> =>
  ask(hub.client, path, { headers, method, token: deviceToken })

describe('a file of a release', () => {
  it.each(['manifest.json', 'rootfs.index', 'rootfs.blob'])(
    '%s comes whole, with its strong entity tag',
    async (name) => {
      const answer = await ask(hub.client, `/blobs/${release.manifest.id}/${name}`, { token: deviceToken })
      const bytes = release.files.get(name) ?? Buffer.alloc(0)
      expect(answer.status).toBe(200)
      expect(answer.body.equals(bytes)).toBe(true)
      expect(answer.headers).toMatchObject({
        etag: `"sha256-${createHash('sha256').update(bytes).digest('hex')}"`,
        'content-length': String(bytes.length),
        'accept-ranges': 'bytes',
      })
      expect(answer.headers['content-encoding']).toBeUndefined()
    },
  )

  it.each<[string, (size: number) => [number, number]]>([
    ['bytes=0-0', () => [0, 1]],
    ['bytes=0-', (size) => [0, size]],
    ['bytes=1000-1999', () => [1000, 2000]],
    ['bytes=5-', (size) => [5, size]],
    ['bytes=-1', (size) => [size - 1, size]],
    ['bytes=-5000', (size) => [size - 5000, size]],
    ['bytes=-999999999999', (size) => [0, size]],
    ['bytes=10-999999999999', (size) => [10, size]],
    ['Bytes=3-4', () => [3, 5]],
    ['bytes=262143-262144', () => [262_143, 262_145]],
    ['bytes=1-700000', () => [1, 700_001]],
  ])('%s is answered by 206 with exactly those bytes', async (range, wanted) => {
    const [start, end] = wanted(blob.length)
    const answer = await get({ range })
    expect(answer.status).toBe(206)
    expect(answer.headers['content-range']).toBe(`bytes ${start}-${end - 1}/${blob.length}`)
    expect(answer.headers['content-length']).toBe(String(end - start))
    expect(answer.headers['etag']).toBe(etag)
    expect(answer.body.equals(blob.subarray(start, end))).toBe(true)
  })

  it('the last byte can be had alone', async () => {
    const answer = await get({ range: `bytes=${blob.length - 1}-` })
    expect(answer.status).toBe(206)
    expect(answer.body.equals(blob.subarray(-1))).toBe(true)
  })

  it.each([
    'bytes=0-1,5-6',
    'bytes=5-2',
    'bytes=',
    'bytes=-',
    'bytes=a-b',
    'items=0-1',
    'bytes 0-1',
    'bytes=0x1-2',
    'bytes=1-2-3',
    'bytes=+1-2',
  ])('%s is ignored: 200 and the whole file', async (range) => {
    const answer = await get({ range })
    expect(answer.status).toBe(200)
    expect(answer.headers['content-range']).toBeUndefined()
    expect(answer.body.equals(blob)).toBe(true)
  })

  it.each([
    (size: number) => `bytes=${size}-`,
    (size: number) => `bytes=${size + 10}-${size + 20}`,
    () => 'bytes=-0',
  ])('a range past the end is 416 with the size', async (range) => {
    const answer = await get({ range: range(blob.length) })
    expect(answer.status).toBe(416)
    expect(answer.headers['content-range']).toBe(`bytes */${blob.length}`)
    expect(answer.body).toHaveLength(0)
  })

  it('If-Range holds only for the same strong tag', async () => {
    const range = 'bytes=10-19'
    expect((await get({ range, 'if-range': etag })).status).toBe(206)
    for (const other of [
      `W/${etag}`,
      '"sha256-00"',
      etag.slice(1, -1),
      'Wed, 21 Oct 2026 07:28:00 GMT',
      '*',
    ]) {
      const answer = await get({ range, 'if-range': other })
      expect([answer.status, answer.body.length]).toEqual([200, blob.length])
    }
    expect((await get({ range: `bytes=${blob.length}-`, 'if-range': '"other"' })).status).toBe(200)
  })

  it('If-None-Match answers 304 for the same content', async () => {
    for (const tag of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
      const answer = await get({ 'if-none-match': tag })
      expect([answer.status, answer.body.length, answer.headers['etag']]).toEqual([304, 0, etag])
    }
    expect((await get({ 'if-none-match': '"x"' })).status).toBe(200)
  })

  it('HEAD says the size, sends nothing and knows no ranges', async () => {
    const answer = await get({ range: 'bytes=0-9' }, 'HEAD')
    expect([answer.status, answer.body.length]).toEqual([200, 0])
    expect(answer.headers['content-length']).toBe(String(blob.length))
    expect(answer.headers['etag']).toBe(etag)
  })

  it('random ranges put together are the file', async () => {
    for (let round = 0; round < 5; round += 1) {
      const cuts = [
        ...new Set([
          0,
          ...Array.from(randomBytes(6), (it) => Math.floor((it / 256) * blob.length)),
          blob.length,
        ]),
      ].sort((a, b) => a - b)
      const parts = await Promise.all(
        cuts
          .slice(1)
          .map(async (end, index) => (await get({ range: `bytes=${cuts[index]}-${end - 1}` })).body),
      )
      expect(Buffer.concat(parts).equals(blob)).toBe(true)
    }
  })
})

describe('who asks', () => {
  it('is refused without a good token, before anything is said about the file', async () => {
    for (const token of [
      null,
      '',
      'x',
      `${deviceToken}x`,
      `dev2.${deviceToken.split('.')[1]}`,
      'dev1.',
      `${hub.client.token}x`,
    ]) {
      for (const at of [path, '/blobs/none/none']) {
        const answer = await ask(hub.client, at, { token })
        expect(answer.status).toBe(401)
        expect(JSON.parse(answer.body.toString()).error.code).toBe('EB-AUTH')
      }
    }
    expect((await ask(hub.client, path, { token: hub.client.token })).status).toBe(200)
  })

  it('as a device may not use the API', async () => {
    for (const at of ['/v1/devices', '/v1/hub', '/v1/rollouts', '/v1/releases']) {
      expect((await ask(hub.client, at, { token: deviceToken })).status).toBe(401)
    }
  })
})

describe('what a path can reach', () => {
  it.each([
    'rootfs',
    'rootfs.blob2',
    'manifest.json%00',
    '..%2f..%2fclient.json',
    '..%2fclient.json',
    '%2e%2e/client.json',
    '../../client.json',
    '../../../etc/passwd',
    '..\\..\\client.json',
    '.',
    '..',
    '%',
    'constructor',
    '__proto__',
    'x'.repeat(300),
  ])('is nothing but the files of the release: %s', async (name) => {
    const answer = await ask(hub.client, `/blobs/${release.manifest.id}/${name}`)
    expect([400, 404, 401]).toContain(answer.status)
    expect(answer.body.toString()).toContain('EB-')
    expect(answer.body.toString()).not.toContain('token"')
  })

  it('a release that is not known, by any spelling', async () => {
    for (const id of ['nope', '..', '%2e%2e', 'incoming', release.manifest.id.toUpperCase()]) {
      expect([404, 400, 401]).toContain((await ask(hub.client, `/blobs/${id}/manifest.json`)).status)
    }
  })
})

describe('a peer that goes away or stands still', () => {
  it('is cut when its headers do not come in time', async () => {
    const { hostname, port } = new URL(hub.client.url)
    const socket = tlsConnect({ host: hostname, port: Number(port), ca: hub.client.ca })
    socket.on('error', () => undefined)
    const started = performance.now()
    const closed = new Promise((resolve) => socket.once('close', resolve))
    socket.write('GET /v1/health HTTP/1.1\r\nhost: x\r\n')
    socket.resume()
    const drip = setInterval(() => socket.write('x-a: b\r\n'), 500)
    await closed
    clearInterval(drip)
    expect(performance.now() - started).toBeLessThan(hubLimits.headersMs + 2 * hubLimits.headersCheckMs)
  }, 20_000)

  it('leaves no file open and does not disturb others', async () => {
    const { readdirSync } = await import('node:fs')
    const open = (): number => readdirSync('/proc/self/fd').length
    const plainHome = hubHome()
    const plain = await localHub(plainHome, undefined, true)
    const big = await makeRelease(plainHome.keys, '2.0', { bytes: 8 * 1024 * 1024 })
    expect((await upload(plain.client, big.file)).status).toBe(201)
    const before = open()
    const { hostname, port } = new URL(plain.client.url)
    for (let round = 0; round < 20; round += 1) {
      const socket = connect(Number(port), hostname)
      socket.write(
        `GET /blobs/${big.manifest.id}/rootfs.blob HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${plain.client.token}\r\n\r\n`,
      )
      await new Promise((resolve) => socket.once('data', resolve))
      socket.pause()
      if (round % 2 === 0) socket.destroy()
      else setTimeout(() => socket.resetAndDestroy(), 50)
    }
    const answer = await ask(plain.client, `/blobs/${big.manifest.id}/rootfs.blob`)
    expect(answer.body.length).toBe(big.files.get('rootfs.blob')?.length)
    await expect.poll(open, { timeout: 3_000 }).toBeLessThanOrEqual(before + 1)
    await plain.close()
    plainHome.remove()
  })
})
