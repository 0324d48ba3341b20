/**
 * Releases that are sent to the hub, good and bad, and the API around them.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect as tlsConnect } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask, json, newDevice, sendJson, upload } from '../http-client.ts'
import { type HubHome, hubHome, type LocalHub, localHub } from '../hub-process.ts'
import { type MadeRelease, makeRelease, newKeys } from '../releases.ts'

let home: HubHome
let hub: LocalHub
let release: MadeRelease

beforeAll(async () => {
  home = hubHome()
  hub = await localHub(home)
  release = await makeRelease(home.keys, '1.0', { devices: ['dev1'] })
})
afterAll(async () => {
  await hub.close()
  home.remove()
})

/** Everything under the directories of releases and uploads. */
const leftovers = (): string[] =>
  ['releases', 'incoming'].flatMap((it) =>
    readdirSync(join(home.data, it), { recursive: true }).map((name) => join(it, String(name))),
  )
const codeOf = (answer: { body: Buffer }): string => json(answer as never).error?.code ?? 'none'

describe('a release that must not be taken', () => {
  it.each<[string, number, string, () => Promise<Buffer> | Buffer]>([
    ['an empty body', 400, 'EB-CONTAINER', () => Buffer.alloc(0)],
    ['another file', 400, 'EB-CONTAINER', () => Buffer.from('%PDF-1.7 and so on, long enough for a header')],
    ['a truncated file', 400, 'EB-CONTAINER', () => release.file.subarray(0, -1)],
    ['half a file', 400, 'EB-CONTAINER', () => release.file.subarray(0, release.file.length / 2)],
    ['an extended file', 400, 'EB-CONTAINER', () => Buffer.concat([release.file, Buffer.from([0])])],
    [
      'keys that the hub does not trust',
      422,
      'EB-UNKNOWN-KEY',
      async () => (await makeRelease(newKeys(), '9')).file,
    ],
    [
      'a seal by a key that the hub does not trust',
      422,
      'EB-SEAL',
      async () => (await makeRelease({ ...newKeys(), release: home.keys.release }, '9')).file,
    ],
  ])('%s', async (_what, status, code, body) => {
    const answer = await upload(hub.client, await body())
    expect([answer.status, codeOf(answer)]).toEqual([status, code])
    expect(leftovers()).toEqual([])
    expect(hub.core.state().releases.size).toBe(0)
  })

  it('any with a flipped bit, at 300 places over the whole file', async () => {
    const codes = new Set<string>()
    for (let round = 0; round < 300; round += 1) {
      const bytes = Buffer.from(release.file)
      const at = Math.floor((round / 300) * bytes.length) + (round % 7)
      if (at >= bytes.length) continue
      bytes[at] = (bytes[at] ?? 0) ^ (1 << (round % 8))
      const answer = await upload(hub.client, bytes)
      expect(answer.status).toBeGreaterThanOrEqual(400)
      codes.add(codeOf(answer))
    }
    expect(leftovers()).toEqual([])
    expect(hub.core.state().releases.size).toBe(0)
    expect(codes).toContain('EB-BLOB')
  }, 60_000)

  it('one that breaks off in the middle', async () => {
    const { hostname, port } = new URL(hub.client.url)
    for (const sent of [0, 1, 100, release.file.length - 1]) {
      const socket = tlsConnect({ host: hostname, port: Number(port), ca: hub.client.ca })
      socket.on('error', () => undefined)
      socket.write(
        `PUT /v1/releases HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${hub.client.token}\r\n` +
          `content-type: application/octet-stream\r\ncontent-length: ${release.file.length}\r\n\r\n`,
      )
      await new Promise((resolve) => socket.write(release.file.subarray(0, sent), resolve))
      await new Promise((resolve) => setTimeout(resolve, 50))
      socket.destroy()
    }
    await expect.poll(leftovers, { timeout: 3_000 }).toEqual([])
    expect(hub.core.state().releases.size).toBe(0)
  })

  it('one that says it is larger than the disk', async () => {
    const answer = await ask(hub.client, '/v1/releases', {
      method: 'PUT',
      headers: { 'content-type': 'application/octet-stream', 'content-length': String(2 ** 45) },
      body: 'x',
    }).catch((error: Error) => error.message)
    if (typeof answer === 'string') throw new Error(answer)
    expect([answer.status, codeOf(answer)]).toEqual([429, 'EB-LIMIT'])
    expect(leftovers()).toEqual([])
  })

  it('one sent by a device, by nobody, or as something else', async () => {
    const token = await newDevice(hub.client, 'uploader')
    const headers = { 'content-type': 'application/octet-stream' }
    for (const it of [token, null, 'x']) {
      const answer = await ask(hub.client, '/v1/releases', {
        method: 'PUT',
        headers,
        body: release.file,
        token: it,
      })
      expect([answer.status, codeOf(answer)]).toEqual([401, 'EB-AUTH'])
    }
    for (const type of ['text/plain', 'multipart/form-data; boundary=x', 'application/json']) {
      const answer = await ask(hub.client, '/v1/releases', {
        method: 'PUT',
        headers: { 'content-type': type },
        body: release.file,
      })
      expect(answer.status).toBeGreaterThanOrEqual(400)
    }
    expect(leftovers()).toEqual([])
  })
})

describe('a good release', () => {
  it('is stored part by part as the publisher made it, with its key wraps', async () => {
    const answer = await upload(hub.client, release.file)
    expect(answer.status).toBe(201)
    expect(json(answer)).toMatchObject({
      id: release.manifest.id,
      version: '1.0',
      published: true,
      devicesWithKeys: 1,
    })
    const directory = join(home.data, 'releases', release.manifest.id)
    expect(readdirSync(directory).sort()).toEqual([...release.files.keys()].sort())
    for (const [name, bytes] of release.files) {
      expect(readFileSync(join(directory, name)).equals(bytes)).toBe(true)
      expect(statSync(join(directory, name)).mode & 0o077).toBe(0)
    }
    expect(readdirSync(join(home.data, 'incoming'))).toEqual([])
  })

  it('may be sent again, and again with keys for more devices', async () => {
    const again = await upload(hub.client, release.file)
    expect([again.status, json(again).published]).toEqual([200, false])
    const more = json(await upload(hub.client, await release.withWraps(['dev1', 'dev2', 'dev3'])))
    expect(more.devicesWithKeys).toBe(3)
    const bare = json(await upload(hub.client, await release.withWraps([])))
    expect(bare.devicesWithKeys).toBe(3)
  })

  it('keeps its id from any other bytes', async () => {
    const { signEnvelope } = await import('../../../keys/envelope.ts')
    const { writeContainer } = await import('../../../images/release/container.ts')
    const { memorySource } = await import('../../../images/release/byte-source.ts')
    const other = signEnvelope({ ...release.manifest, hardware: ['other'] }, [home.keys.release])
    const parts: Uint8Array[] = []
    const source = (name: string) => memorySource(release.files.get(name) ?? new Uint8Array(0), name)
    await writeContainer(
      {
        manifest: memorySource(other, 'm'),
        indexes: [source('rootfs.index')],
        blobs: [source('rootfs.blob')],
        wraps: null,
      },
      { write: async (bytes) => void parts.push(bytes.slice()) },
    )
    const before = leftovers()
    const answer = await upload(hub.client, Buffer.concat(parts))
    expect([answer.status, codeOf(answer)]).toEqual([409, 'EB-CONFLICT'])
    expect(leftovers()).toEqual(before)
    const served = await ask(hub.client, `/blobs/${release.manifest.id}/manifest.json`)
    expect(served.body.equals(release.manifestBytes)).toBe(true)
  })

  it('survives being sent twice at once', async () => {
    const twin = await makeRelease(home.keys, '1.1')
    const answers = await Promise.all([upload(hub.client, twin.file), upload(hub.client, twin.file)])
    expect(answers.map((it) => it.status).sort()).toEqual([200, 201])
    expect(readdirSync(join(home.data, 'incoming'))).toEqual([])
  })

  it('is found by product@version while only one has it', async () => {
    const find = async (name: string) => ask(hub.client, `/v1/releases/${encodeURIComponent(name)}`)
    expect(json(await find('demo@1.0')).id).toBe(release.manifest.id)
    const twin = await makeRelease(home.keys, '1.0')
    expect((await upload(hub.client, twin.file)).status).toBe(201)
    const both = await find('demo@1.0')
    expect([both.status, codeOf(both)]).toEqual([409, 'EB-CONFLICT'])
    expect((await find('demo@9')).status).toBe(404)
    expect(json(await find(twin.manifest.id)).id).toBe(twin.manifest.id)
  })

  it('is served again after a restart, which sweeps what uploads left', async () => {
    await hub.close()
    writeFileSync(join(home.data, 'incoming', 'half.ebr'), 'x')
    const { mkdirSync } = await import('node:fs')
    mkdirSync(join(home.data, 'releases', 'stray-1-aaa'))
    hub = await localHub(home)
    expect(readdirSync(join(home.data, 'incoming'))).toEqual([])
    expect(readdirSync(join(home.data, 'releases'))).not.toContain('stray-1-aaa')
    const served = await ask(hub.client, `/blobs/${release.manifest.id}/rootfs.blob`)
    expect(createHash('sha256').update(served.body).digest('hex')).toBe(release.manifest.blobs[0]?.sha256)
  })
})

describe('the API', () => {
  it('refuses what its schemas do not know, with one form of error', async () => {
    const bodies: [string, unknown][] = [
      ['/v1/devices', {}],
      ['/v1/devices', { id: 'a/b' }],
      ['/v1/devices', { id: '..' }],
      ['/v1/devices', { id: 'x'.repeat(65) }],
      ['/v1/devices', { id: 'x', more: 1 }],
      ['/v1/devices', 'text'],
      ['/v1/devices', null],
      ['/v1/rollouts', { release: 'demo@1.1' }],
      ['/v1/rollouts', { release: 'demo@1.1', devices: [] }],
      ['/v1/rollouts', { release: 'demo@1.1', devices: 'some' }],
      ['/v1/rollouts', { release: 'demo@1.1', devices: 'all', throttle: 1 }],
      ['/v1/rollouts', { release: 7, devices: 'all' }],
    ]
    for (const [path, body] of bodies) {
      const answer = await sendJson(hub.client, path, body)
      expect([path, body, answer.status]).toEqual([path, body, 400])
      expect(json(answer).error).toEqual({
        code: 'EB-MESSAGE',
        what: expect.any(String),
        todo: expect.any(String),
      })
    }
    const poisoned = await ask(hub.client, '/v1/devices', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"id":"x","__proto__":{"renew":true}}',
    })
    expect(poisoned.status).toBe(400)
    const long = await sendJson(hub.client, '/v1/devices', { id: 'x', pad: 'x'.repeat(2_000_000) })
    expect([long.status, codeOf(long)]).toEqual([429, 'EB-LIMIT'])
  })

  it('knows no other path or method', async () => {
    for (const [method, path] of [
      ['GET', '/'],
      ['DELETE', '/v1/devices/dev1'],
      ['GET', '/v1/nothing'],
      ['POST', '/blobs/a/b'],
    ] as const) {
      const answer = await ask(hub.client, path, { method })
      expect([answer.status, codeOf(answer)]).toEqual([404, 'EB-NOT-FOUND'])
    }
    expect((await ask(hub.client, '/', { token: null })).status).toBe(401)
  })

  it('pages long lists', async () => {
    for (const id of ['p1', 'p2', 'p3']) await newDevice(hub.client, id)
    const first = json(await ask(hub.client, '/v1/devices?limit=2'))
    expect(first.devices).toHaveLength(2)
    const rest = json(await ask(hub.client, `/v1/devices?limit=1000&after=${first.next}`))
    expect(rest.next).toBeNull()
    expect(first.devices.length + rest.devices.length).toBe(hub.core.state().devices.size)
    expect((await ask(hub.client, '/v1/devices?limit=0')).status).toBe(400)
  })

  it('shows no token, hash or wrapped key', async () => {
    const { id } = json(
      await upload(hub.client, (await makeRelease(home.keys, '3.0', { devices: ['p1'] })).file),
    )
    expect((await sendJson(hub.client, '/v1/rollouts', { release: id, devices: ['p1'] })).status).toBe(201)
    const device = hub.core.state().devices.get('p1')
    const secrets = [
      device?.tokenSha256 ?? '',
      device?.desired?.release.keys['rootfs'] ?? '',
      hub.client.token,
    ]
    expect(secrets.every((it) => it.length > 20)).toBe(true)
    for (const path of [
      '/v1/devices',
      '/v1/devices/p1',
      '/v1/rollouts/r1',
      '/v1/releases',
      '/v1/hub',
      '/v1/health',
    ]) {
      const { body, status } = await ask(hub.client, path)
      expect(status).toBe(200)
      for (const secret of secrets) expect(body.toString()).not.toContain(secret)
    }
  })
})
