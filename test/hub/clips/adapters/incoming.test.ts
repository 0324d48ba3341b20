/**
 * Contents on their way in: what is not as it was named leaves nothing; a full disk is told of before it harms.
 */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hubClipLimits } from '../../../../core/clip-limits.ts'
import { KiB, MiB } from '../../../../core/units.ts'
import { openIncoming } from '../../../../hub/clips/adapters/incoming.ts'
import type { Receiving } from '../../../../hub/clips/content-store.ts'
import { connectDevice } from '../../broker/clients.ts'
import { digestOf, statusOf } from '../../fixtures.ts'
import { ask, json, newDevice } from '../../http-client.ts'
import { type HubHome, hubHome, localHub } from '../../hub-process.ts'
import { putBody } from '../../skills/made-skills.ts'
import { contentOf, failureOf, only } from '../contents.ts'

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'everboot-clips-'))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

describe('what comes in', () => {
  let receiving: Receiving
  beforeEach(async () => {
    receiving = await openIncoming(join(root, 'incoming'))
  })
  const left = () => readdirSync(join(root, 'incoming'))

  it('is kept with its length and hash, for its owner only, and taken away when it is not wanted', async () => {
    const { sha256, bytes } = contentOf(randomBytes(100_000))
    const received = await receiving.receive(only(bytes), sha256, bytes.length)
    expect(readFileSync(received.path).equals(bytes)).toBe(true)
    expect(statSync(received.path).mode & 0o777).toBe(0o600)
    await received.discard()
    expect(left()).toEqual([])
  })

  it.each<[string, (bytes: Buffer) => AsyncIterable<Uint8Array>, RegExp]>([
    [
      'another byte',
      (it) => only(Buffer.concat([it.subarray(1), Buffer.from('x')])),
      /^EB-BLOB: what came has SHA/,
    ],
    ['too few bytes', (it) => only(it.subarray(1)), /^EB-BLOB: .* ended after 999 of 1000 bytes/],
    ['too many bytes', (it) => only(it, Buffer.from('x')), /^EB-BLOB: the clip is longer than 1000 bytes/],
    ['nothing', () => only(), /^EB-BLOB: .* ended after 0 of/],
    [
      'an end in the middle',
      (it) => breaking(it.subarray(0, 10)),
      /^EB-BLOB: the upload ended after 10 of 1000/,
    ],
  ])('with %s is refused and leaves nothing', async (_what, made, message) => {
    const { sha256, bytes } = contentOf(randomBytes(1000))
    expect(await failureOf(receiving.receive(made(bytes), sha256, 1000))).toMatch(message)
    expect(left()).toEqual([])
  })

  it('is refused when all that comes at once would not fit', async () => {
    const { bavail, bsize } = statfsSync(root)
    const almost = Math.floor((bavail * bsize) / 2)
    const careful = await openIncoming(join(root, 'careful'), almost)
    const hold = Promise.withResolvers<void>()
    async function* waiting(): AsyncGenerator<Uint8Array, void, void> {
      await hold.promise
      yield Buffer.from('x')
    }
    const first = failureOf(careful.receive(waiting(), digestOf('1'), Math.floor(almost * 0.75)))
    const second = await failureOf(careful.receive(only(), digestOf('2'), Math.floor(almost * 0.75)))
    expect(second).toMatch(/^EB-DISK-FULL: /)
    hold.resolve()
    expect(await first).toMatch(/^EB-BLOB: /)
  })

  it('is swept when the hub starts', async () => {
    writeFileSync(join(root, 'incoming', 'half'), 'x')
    await openIncoming(join(root, 'incoming'))
    expect(left()).toEqual([])
  })
})

const noMounts = process.getuid?.() === 0 ? null : 'mounting a small disk needs root'
if (noMounts !== null) console.log(`skipped: ${noMounts}`)

describe.skipIf(noMounts !== null)('a full disk', () => {
  beforeEach(() => {
    mkdirSync(join(root, 'disk'))
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'everboot-test', join(root, 'disk')])
  })
  afterEach(() => execFileSync('umount', ['-l', join(root, 'disk')]))

  it('refuses what does not fit, before or while it comes, by its code, and leaves nothing', async () => {
    const receiving = await openIncoming(join(root, 'disk', 'incoming'), 0)
    const big = contentOf(randomBytes(2 * MiB))
    expect(await failureOf(receiving.receive(only(big.bytes), big.sha256, 2 * MiB))).toMatch(
      /^EB-DISK-FULL: a clip of 2.0 MiB does not fit/,
    )
    // What fills the disk meanwhile is somebody else's.
    const racing = contentOf(randomBytes(900 * KiB))
    async function* filling(): AsyncGenerator<Uint8Array, void, void> {
      writeFileSync(join(root, 'disk', 'ballast'), Buffer.alloc(512 * KiB))
      yield racing.bytes
    }
    expect(await failureOf(receiving.receive(filling(), racing.sha256, 900 * KiB))).toMatch(
      /^EB-DISK-FULL: .* the disk of the hub is full/,
    )
    expect(readdirSync(join(root, 'disk', 'incoming'))).toEqual([])
  })
})

describe.skipIf(noMounts !== null)('a disk that fills', () => {
  let home: HubHome
  beforeAll(() => {
    home = hubHome()
    mkdirSync(home.data)
    const size = `size=${hubClipLimits.reserveBytes + 8 * MiB},mode=0700`
    execFileSync('mount', ['-t', 'tmpfs', '-o', size, 'everboot-test', home.data])
  })
  afterAll(() => {
    execFileSync('umount', ['-l', home.data])
    home.remove()
  })

  it('takes clips until what the database needs is all that is left, and the hub goes on', async () => {
    const hub = await localHub(home)
    const token = await newDevice(hub.client, 'dev1')
    const codes: string[] = []
    for (let at = 0; at < 10 && codes.at(-1) !== '507 EB-DISK-FULL'; at += 1) {
      const { sha256, bytes } = contentOf(randomBytes(MiB))
      const answer = await putBody(hub.client, `/clips/${sha256}?clip=c${at}`, bytes, token)
      codes.push(`${answer.status} ${json(answer).error?.code ?? 'stored'}`)
    }
    expect(codes.at(-1)).toBe('507 EB-DISK-FULL')
    expect(codes.filter((it) => it === '201 stored').length).toBeGreaterThan(3)
    expect(readdirSync(join(home.data, 'clips', 'incoming'))).toEqual([])
    const device = await connectDevice(hub.client, 'dev1', token)
    await device.status(statusOf(1))
    await device.next('eb/1/d/dev1/ack')
    await device.end()
    const gone = await ask(hub.client, '/clips/own/c0', { method: 'DELETE', token })
    expect(gone.status).toBe(200)
    const { sha256, bytes } = contentOf(randomBytes(MiB / 2))
    const retry = () => putBody(hub.client, `/clips/${sha256}?clip=again`, bytes, token)
    await expect.poll(async () => (await retry()).status).toBeLessThan(300)
    await hub.close()
  })
})

async function* breaking(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  yield bytes
  throw new Error('gone')
}
