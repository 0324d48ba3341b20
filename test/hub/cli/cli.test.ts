/**
 * The command line of the hub against a real hub: the way of a release to devices, and what can be wrong.
 */
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { connect as tlsConnect } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hubLimits } from '../../../core/limits.ts'
import { MiB } from '../../../core/units.ts'
import type { Desired, Status } from '../../../core/wire/messages.ts'
import { connectDevice, type TestDevice } from '../broker/clients.ts'
import { statusOf } from '../fixtures.ts'
import { newDevice, upload } from '../http-client.ts'
import {
  entry,
  everboot,
  type HubHome,
  type HubProcess,
  hubHome,
  readClient,
  spawnHub,
} from '../hub-process.ts'
import { makeRelease } from '../releases.ts'

let home: HubHome
let hub: HubProcess
const files: Record<string, string> = {}

beforeAll(async () => {
  home = hubHome()
  hub = await spawnHub(home)
  for (const version of ['1.0', '2.0']) {
    const release = await makeRelease(home.keys, version, { devices: ['dev1', 'dev2'] })
    files[version] = join(home.data, '..', `${version}.ebr`)
    writeFileSync(files[version], release.file)
  }
})
afterAll(async () => {
  await hub.stop('SIGKILL')
  home.remove()
})

const run = (...args: string[]) => everboot(args, { EVERBOOT_HUB: home.data })
const identityPath = (id: string): string => join(home.data, '..', `${id}.json`)

/** A device that answers each wish: first that it works on it, then with its final report. */
async function answering(id: string, result: 'ok' | 'failed'): Promise<TestDevice> {
  const identity = JSON.parse(readFileSync(identityPath(id), 'utf8'))
  const device = await connectDevice(
    { ...readClient(home), mqtt: identity.mqtt, ca: identity.ca },
    id,
    identity.token,
  )
  let seq = Date.now()
  const say = (over: Partial<Status>): void => {
    seq += 1
    device.status(statusOf(seq, over)).catch(() => undefined)
  }
  device.mqtt.on('message', (topic, payload) => {
    if (!topic.endsWith('/desired')) return
    const desired = JSON.parse(payload.toString()) as Desired
    const attempt = { seq: desired.seq, release: desired.release.id }
    const progress = { bytesDone: 50, bytesTotal: 100, bytesFetched: 50, bytesRefetched: 0 }
    say({ attempt, state: 'DOWNLOADING', progress })
    const slot = { release: attempt.release, version: '2', ok: true, tries: 8 }
    const evidence = { check: 'service', output: 'connection refused\u001b[2J', console: 'last words' }
    setTimeout(() => {
      if (result === 'ok') say({ report: { ...attempt, result }, slots: { a: slot, b: slot } })
      else say({ report: { ...attempt, result, code: 'EB-HEALTH', what: 'check service failed', evidence } })
    }, 300)
  })
  return device
}

describe('the command line of the hub', () => {
  it('adds devices, each with an identity that only its owner reads', async () => {
    for (const id of ['dev1', 'dev2']) {
      const added = await run('devices', 'add', id, '--out', identityPath(id), '--json')
      expect(added).toMatchObject({ status: 0, err: '' })
      expect(JSON.parse(added.out)).toEqual({ id, out: identityPath(id), renewed: false })
      const { mqtt, url, ca } = readClient(home)
      const identity = JSON.parse(readFileSync(identityPath(id), 'utf8'))
      expect(identity).toEqual({ v: 1, deviceId: id, mqtt, http: url, ca, token: expect.any(String) })
      expect(statSync(identityPath(id)).mode & 0o777).toBe(0o600)
      expect(added.out).not.toContain(identity.token)
    }
  }, 60_000)

  it('refuses to add a device twice or to overwrite an identity', async () => {
    expect(await run('devices', 'add', 'dev1', '--out', identityPath('other'))).toMatchObject({
      status: 3,
      err: expect.stringContaining('EB-CONFLICT: device dev1 exists'),
    })
    expect(await run('devices', 'add', 'dev9', '--out', identityPath('dev1'))).toMatchObject({
      status: 3,
      err: expect.stringContaining('EB-CONFLICT'),
    })
    expect((await run('devices', 'show', 'dev9')).err).toContain('EB-NOT-FOUND')
    expect((await run('devices', 'add', 'a b', '--out', identityPath('ab'))).status).not.toBe(0)
  }, 60_000)

  it('publishes a release, twice without harm', async () => {
    const first = await run('publish', files['2.0'] ?? '')
    expect(first).toMatchObject({
      status: 0,
      out: expect.stringMatching(/^published demo-2\.0-[0-9a-f]{12} .* 2 devices/),
    })
    const again = await run('publish', files['2.0'] ?? '', '--json')
    expect(JSON.parse(again.out)).toMatchObject({
      published: false,
      product: 'demo',
      version: '2.0',
      devicesWithKeys: 2,
    })
    expect((await run('publish', entry)).err).toMatch(/^EB-CONTAINER: /)
    expect((await run('publish', '/nowhere.ebr')).err).toMatch(/^EB-FILE: \/nowhere.ebr/)
  }, 60_000)

  it('says dry what a rollout would do, and changes nothing', async () => {
    const extra = await run('devices', 'add', 'dev3', '--out', identityPath('dev3'))
    expect(extra.status).toBe(0)
    const dry = await run('rollout', 'create', '--release', 'demo@2.0', '--all', '--dry-run')
    expect(dry.status).toBe(0)
    expect(dry.out).toMatch(/dev1 +never-seen/)
    expect(dry.out).toMatch(/dev3 +no-key +no content key of blob rootfs/)
    expect((await run('rollout', 'list')).out).toBe('no rollouts\n')
  }, 60_000)

  it('follows a rollout to its good end', async () => {
    const device = await answering('dev1', 'ok')
    const rollout = await run(
      'rollout',
      'create',
      '--release',
      'demo@2.0',
      '--device',
      'dev1',
      '--wait',
      '--timeout',
      '20',
    )
    expect(rollout.err).toMatch(/dev1 {2}DOWNLOADING 50 %\ndev1 {2}succeeded\n$/)
    expect(rollout).toMatchObject({
      status: 0,
      out: 'rollout r1 ended: 1 of 1 succeeded, 0 failed, 0 superseded\n',
    })
    const list = await run('devices', 'list')
    expect(list.out).toMatch(/dev1 +unknown +IDLE +a +2 +none +r1 succeeded/)
    await device.end()
  }, 60_000)

  it('ends with 6, the code and the evidence when a device fails', async () => {
    const device = await answering('dev2', 'failed')
    const rollout = await run(
      'rollout',
      'create',
      '--release',
      'demo@2.0',
      '--device',
      'dev2',
      '--device',
      'dev3',
      '--wait',
      '--json',
    )
    expect(rollout.status).toBe(6)
    expect(JSON.parse(rollout.out)).toMatchObject({
      id: 'r2',
      state: 'ended',
      counts: { failed: 2, succeeded: 0 },
      outcomes: [
        { device: 'dev2', state: 'failed', code: 'EB-HEALTH', what: 'check service failed' },
        { device: 'dev3', state: 'failed', code: 'EB-WRONG-DEVICE' },
      ],
    })
    const shown = await run('devices', 'show', 'dev2')
    expect(shown.out).toContain('drift    drift')
    expect(shown.out).toContain('check: service')
    expect(shown.out).toContain('connection refused?[2J')
    expect(shown.out).toContain('last words')
    expect((await run('rollout', 'status', 'r2')).out).toMatch(
      /dev2 +failed .* EB-HEALTH +check service failed/,
    )
    await device.end()
  }, 60_000)

  it('ends with 6 and names the devices when the time is up', async () => {
    const late = await run(
      'rollout',
      'create',
      '--release',
      'demo@2.0',
      '--device',
      'dev1',
      '--wait',
      '--timeout',
      '1',
    )
    expect(late.status).toBe(6)
    expect(late.err).toMatch(/EB-DEADLINE: rollout r3: not done: dev1/)
  }, 60_000)

  it('follows a rollout through restarts of the hub, which loses nothing of it', async () => {
    const { url, mqtt } = readClient(home)
    const ports = { http: Number(new URL(url).port), mqtt: Number(new URL(mqtt).port) }
    const waiting = run(
      'rollout',
      'create',
      '--release',
      'demo@2.0',
      '--device',
      'dev1',
      '--wait',
      '--timeout',
      '60',
      '--json',
    )
    await expect
      .poll(async () => (await run('rollout', 'list')).out, { timeout: 15_000 })
      .toMatch(/^r4 {2}running/)
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      await hub.stop(signal)
      await new Promise((resolve) => setTimeout(resolve, 300))
      hub = await spawnHub(home, ports)
    }
    // The device was away all the time; the wish is waiting for it.
    const device = await answering('dev1', 'ok')
    const done = await waiting
    expect([done.status, JSON.parse(done.out).counts.succeeded]).toEqual([0, 1])
    expect((await run('rollout', 'status', 'r3')).out).toMatch(/dev1 +superseded/)
    await device.end()
  }, 90_000)

  it('gives a device a new token, and voids the old one', async () => {
    const out = identityPath('dev1-new')
    const renewed = await run('devices', 'add', 'dev1', '--renew', '--out', out, '--json')
    expect(JSON.parse(renewed.out)).toMatchObject({ renewed: true })
    const [old, fresh] = [identityPath('dev1'), out].map((it) => JSON.parse(readFileSync(it, 'utf8')).token)
    await expect(connectDevice(readClient(home), 'dev1', old)).rejects.toThrow()
    await (await connectDevice(readClient(home), 'dev1', fresh)).end()
  }, 60_000)
})

describe('what can be wrong', () => {
  const broken = (name: string, over: object): string => {
    const path = join(home.data, '..', `${name}.json`)
    writeFileSync(path, JSON.stringify({ ...readClient(home), ...over }))
    return path
  }

  it('is told by code and exit status', async () => {
    const other = hubHome()
    const { startHub } = await import('../../../hub/main.ts')
    const { systemClock, systemEntropy } = await import('../../../hub/adapters/system.ts')
    const config = {
      data: other.data,
      trust: other.trust,
      host: '127.0.0.1',
      mqttPort: 0,
      httpPort: 0,
      insecure: false,
    }
    const stranger = await startHub(config, {
      clock: systemClock,
      entropy: systemEntropy,
      events: { emit: () => undefined },
    })
    const cases: [string, readonly string[], number, RegExp][] = [
      ['no hub there', ['--hub', '/nowhere'], 5, /^EB-FILE: there is no \/nowhere; start a hub/],
      [
        'nobody listens',
        ['--hub', broken('closed', { url: 'https://127.0.0.1:1' })],
        4,
        /^EB-HUB-UNREACHABLE: .*ECONNREFUSED/,
      ],
      ['a CA of another hub', ['--hub', broken('ca', { ca: stranger.client.ca })], 4, /^EB-TLS: /],
      [
        'another hub behind the address',
        ['--hub', broken('url', { url: stranger.client.url })],
        4,
        /^EB-TLS: /,
      ],
      [
        'a server without TLS',
        ['--hub', broken('plain', { url: readClient(home).url.replace('https', 'http') })],
        4,
        /^EB-(HUB-UNREACHABLE|HTTP-STATUS): /,
      ],
      ['a bad token', ['--hub', broken('token', { token: 'wrong' })], 4, /^EB-AUTH: /],
      ['an unknown key in client.json', ['--hub', broken('key', { extra: 1 })], 2, /^EB-CONFIG: /],
    ]
    for (const [what, args, status, line] of cases) {
      const answer = await everboot(['devices', 'list', ...args])
      expect([what, answer.status, answer.err]).toEqual([what, status, expect.stringMatching(line)])
      expect(answer.err.trim().split('\n')).toHaveLength(1)
    }
    await stranger.close()
    other.remove()
  }, 60_000)

  it('names a port that is taken, and leaves the first hub as it is', async () => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    const { port } = taken.address() as { port: number }
    const other = hubHome()
    for (const option of ['--mqtt-port', '--http-port']) {
      const rest = option === '--mqtt-port' ? ['--http-port', '0'] : ['--mqtt-port', '0']
      const answer = await everboot([
        'hub',
        'serve',
        '--quiet',
        '--data',
        other.data,
        '--trust',
        other.trust,
        option,
        String(port),
        ...rest,
      ])
      expect([answer.status, answer.err]).toEqual([
        7,
        expect.stringMatching(new RegExp(`^EB-PORT-IN-USE: .* ${port} `)),
      ])
    }
    await new Promise((resolve) => taken.close(resolve))
    other.remove()
  }, 60_000)

  it('refuses a second hub on the same data', async () => {
    const args = [
      'hub',
      'serve',
      '--quiet',
      '--data',
      home.data,
      '--trust',
      home.trust,
      '--mqtt-port',
      '0',
      '--http-port',
      '0',
    ]
    const before = readFileSync(join(home.data, 'client.json'), 'utf8')
    expect(await everboot(args)).toMatchObject({
      status: 5,
      err: expect.stringMatching(/^EB-DATABASE: another hub uses/),
    })
    expect(readFileSync(join(home.data, 'client.json'), 'utf8')).toBe(before)
    expect((await run('rollout', 'list')).status).toBe(0)
  }, 60_000)

  it('refuses plain ports on anything but loopback, a missing or broken trust file, and bad numbers', async () => {
    const other = hubHome()
    const serve = (...args: string[]) => everboot(['hub', 'serve', '--quiet', '--data', other.data, ...args])
    const trust = ['--trust', other.trust]
    expect((await serve(...trust, '--insecure', '--host', '0.0.0.0')).err).toMatch(/^EB-CONFIG: --insecure/)
    expect((await serve('--trust', '/nowhere')).err).toMatch(/^EB-FILE: trust file/)
    writeFileSync(join(other.data, '..', 'bad.json'), '{}')
    expect((await serve('--trust', join(other.data, '..', 'bad.json'))).err).toMatch(/^EB-KEY: /)
    expect((await serve()).err).toMatch(/^EB-USAGE: --trust is missing/)
    expect((await serve(...trust, '--http-port', '70000')).err).toMatch(/^EB-USAGE: /)
    expect(
      (await serve(...trust, '--host', '192.0.2.1', '--http-port', '0', '--mqtt-port', '0')).err,
    ).toMatch(/^EB-CONFIG: /)
    other.remove()
  }, 60_000)
})

describe('a hub that is told to stop', () => {
  it('ends with 0 within its deadline, though devices are connected and a download stands still', async () => {
    const other = hubHome()
    const own = await spawnHub(other)
    const { hostname, port } = new URL(own.client.url)
    const silent = connect(Number(port), hostname)
    silent.on('error', () => undefined)
    const device = await connectDevice(own.client, 'dev1', await newDevice(own.client, 'dev1'))
    const big = await makeRelease(other.keys, '1.0', { bytes: 16 * MiB })
    expect((await upload(own.client, big.file)).status).toBe(201)
    const download = tlsConnect({ host: hostname, port: Number(port), ca: own.client.ca })
    download.on('error', () => undefined)
    download.write(
      `GET /blobs/${big.manifest.id}/rootfs.blob HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${own.client.token}\r\n\r\n`,
    )
    await new Promise((resolve) => download.once('data', resolve))
    download.pause()
    const started = performance.now()
    expect(await own.stop('SIGTERM')).toEqual([0, null])
    expect(performance.now() - started).toBeLessThan(hubLimits.shutdownMs + 2_000)
    const again = await spawnHub(other)
    expect(await again.stop('SIGINT')).toEqual([0, null])
    await device.end()
    silent.destroy()
    download.destroy()
    other.remove()
  }, 60_000)
})
