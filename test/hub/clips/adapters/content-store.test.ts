/**
 * What every store of contents promises, for files and for a bucket; then files that are not as they should be.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { KiB, MiB } from '../../../../core/units.ts'
import { openBucketStore } from '../../../../hub/clips/adapters/bucket-store.ts'
import { openDirectoryStore } from '../../../../hub/clips/adapters/directory.ts'
import { openIncoming } from '../../../../hub/clips/adapters/incoming.ts'
import type { ContentStore, Receiving } from '../../../../hub/clips/content-store.ts'
import { digestOf } from '../../fixtures.ts'
import { bytesFrom, contentOf, failureOf, only } from '../contents.ts'
import { bucketAt, type S3Server, startS3 } from '../s3-server.ts'

let root: string
let s3: S3Server
beforeAll(async () => {
  s3 = await startS3('clips', 'eu-west-3')
})
afterAll(() => s3.close())
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'everboot-clips-'))
  s3.objects.clear()
  s3.log.splice(0)
  s3.trouble = null
})
afterEach(() => {
  rmSync(root, { recursive: true, force: true })
  expect(s3.refused).toEqual([])
})

const stores: readonly (readonly [string, () => Promise<ContentStore>])[] = [
  ['files', () => openDirectoryStore(join(root, 'clips'))],
  ['a bucket', async () => openBucketStore(bucketAt(s3))],
]

describe.each(stores)('contents in %s', (_name, openStore) => {
  let store: ContentStore
  let receiving: Receiving
  beforeEach(async () => {
    receiving = await openIncoming(join(root, 'clips', 'incoming'))
    store = await openStore()
  })
  afterEach(() => store.close())

  const put = async (bytes: Buffer) => {
    const content = contentOf(bytes)
    const received = await receiving.receive(only(bytes), content.sha256, bytes.length)
    await store.put(received)
    await received.discard()
    return content
  }

  it('are there once put, whole and in any range, and nothing is left where they came in', async () => {
    for (const size of [1, 1000, 64 * KiB, 700 * KiB + 1]) {
      const content = await put(randomBytes(size))
      expect(await store.size(content.sha256)).toBe(size)
      expect((await bytesFrom(store, content))?.equals(content.bytes)).toBe(true)
      for (const [start, end] of [
        [0, 1],
        [size - 1, size],
        [Math.floor(size / 3), Math.ceil(size / 2)],
      ] as const) {
        const part = await bytesFrom(store, content, start, end)
        expect(part?.equals(content.bytes.subarray(start, end))).toBe(true)
      }
    }
    expect(readdirSync(join(root, 'clips', 'incoming'))).toEqual([])
  })

  it('may be put again and removed twice; what is not there is null', async () => {
    const content = await put(randomBytes(5000))
    await put(content.bytes)
    expect((await bytesFrom(store, content))?.equals(content.bytes)).toBe(true)
    for (let round = 0; round < 2; round += 1) await store.remove(content.sha256)
    expect([await store.size(content.sha256), await bytesFrom(store, content)]).toEqual([null, null])
    await store.remove(digestOf('7'))
  })

  it('may be put by two at once', async () => {
    const bytes = randomBytes(300 * KiB)
    await Promise.all([put(bytes), put(bytes), put(bytes)])
    expect((await bytesFrom(store, contentOf(bytes)))?.equals(bytes)).toBe(true)
  })

  it('can be read by many, each at its own pace, and given up in the middle', async () => {
    const content = await put(randomBytes(MiB))
    const slow = await store.open(content.sha256, MiB, 0, MiB)
    await slow?.read()
    const all = await Promise.all(Array.from({ length: 20 }, () => bytesFrom(store, content)))
    expect(all.every((it) => it?.equals(content.bytes))).toBe(true)
    await slow?.close()
  })
})

describe('files', () => {
  it('lie under their hash, with the first two digits as a directory', async () => {
    const receiving = await openIncoming(join(root, 'clips', 'incoming'))
    const store = await openDirectoryStore(join(root, 'clips'))
    const { sha256, bytes } = contentOf(randomBytes(10))
    await store.put(await receiving.receive(only(bytes), sha256, 10))
    expect(readdirSync(join(root, 'clips', sha256.slice(0, 2)))).toEqual([sha256])
  })

  it('of another length than they should have count as missing; one that ends while it is read fails', async () => {
    const receiving = await openIncoming(join(root, 'clips', 'incoming'))
    const store = await openDirectoryStore(join(root, 'clips'))
    const { sha256, bytes } = contentOf(randomBytes(MiB))
    await store.put(await receiving.receive(only(bytes), sha256, MiB))
    const stream = await store.open(sha256, MiB, 0, MiB)
    await stream?.read()
    writeFileSync(join(root, 'clips', sha256.slice(0, 2), sha256), 'short')
    expect(await failureOf(stream?.read() ?? Promise.resolve())).toMatch(/^EB-FILE: .* ends at byte/)
    await stream?.close()
    expect(await store.open(sha256, MiB, 0, MiB)).toBeNull()
    expect(await store.size(sha256)).toBe(5)
  })
})
