/** What is put on the disk for the first boot, progress in words, and the sample of an image that passes by. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { EverbootError, faultText } from '../../../core/errors.ts'
import { flashLimits } from '../../../core/limits.ts'
import { type FirstBootOptions, firstBootFrom } from '../../../images/flash/adapters/first-boot-input.ts'
import { checkFirstBoot, encodeFirstBoot, parseWifi } from '../../../images/flash/first-boot.ts'
import { barLine, plainLine, timeText } from '../../../images/flash/flash-line.ts'
import { sectorSample } from '../../../images/flash/sector-sample.ts'

const identity = {
  v: 1,
  deviceId: 'board-1',
  mqtt: 'mqtts://hub:8883',
  http: 'https://hub:8443',
  ca: 'PEM',
  token: 'secret-token',
}
const sshKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIxx me@desk'

let room = ''
beforeEach(() => {
  room = mkdtempSync(join(tmpdir(), 'everboot-first-boot-'))
})
afterEach(() => rmSync(room, { recursive: true }))

function file(name: string, content: unknown): string {
  writeFileSync(join(room, name), typeof content === 'string' ? content : JSON.stringify(content))
  return join(room, name)
}

const none: FirstBootOptions = { file: null, hubUrl: null, identity: null, wifi: null, sshKeys: [] }

/** The document, or the whole message of the refusal. */
async function outcome(
  options: Partial<FirstBootOptions>,
  environment: Record<string, string> = {},
): Promise<unknown> {
  try {
    return await firstBootFrom({ ...none, ...options }, environment)
  } catch (caught) {
    if (!(caught instanceof EverbootError)) throw caught
    return faultText(caught.fault)
  }
}

describe('the first-boot options', () => {
  it('are nothing when none is given', async () => {
    expect(await outcome({})).toBe(null)
  })

  it('become one document', async () => {
    const options = {
      hubUrl: 'https://hub:8443/',
      identity: file('device.json', identity),
      wifi: 'a:b:env:PASSWORD',
      sshKeys: [file('id.pub', `# mine\n${sshKey}\n\n`)],
    }
    const found = await outcome(options, { PASSWORD: 'open sesame' })
    expect(found).toEqual({
      v: 1,
      hub: 'https://hub:8443',
      identity,
      wifi: { ssid: 'a:b', password: 'open sesame' },
      sshAuthorizedKeys: [sshKey],
    })
    expect(JSON.parse(encodeFirstBoot(checkFirstBoot(found, 'x')))).toEqual(found)
  })

  it('are added to a file', async () => {
    const path = file('first.json', { v: 1, hub: 'http://old:1', wifi: { ssid: 'home' } })
    const wifi = `home:file:${file('password', 'from a file\n')}`
    expect(await outcome({ file: path, wifi })).toEqual({
      v: 1,
      hub: 'http://old:1',
      wifi: { ssid: 'home', password: 'from a file' },
    })
  })

  it.each<[string, () => Partial<FirstBootOptions>, string]>([
    [
      'an unknown key',
      () => ({ file: file('f', { v: 1, hub: 'http://h', more: 1 }) }),
      'more: unknown or missing',
    ],
    ['nothing', () => ({ file: file('f', { v: 1 }) }), 'nothing is in it'],
    ['no JSON', () => ({ file: file('f', '{') }), 'is not JSON'],
    ['a missing file', () => ({ file: join(room, 'gone') }), 'EB-FILE'],
    ['a huge file', () => ({ file: file('f', 'x'.repeat(70_000)) }), 'longer than'],
    ['a hub with a path', () => ({ hubUrl: 'https://hub/x/y' }), 'hub: not an origin'],
    ['another hub', () => ({ hubUrl: 'https://b', identity: file('d', identity) }), 'another one than that'],
    [
      'a private key',
      () => ({ sshKeys: [file('id', '-----BEGIN OPENSSH PRIVATE KEY-----')] }),
      'private key',
    ],
    ['a key with options', () => ({ sshKeys: [file('id', `command="x" ${sshKey}`)] }), 'not a public key'],
    ['too many keys', () => ({ sshKeys: [file('id', `${sshKey}\n`.repeat(17))] }), 'more than 16'],
    ['a variable that is not set', () => ({ wifi: 'home:env:NOT_SET' }), 'NOT_SET is not set'],
  ])('%s is refused', async (_, options, message) => {
    expect(await outcome(options())).toContain(message)
  })

  it('show no secret in a message', async () => {
    const bad = { ...identity, token: 7, wrappingKey: 'secret-key' }
    const found = [
      await outcome({ wifi: 'home:secret-password' }),
      await outcome({ wifi: 'home:env:P' }, { P: 'secret' }),
      await outcome({ identity: file('d', bad) }),
      await outcome({ identity: file('e', { ...identity, wrappingKey: 'secret-key' }) }),
      await outcome({ file: file('f', '{"token":"secret-token"') }),
    ]
    for (const message of found) expect(message).toMatch(/^EB-(?!.*secret)/)
  })

  it('name the network as it is, whatever is in it', () => {
    const ssids = fc.string({ minLength: 1 })
    fc.assert(
      fc.property(ssids, (ssid) => {
        expect(parseWifi(`${ssid}:env:NAME`)).toEqual({ ssid, from: 'env', name: 'NAME' })
        expect(parseWifi(`${ssid}:open`)).toEqual({ ssid, from: 'open', name: '' })
      }),
    )
  })
})

describe('progress', () => {
  const half = { name: 'reading back', done: 2 ** 30, total: 2 ** 31, elapsedMs: 10_000 }

  it('says share, amount, rate and time left', () => {
    expect(plainLine(half)).toBe('reading back: 50 %  1.00 GiB of 2.00 GiB  102.4 MiB/s  0:10 left')
    expect(plainLine({ ...half, done: 2 ** 31 })).toBe('reading back: 100 %  2.00 GiB of 2.00 GiB')
    expect(plainLine({ ...half, total: 0 })).toBe('reading back')
  })

  it('is never as wide as the terminal', () => {
    fc.assert(
      fc.property(
        fc.nat(2 ** 41),
        fc.nat(2 ** 41),
        fc.nat(9e6),
        fc.integer({ min: 2, max: 200 }),
        (done, total, elapsedMs, columns) => {
          expect(barLine({ name: 'reading back', done, total, elapsedMs }, columns).length).toBeLessThan(
            columns,
          )
        },
      ),
    )
    expect(barLine(half, 80)).toContain('[#')
  })

  it('tells times as clocks do', () => {
    expect([0, 7000, 61_000, 3_723_000].map(timeText)).toEqual(['0:00', '0:07', '1:01', '1:02:03'])
  })
})

describe('the sample of an image', () => {
  it('keeps the beginning and every sector with a boot signature, whatever the steps', async () => {
    const bytes = Buffer.alloc(3 * 2 ** 20 + 100, 1)
    const places = [0, 512, 2 ** 20 + 512 * 9, 2 ** 21, 3 * 2 ** 20 - 512]
    for (const at of places) bytes.set([0x55, 0xaa], at + 510)
    for (const step of [1, 100, 511, 512, 513, 65_536, bytes.length]) {
      const sample = sectorSample()
      for (let at = 0; at < bytes.length; at += step) sample.add(bytes.subarray(at, at + step))
      const source = sample.source('image')
      expect(source?.bytes).toBe(bytes.length)
      for (const at of places) {
        const sector = new Uint8Array(512)
        expect(await source?.read(at, sector)).toBe(512)
        expect(Buffer.compare(sector, bytes.subarray(at, at + 512))).toBe(0)
      }
      const unknown = new Uint8Array(512).fill(9)
      await source?.read(2 ** 21 + 512, unknown)
      expect(unknown.every((it) => it === 0)).toBe(true)
    }
  })

  it('says nothing of an image with too many of them', () => {
    const sample = sectorSample()
    const sector = Buffer.alloc(512)
    sector.set([0x55, 0xaa], 510)
    for (let count = 0; count <= flashLimits.sampleSectorsMax; count += 1) sample.add(sector)
    expect(sample.source('image')).toBe(null)
  })
})
