/**
 * Clips over HTTP: what a device may read, store, prove and forget, on files and on a bucket alike; what is refused.
 */
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect as tlsConnect } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { clipLimits, hubClipLimits } from '../../../core/clip-limits.ts'
import { orThrow } from '../../../core/errors.ts'
import { KiB } from '../../../core/units.ts'
import { bucketOf } from '../../../hub/clips/bucket.ts'
import type { Write } from '../../../hub/core/model.ts'
import { openSqliteStore } from '../../../hub/store/adapters/sqlite.ts'
import { contentOf, type TestContent } from '../clips/contents.ts'
import { type S3Server, startS3 } from '../clips/s3-server.ts'
import { digestOf } from '../fixtures.ts'
import { type Answer, ask, json, newDevice, sendJson } from '../http-client.ts'
import { type HubHome, hubHome, type LocalHub, localHub } from '../hub-process.ts'
import { publishSkill, putBody } from '../skills/made-skills.ts'

const codeOf = (answer: Answer): string => json(answer).error?.code ?? 'ok'
const random = (bytes = 5_000): TestContent => contentOf(randomBytes(bytes))

describe.each(['files', 'a bucket'])('clips kept in %s', (kind) => {
  let home: HubHome
  let hub: LocalHub
  let s3: S3Server
  let tokens: Record<'dev1' | 'dev2', string>

  const start = (): Promise<LocalHub> => {
    const environment = {
      AWS_ACCESS_KEY_ID: s3.keys.accessKeyId,
      AWS_SECRET_ACCESS_KEY: s3.keys.secretAccessKey,
    }
    const bucket = orThrow(bucketOf('s3://clips/hub', s3.url, environment))
    return localHub(home, undefined, false, kind === 'files' ? undefined : bucket)
  }
  beforeAll(async () => {
    home = hubHome()
    s3 = await startS3('clips', 'us-east-1')
    hub = await start()
    tokens = { dev1: await newDevice(hub.client, 'dev1'), dev2: await newDevice(hub.client, 'dev2') }
  })
  afterAll(async () => {
    await hub.close()
    expect(s3.refused).toEqual([])
    await s3.close()
    home.remove()
  })

  type Who = 'dev1' | 'dev2'
  const get = (who: Who, sha256: string, headers: Record<string, string> = {}, method = 'GET') =>
    ask(hub.client, `/clips/${sha256}`, { method, headers, token: tokens[who] })
  const put = (who: Who, clip: string, { sha256, bytes }: TestContent, headers?: Record<string, string>) =>
    putBody(hub.client, `/clips/${sha256}?clip=${clip}`, bytes, tokens[who], headers)
  const have = async (who: Who, sha256s: readonly string[]) =>
    json(await sendJson(hub.client, '/clips/have', { sha256: sha256s }, tokens[who]))
  const own = async (who: Who) => json(await ask(hub.client, '/clips/own', { token: tokens[who] })).clips
  const forget = (who: Who, clip: string) =>
    ask(hub.client, `/clips/own/${clip}`, { method: 'DELETE', token: tokens[who] })
  const claim = (who: Who, clip: string, { sha256, bytes }: TestContent, challenge: string) => {
    const proof = createHash('sha256').update(Buffer.from(challenge, 'hex')).update(bytes).digest('hex')
    return sendJson(hub.client, `/clips/${sha256}/claim`, { clip, challenge, proof }, tokens[who])
  }
  const isStored = ({ sha256 }: TestContent): boolean =>
    kind === 'files'
      ? existsSync(join(home.data, 'clips', sha256.slice(0, 2), sha256))
      : s3.objects.has(`hub/${sha256}`)
  const incoming = () => readdirSync(join(home.data, 'clips', 'incoming'))

  it('are stored once by whoever sends first, and read by those who sent them', async () => {
    const clip = random()
    const first = await put('dev1', 'hello', clip)
    expect([first.status, json(first)]).toEqual([
      201,
      { clip: 'hello', sha256: clip.sha256, bytes: 5_000, stored: true },
    ])
    expect((await get('dev2', clip.sha256)).status).toBe(404)
    expect((await put('dev2', 'mine', clip, { 'content-type': 'audio/wav' })).status).toBe(200)
    for (const who of ['dev1', 'dev2'] as const) {
      const answer = await get(who, clip.sha256)
      expect([answer.status, answer.body.equals(clip.bytes)]).toEqual([200, true])
      expect(answer.headers).toMatchObject({
        etag: `"sha256-${clip.sha256}"`,
        'content-length': '5000',
        'accept-ranges': 'bytes',
      })
    }
    expect(await own('dev2')).toEqual([{ clip: 'mine', sha256: clip.sha256, bytes: 5_000 }])
    expect(incoming()).toEqual([])
  })

  it('come in ranges, by head, and not at all when they are known', async () => {
    const clip = random(600 * KiB)
    await put('dev1', 'long', clip)
    const etag = `"sha256-${clip.sha256}"`
    for (const [range, from, to] of [
      ['bytes=0-0', 0, 1],
      ['bytes=1000-', 1000, 600 * KiB],
      ['bytes=-70000', 600 * KiB - 70_000, 600 * KiB],
      ['bytes=65536-131071', 65_536, 131_072],
    ] as const) {
      const answer = await get('dev1', clip.sha256, { range })
      expect(answer.status).toBe(206)
      expect(answer.headers['content-range']).toBe(`bytes ${from}-${to - 1}/${600 * KiB}`)
      expect(answer.body.equals(clip.bytes.subarray(from, to))).toBe(true)
    }
    expect((await get('dev1', clip.sha256, { range: `bytes=${600 * KiB}-` })).status).toBe(416)
    const changed = await get('dev1', clip.sha256, { range: 'bytes=0-9', 'if-range': '"other"' })
    expect([changed.status, changed.body.length]).toEqual([200, 600 * KiB])
    expect((await get('dev1', clip.sha256, { 'if-none-match': etag })).status).toBe(304)
    const head = await get('dev1', clip.sha256, {}, 'HEAD')
    expect([head.status, head.body.length, head.headers['content-length']]).toEqual([
      200,
      0,
      String(600 * KiB),
    ])
  })

  it('that another device has can be had by proving that one holds them, without sending them', async () => {
    const [clip, missing] = [random(), random()]
    await put('dev1', 'shared', clip)
    const before = await own('dev2')
    const answer = await have('dev2', [clip.sha256, missing.sha256, clip.sha256])
    expect(answer).toEqual({
      have: [{ sha256: clip.sha256, challenge: expect.stringMatching(/^[0-9a-f]{112}$/) }],
      missing: [missing.sha256],
    })
    const { challenge } = answer.have[0]
    expect((await get('dev2', clip.sha256)).status).toBe(404)
    const claimed = await claim('dev2', 'shared', clip, challenge)
    expect([claimed.status, json(claimed)]).toEqual([200, { clip: 'shared', sha256: clip.sha256 }])
    expect((await get('dev2', clip.sha256)).body.equals(clip.bytes)).toBe(true)
    expect((await own('dev2')).length).toBe(before.length + 1)
  })

  it('cannot be had by the hash alone, by a proof of another content, or with a challenge of another', async () => {
    const [clip, other] = [random(), random()]
    await put('dev1', 'secret', clip)
    const challengeFor = async (who: Who, it: TestContent) => (await have(who, [it.sha256])).have[0].challenge
    const wrong = { ...other, sha256: clip.sha256 }
    const refused = await claim('dev2', 'secret', wrong, await challengeFor('dev2', clip))
    expect([refused.status, codeOf(refused)]).toEqual([403, 'EB-BLOB'])
    const foreign = await claim('dev2', 'secret', clip, await challengeFor('dev1', clip))
    expect([foreign.status, codeOf(foreign)]).toEqual([403, 'EB-CONFLICT'])
    const challenge = await challengeFor('dev2', clip)
    await claim('dev2', 'secret', wrong, challenge)
    expect(codeOf(await claim('dev2', 'secret', clip, challenge))).toBe('EB-CONFLICT')
    expect(codeOf(await claim('dev2', 'secret', other, challenge))).toBe('EB-CONFLICT')
    expect((await get('dev2', clip.sha256)).status).toBe(404)
    expect(await own('dev2')).not.toContainEqual(expect.objectContaining({ clip: 'secret' }))
  })

  it('are the same 404 for a device that may not read them as when there are none', async () => {
    const clip = random()
    await put('dev1', 'private', clip)
    const hidden = await get('dev2', clip.sha256)
    const absent = await get('dev2', digestOf('0'))
    const same = (it: Answer) => it.body.toString().replace(/[0-9a-f]{64}/g, 'HASH')
    expect([hidden.status, absent.status]).toEqual([404, 404])
    expect(same(hidden)).toBe(same(absent))
    for (const name of [
      'x',
      clip.sha256.toUpperCase(),
      `${clip.sha256}0`,
      '..%2f..%2fhub.db',
      'own%00',
      'incoming',
    ]) {
      expect([404, 400]).toContain((await get('dev1', name)).status)
    }
    const operator = await ask(hub.client, `/clips/${clip.sha256}`)
    expect(operator.body.equals(clip.bytes)).toBe(true)
  })

  it('of a skill can be read by every device, and so can its list', async () => {
    const clip = random()
    const skill = await publishSkill(hub.client, home.keys.skill, 'weather', Date.now(), { rain: clip.bytes })
    for (const it of [clip, skill.list]) {
      expect((await get('dev2', it?.sha256 ?? '')).body.equals(it?.bytes ?? Buffer.alloc(0))).toBe(true)
    }
    await publishSkill(hub.client, home.keys.skill, 'weather', Date.now() + 1, null)
    expect((await get('dev2', clip.sha256)).status).toBe(404)
    await expect.poll(() => isStored(clip)).toBe(false)
  })

  it('leave the store with the last device that had them', async () => {
    const clip = random()
    await put('dev1', 'x', clip)
    await put('dev1', 'y', clip)
    await put('dev2', 'z', clip)
    expect([(await forget('dev1', 'x')).status, (await forget('dev2', 'z')).status]).toEqual([200, 200])
    expect((await get('dev2', clip.sha256)).status).toBe(404)
    expect((await get('dev1', clip.sha256)).status).toBe(200)
    expect(isStored(clip)).toBe(true)
    await forget('dev1', 'y')
    await expect.poll(() => isStored(clip)).toBe(false)
    expect(json(await forget('dev1', 'y'))).toEqual({ clip: 'y', removed: false })
    expect((await put('dev1', 'y', clip)).status).toBe(201)
  })

  it('may be sent by two devices at once', async () => {
    const clip = random(300 * KiB)
    const answers = await Promise.all([
      put('dev1', 'twin', clip),
      put('dev2', 'twin', clip),
      put('dev1', 'twin2', clip),
    ])
    expect(answers.map((it) => it.status).sort()).toEqual([200, 200, 201])
    expect((await get('dev2', clip.sha256)).body.equals(clip.bytes)).toBe(true)
    expect(incoming()).toEqual([])
  })

  it('are refused with other bytes than named, too long, empty or without a length, and nothing is left', async () => {
    const clip = random()
    const other = { ...clip, bytes: Buffer.from(clip.bytes.map((it, at) => (at === 4_999 ? it ^ 1 : it))) }
    const wrong = await put('dev1', 'bad', other)
    expect([wrong.status, codeOf(wrong)]).toEqual([422, 'EB-BLOB'])
    const empty = await put('dev1', 'bad', { ...clip, bytes: Buffer.alloc(0) })
    expect([empty.status, codeOf(empty)]).toEqual([413, 'EB-CLIP-SIZE'])
    const long = await put('dev1', 'bad', clip, {
      'content-length': String(clipLimits.clipBytesMax + 1),
    }).catch((error: Error) => error.message)
    if (typeof long === 'string') throw new Error(long)
    expect([long.status, codeOf(long)]).toEqual([413, 'EB-CLIP-SIZE'])
    const chunked = await ask(hub.client, `/clips/${clip.sha256}?clip=bad`, {
      method: 'PUT',
      headers: { 'transfer-encoding': 'chunked' },
      body: clip.bytes,
      token: tokens.dev1,
    })
    expect([chunked.status, codeOf(chunked)]).toEqual([400, 'EB-MESSAGE'])
    for (const path of ['?clip=a%2fb', '?clip=..', '', '?clip=a&more=1', `?clip=${'x'.repeat(65)}`]) {
      const answer = await putBody(hub.client, `/clips/${clip.sha256}${path}`, clip.bytes, tokens.dev1)
      expect([path, answer.status]).toEqual([path, 400])
    }
    expect(
      (await putBody(hub.client, `/clips/${'g'.repeat(64)}?clip=a`, clip.bytes, tokens.dev1)).status,
    ).toBe(400)
    expect([isStored(clip), incoming()]).toEqual([false, []])
    expect((await have('dev1', [clip.sha256])).have).toEqual([])
  })

  it('that break off in the middle leave nothing', async () => {
    const clip = random(100_000)
    const { hostname, port } = new URL(hub.client.url)
    for (const sent of [0, 1, 99_999]) {
      const socket = tlsConnect({ host: hostname, port: Number(port), ca: hub.client.ca })
      socket.on('error', () => undefined)
      socket.write(
        `PUT /clips/${clip.sha256}?clip=half HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${tokens.dev1}\r\n` +
          `content-length: ${clip.bytes.length}\r\n\r\n`,
      )
      await new Promise((resolve) => socket.write(clip.bytes.subarray(0, sent), resolve))
      await expect.poll(() => incoming().length).toBe(1)
      socket.destroy()
      await expect.poll(incoming).toEqual([])
    }
    expect(isStored(clip)).toBe(false)
  })

  it('are refused when too many are under way, and taken again afterwards', async () => {
    const { hostname, port } = new URL(hub.client.url)
    const clip = random(10_000)
    const open = async () => {
      const socket = tlsConnect({ host: hostname, port: Number(port), ca: hub.client.ca })
      socket.on('error', () => undefined)
      socket.write(
        `PUT /clips/${clip.sha256}?clip=slow HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${tokens.dev1}\r\n` +
          'content-length: 10000\r\n\r\nx',
      )
      return socket
    }
    const sockets = await Promise.all(Array.from({ length: hubClipLimits.uploadsPerDeviceMax }, open))
    await expect.poll(() => incoming().length).toBe(sockets.length)
    const refused = await put('dev1', 'more', clip)
    expect([refused.status, codeOf(refused)]).toEqual([429, 'EB-LIMIT'])
    expect((await put('dev2', 'more', clip)).status).toBe(201)
    for (const it of sockets) it.destroy()
    await expect.poll(incoming).toEqual([])
    expect((await put('dev1', 'more', clip)).status).toBe(200)
  })

  it('and what devices may do with them last over a restart; challenges do not', async () => {
    const clip = random()
    await put('dev1', 'lasting', clip)
    const { challenge } = (await have('dev2', [clip.sha256])).have[0]
    await hub.close()
    writeFileSync(join(home.data, 'clips', 'incoming', 'half'), 'x')
    hub = await start()
    expect(incoming()).toEqual([])
    expect((await get('dev1', clip.sha256)).body.equals(clip.bytes)).toBe(true)
    expect((await get('dev2', clip.sha256)).status).toBe(404)
    expect(await own('dev1')).toContainEqual({ clip: 'lasting', sha256: clip.sha256, bytes: 5_000 })
    expect(codeOf(await claim('dev2', 'lasting', clip, challenge))).toBe('EB-CONFLICT')
  })

  it('that a killed hub had put but not yet committed are taken away by the next start', async () => {
    const [half, leaving] = [random(), random()]
    await hub.close()
    const store = openSqliteStore(home.data)
    const row = (it: TestContent, state: 'coming' | 'leaving'): Write => ({
      kind: 'put-content',
      content: { sha256: it.sha256, bytes: it.bytes.length, state, atMs: 1 },
    })
    await store.commit([row(half, 'coming'), row(leaving, 'leaving')])
    await store.close()
    for (const { sha256, bytes } of [half, leaving]) {
      const directory = join(home.data, 'clips', sha256.slice(0, 2))
      mkdirSync(directory, { recursive: true })
      if (kind === 'files') writeFileSync(join(directory, sha256), bytes)
      else s3.objects.set(`hub/${sha256}`, bytes)
    }
    expect([half, leaving].map(isStored)).toEqual([true, true])
    hub = await start()
    await expect.poll(() => [half, leaving].map(isStored)).toEqual([false, false])
    expect((await have('dev1', [half.sha256, leaving.sha256])).have).toEqual([])
  })

  it('say what is stored and what sharing saves, for operators only', async () => {
    const figures = json(await ask(hub.client, '/v1/clips'))
    expect(figures.dedupRatio).toBeGreaterThan(1)
    expect(figures.bytesSaved).toBeGreaterThan(0)
    const [clip, other] = [random(), random()]
    const sent = await putBody(hub.client, `/v1/clips/${clip.sha256}`, clip.bytes)
    expect([sent.status, json(sent)]).toEqual([201, { sha256: clip.sha256, bytes: 5_000, stored: true }])
    const asked = await sendJson(hub.client, '/v1/clips/have', { sha256: [clip.sha256, other.sha256] })
    expect(json(asked)).toEqual({ have: [clip.sha256], missing: [other.sha256] })
    const after = json(await ask(hub.client, '/v1/clips'))
    expect(after.unused).toEqual({ count: figures.unused.count + 1, bytes: figures.unused.bytes + 5_000 })
    for (const path of ['/v1/clips', '/v1/clips/stats', '/v1/skills']) {
      expect((await ask(hub.client, path, { token: tokens.dev1 })).status).toBe(401)
    }
    expect((await putBody(hub.client, `/v1/clips/${other.sha256}`, other.bytes, tokens.dev1)).status).toBe(
      401,
    )
  })

  if (kind === 'files') return

  it('that the bucket does not give are an error, or missing, not the end of the hub', async () => {
    const clip = random()
    await put('dev1', 'far', clip)
    s3.trouble = (_request, response) => {
      response.writeHead(500).end()
      return true
    }
    const failed = await get('dev1', clip.sha256)
    expect([failed.status, codeOf(failed)]).toEqual([502, 'EB-BUCKET'])
    const refused = await put('dev1', 'other', random())
    expect([refused.status, codeOf(refused)]).toEqual([502, 'EB-BUCKET'])
    s3.trouble = null
    expect((await get('dev1', clip.sha256)).status).toBe(200)
    s3.objects.delete(`hub/${clip.sha256}`)
    expect((await get('dev1', clip.sha256)).status).toBe(404)
    await expect.poll(async () => (await have('dev1', [clip.sha256])).missing).toEqual([clip.sha256])
    expect((await put('dev1', 'far', clip)).status).toBe(201)
    expect((await get('dev1', clip.sha256)).status).toBe(200)
  })

  it('break the connection when the bucket breaks off, so that nobody takes a part for the whole', async () => {
    const clip = random(50_000)
    await put('dev1', 'broken', clip)
    s3.trouble = (request, response) => {
      response.writeHead(200, { 'content-length': 50_000 }).write(clip.bytes.subarray(0, 10_000))
      setTimeout(() => request.socket.destroy(), 50)
      return true
    }
    await expect(get('dev1', clip.sha256)).rejects.toThrow()
    s3.trouble = null
  })
})
