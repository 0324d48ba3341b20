/**
 * An `.ebr` on the device: whole, broken byte by byte, cut while it is used.
 */
import { createHash, randomBytes } from 'node:crypto'
import { readdirSync, readlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openReleaseFile } from '../../../device/adapters/release-file.ts'
import type { AgentSettings } from '../../../device/settings.ts'
import { memorySource } from '../../../images/release/byte-source.ts'
import { writeContainer } from '../../../images/release/container.ts'
import { encodeWraps } from '../../../images/release/wraps.ts'
import { unwrapKey } from '../../../keys/key-wrap.ts'
import { verifyEd25519 } from '../../../keys/verify-node.ts'
import { type MadeRelease, type Publisher, publisher } from '../../../proof/publisher.ts'
import { codeOf, type Workshop, workshop } from './real.ts'

let shop: Workshop
let make: Publisher
let release: MadeRelease
let settings: AgentSettings
beforeAll(async () => {
  make = publisher()
  release = await make.make('2', 'healthy', { pieces: 6, plain: true })
  settings = {
    deviceId: 'board-1',
    product: 'demo',
    hubUrl: 'https://hub',
    trust: make.trust,
    verify: verifyEd25519,
    wrappingKey: randomBytes(32),
    partitions: ['rootfs'],
    health: { checks: [], deadlineMs: 1, networkDeadlineMs: 1 },
    rebootDelayMs: 1,
  }
})
beforeEach(() => {
  shop = workshop()
})
afterEach(() => shop.close())

const part = (name: string) => memorySource(release.files.get(name) ?? new Uint8Array(0), name)

/** The release as one file, with keys for these devices. */
async function container(devices: ReadonlyMap<string, Uint8Array> | null): Promise<Buffer> {
  const parts: Uint8Array[] = []
  const wraps =
    devices === null
      ? null
      : encodeWraps(release.manifest.id, release.contentKeys, devices, make.releaseSigner)
  await writeContainer(
    {
      manifest: part('manifest.json'),
      indexes: [part('rootfs.index')],
      blobs: [part('rootfs.blob')],
      wraps: wraps === null ? null : memorySource(wraps, 'wraps'),
    },
    { write: async (bytes) => void parts.push(new Uint8Array(bytes)) },
  )
  return Buffer.concat(parts)
}

async function written(bytes: Uint8Array): Promise<string> {
  const path = shop.path('release.ebr')
  writeFileSync(path, bytes)
  return path
}

const mine = () => new Map([['board-1', settings.wrappingKey]])
const isOpen = (path: string): boolean =>
  readdirSync('/proc/self/fd').some((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === path
    } catch {
      return false
    }
  })

async function read(
  url: string,
  from: Awaited<ReturnType<typeof openReleaseFile>>,
  start: number,
  endExclusive: number,
) {
  const response = await from.fetch.get({ url, range: { start, endExclusive } })
  const parts: Uint8Array[] = []
  for (;;) {
    const bytes = await response.read()
    if (bytes === null) return { response, bytes: Buffer.concat(parts) }
    parts.push(bytes)
  }
}

describe('a release file', () => {
  it('serves its parts by the paths and ranges of a hub, with the key of this device', async () => {
    const file = await openReleaseFile(await written(await container(mine())), settings)
    const { assigned } = file
    expect(assigned.id).toBe(release.manifest.id)
    expect(assigned.manifest.sha256).toBe(createHash('sha256').update(release.manifestBytes).digest('hex'))
    const key = unwrapKey(settings.wrappingKey, Buffer.from(assigned.keys['rootfs'] ?? '', 'base64'))
    expect(key.ok && Buffer.compare(key.value, release.contentKeys.get('rootfs') ?? new Uint8Array(0))).toBe(
      0,
    )
    const blob = release.files.get('rootfs.blob') ?? new Uint8Array(0)
    const url = `/blobs/${release.manifest.id}/rootfs.blob`
    const { response, bytes } = await read(url, file, 5, blob.length)
    expect(response).toMatchObject({
      status: 206,
      contentRange: { start: 5, endExclusive: blob.length, size: blob.length },
    })
    expect(Buffer.compare(bytes, blob.subarray(5))).toBe(0)
    expect((await file.fetch.get({ url: '/blobs/other/manifest.json' })).status).toBe(404)
    await file.close()
  })

  it('is open until it is closed, and not left open when it is refused', async () => {
    const path = await written(await container(mine()))
    const file = await openReleaseFile(path, settings)
    expect(isOpen(path)).toBe(true)
    await file.close()
    expect(isOpen(path)).toBe(false)
    writeFileSync(path, 'no release')
    expect(await codeOf(() => openReleaseFile(path, settings))).toBe('EB-CONTAINER')
    expect(isOpen(path)).toBe(false)
  })

  it('without a key for this device is refused', async () => {
    const others = new Map([['board-2', randomBytes(32)]])
    expect(await codeOf(async () => openReleaseFile(await written(await container(others)), settings))).toBe(
      'EB-WRONG-DEVICE',
    )
    expect(await codeOf(async () => openReleaseFile(await written(await container(null)), settings))).toBe(
      'EB-WRONG-DEVICE',
    )
  })

  it('that is not there, a directory or of another publisher is refused', async () => {
    expect(await codeOf(() => openReleaseFile(shop.path('none'), settings))).toBe('EB-FILE')
    expect(await codeOf(() => openReleaseFile(shop.directory, settings))).toBe('EB-FILE')
    const path = await written(await container(mine()))
    const stranger = { ...settings, trust: publisher(2).trust }
    expect(await codeOf(() => openReleaseFile(path, stranger))).toBe('EB-UNKNOWN-KEY')
  })

  it('with any byte of header, manifest or wraps changed, truncated or extended is refused as it is opened', async () => {
    const whole = await container(mine())
    const blob = release.files.get('rootfs.blob')?.length ?? 0
    const index = release.files.get('rootfs.index')?.length ?? 0
    const manifestEnd = 16 + 4 * 16 + release.manifestBytes.length
    const wrapsStart = manifestEnd + index + blob
    let opened = 0
    for (let at = 0; at < whole.length; at += 1) {
      const checkedLater = at >= manifestEnd && at < wrapsStart
      if (checkedLater) continue
      const changed = Buffer.from(whole)
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8))
      const path = await written(changed)
      if ((await codeOf(() => openReleaseFile(path, settings))) === 'done') opened += 1
    }
    expect(opened).toBe(0)
    for (const cut of [0, 1, 15, 16, 80, manifestEnd - 1, whole.length - 1]) {
      const path = await written(whole.subarray(0, cut))
      expect(await codeOf(() => openReleaseFile(path, settings)), `${cut} bytes`).toBe('EB-CONTAINER')
    }
    const longer = await written(Buffer.concat([whole, Buffer.alloc(1)]))
    expect(await codeOf(() => openReleaseFile(longer, settings))).toBe('EB-CONTAINER')
  })

  it('that is cut while it is read fails with a code that is not of the network', async () => {
    const path = await written(await container(mine()))
    const file = await openReleaseFile(path, settings)
    truncateSync(path, 100)
    const url = `/blobs/${release.manifest.id}/rootfs.blob`
    expect(['EB-CONTAINER', 'EB-FILE']).toContain(await codeOf(() => read(url, file, 0, 10)))
    await file.close()
  })
})
