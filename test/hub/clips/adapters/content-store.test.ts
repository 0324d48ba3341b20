/**
 * What every store of contents promises, for files and for a bucket; then what can go wrong with each.
 */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { EverbootError, orThrow } from '../../../../core/errors.ts'
import { KiB, MiB } from '../../../../core/units.ts'
import { type BucketStore, openBucketStore } from '../../../../hub/clips/adapters/bucket-store.ts'
import { openDirectoryStore } from '../../../../hub/clips/adapters/directory.ts'
import { openIncoming } from '../../../../hub/clips/adapters/incoming.ts'
import { type Bucket, bucketOf } from '../../../../hub/clips/bucket.ts'
import type { ContentStore, Receiving } from '../../../../hub/clips/content-store.ts'
import { digestOf } from '../../fixtures.ts'
import { contentOf, only } from '../contents.ts'
import { type S3Server, startS3, type Trouble } from '../s3-server.ts'

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

const environment = (server: S3Server) => ({
  AWS_ACCESS_KEY_ID: server.keys.accessKeyId,
  AWS_SECRET_ACCESS_KEY: server.keys.secretAccessKey,
  AWS_REGION: 'eu-west-3',
  AWS_SESSION_TOKEN: server.keys.sessionToken,
})
const bucketAt = (server: S3Server, location = 's3://clips/hub-1/a', over = {}): Bucket =>
  orThrow(bucketOf(location, server.url, { ...environment(server), ...over }))

/** @returns the code and text of the failure, or what there was instead */
async function failureOf(work: Promise<unknown>): Promise<string> {
  try {
    return `no failure: ${JSON.stringify(await work)}`
  } catch (caught) {
    return caught instanceof EverbootError ? caught.message : String(caught)
  }
}

async function bytesFrom(
  store: ContentStore,
  content: { readonly sha256: ReturnType<typeof digestOf>; readonly bytes: Buffer },
  start = 0,
  end = content.bytes.length,
): Promise<Buffer | null> {
  const stream = await store.open(content.sha256, content.bytes.length, start, end)
  if (stream === null) return null
  const parts: Uint8Array[] = []
  for (let part = await stream.read(); part !== null; part = await stream.read()) parts.push(part)
  await stream.close()
  return Buffer.concat(parts)
}

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
    const receiving = await openIncoming(join(root, 'disk', 'incoming'))
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

describe('a bucket', () => {
  let store: BucketStore
  let receiving: Receiving
  beforeEach(async () => {
    receiving = await openIncoming(join(root, 'incoming'))
    store = openBucketStore(bucketAt(s3))
  })
  afterEach(() => store.close())
  const { sha256, bytes } = contentOf(randomBytes(200_000))
  const put = async () => store.put(await receiving.receive(only(bytes), sha256, bytes.length))
  const read = (start = 0, end = bytes.length) => bytesFrom(store, { sha256, bytes }, start, end)

  it('has each content below the prefix, put by one request with length and hash', async () => {
    await put()
    expect([...s3.objects.keys()]).toEqual([`hub-1/a/${sha256}`])
    expect(s3.log).toEqual([`PUT hub-1/a/${sha256}`])
    await read(10, 20)
    expect(s3.log.slice(1)).toEqual([`GET hub-1/a/${sha256}`])
  })

  it('is asked with a session token when there is one', async () => {
    const other = await startS3('clips', 'eu-west-3', 0, 'token+of/session=')
    const tokened = openBucketStore(bucketAt(other))
    await tokened.put(await receiving.receive(only(bytes), sha256, bytes.length))
    expect([other.objects.size, other.refused]).toEqual([1, []])
    tokened.close()
    await other.close()
  })

  it('that refuses names its reason, and the message shows no key', async () => {
    const wrong = openBucketStore(bucketAt(s3, undefined, { AWS_SECRET_ACCESS_KEY: 'another-secret' }))
    const failure = await failureOf(wrong.check())
    expect(failure).toMatch(
      /^EB-BUCKET: PUT everboot-hub at http:.*: status 403, SignatureDoesNotMatch; check/,
    )
    expect(failure).not.toContain('another-secret')
    expect(await failureOf(wrong.size(sha256))).toMatch(/^EB-BUCKET: HEAD .*: status 403;/)
    expect(s3.refused.splice(0)).toHaveLength(2)
    wrong.close()
    await store.check()
    expect(s3.objects.has('hub-1/a/everboot-hub')).toBe(true)
  })

  it('that is not there is not taken for one without contents', async () => {
    const gone = openBucketStore(bucketAt(s3, 's3://other'))
    expect(await failureOf(bytesFrom(gone, { sha256, bytes }))).toMatch(
      /^EB-BUCKET: there is no .* in bucket other at .*, nor such a bucket/,
    )
    for (const work of [gone.check(), gone.remove(sha256)]) {
      expect(await failureOf(work)).toMatch(/^EB-BUCKET: .*NoSuchBucket/)
    }
    gone.close()
  })

  it('that does not answer, or nobody at its address, is EB-BUCKET', async () => {
    const former = await startS3('clips', 'eu-west-3')
    await former.close()
    const nobody = openBucketStore({ ...bucketAt(s3), endpoint: former.url })
    expect(await failureOf(nobody.size(sha256))).toMatch(/^EB-BUCKET: HEAD .*: ECONNREFUSED/)
    nobody.close()
    s3.trouble = always((request) => request.socket.destroy())
    expect(await failureOf(store.size(sha256))).toMatch(/^EB-BUCKET: HEAD .*: ECONNRESET/)
  })

  it('that is busy is asked again, a few times; one that refuses is not', async () => {
    await put()
    let busy = 2
    s3.trouble = (_request, response) => {
      busy -= 1
      if (busy < 0) return false
      response.writeHead(503).end()
      return true
    }
    expect((await read())?.equals(bytes)).toBe(true)
    busy = 99
    s3.log.splice(0)
    expect(await failureOf(read())).toMatch(/^EB-BUCKET: .*: status 503/)
    expect(s3.log).toHaveLength(3)
    s3.log.splice(0)
    s3.trouble = always((_, response) => response.writeHead(307, { location: '/elsewhere' }).end())
    expect(await failureOf(read())).toMatch(/^EB-BUCKET: .*: status 307/)
    expect(s3.log).toHaveLength(1)
  })

  it('that answers a range with the whole, with another range, or with other lengths is not believed', async () => {
    await put()
    const answers: [number, Record<string, string | number>][] = [
      [200, { 'content-length': bytes.length }],
      [206, { 'content-length': 10, 'content-range': `bytes 11-20/${bytes.length}` }],
      [206, { 'content-length': 10, 'content-range': `bytes 10-19/${bytes.length + 1}` }],
      [206, { 'content-length': 9, 'content-range': `bytes 10-19/${bytes.length}` }],
      [206, { 'content-length': 10 }],
      [206, { 'content-range': `bytes 10-19/${bytes.length}` }],
    ]
    for (const [status, headers] of answers) {
      s3.trouble = always((_, response) => {
        response.writeHead(status, headers).end(bytes.subarray(10, 20))
      })
      expect(await failureOf(read(10, 20))).toMatch(/^EB-BUCKET: /)
    }
    s3.trouble = (_request, response) => {
      response.writeHead(200, { 'content-length': 20 }).end(bytes.subarray(0, 20))
      return true
    }
    expect(await failureOf(read())).toMatch(/^EB-BUCKET: .*20 bytes, range none; 200000 bytes/)
  })

  it('that breaks off in the middle fails the read, never shortens it', async () => {
    await put()
    s3.trouble = (request, response) => {
      response.writeHead(200, { 'content-length': bytes.length }).write(bytes.subarray(0, 1000))
      setTimeout(() => request.socket.destroy(), 20)
      return true
    }
    expect(await failureOf(read())).toMatch(/^EB-BUCKET: .* broke off after 1000 of 200000 bytes/)
  })

  it('that says what is not HTTP fails, and closing ends what is under way', async () => {
    s3.trouble = always((request) => request.socket.end('nonsense\r\n\r\n'))
    expect(await failureOf(store.size(sha256))).toMatch(/^EB-BUCKET: .*HPE_/)
    s3.trouble = () => true
    const waiting = failureOf(store.size(sha256))
    await expect.poll(() => s3.log.length).toBeGreaterThan(1)
    store.close()
    expect(await waiting).toMatch(/^EB-BUCKET: /)
  })

  it('is waited for only so long: for an answer, for what follows it, and while it takes bytes', async () => {
    await put()
    const hasty = openBucketStore(bucketAt(s3), 150)
    s3.trouble = () => true
    expect(await failureOf(hasty.size(sha256))).toMatch(/^EB-BUCKET: HEAD .*: no answer in 0.15 s/)
    s3.trouble = always((_, response) => {
      response.writeHead(200, { 'content-length': bytes.length }).write(bytes.subarray(0, 1000))
    })
    expect(await failureOf(bytesFrom(hasty, { sha256, bytes }))).toMatch(/nothing came for 0.15 s/)
    s3.trouble = always(
      (_, response) => void response.writeHead(500, { 'content-length': 100 }).write('<Code>'),
    )
    expect(await failureOf(bytesFrom(hasty, { sha256, bytes }))).toMatch(/^EB-BUCKET: .*: status 500/)
    const big = contentOf(randomBytes(16 * MiB))
    s3.trouble = always((request) => request.pause())
    const received = await receiving.receive(only(big.bytes), big.sha256, big.bytes.length)
    expect(await failureOf(hasty.put(received))).toMatch(/^EB-BUCKET: PUT .*: no answer in 0.15 s/)
    hasty.close()
  })

  it('that closes an idle connection is asked again on another', async () => {
    await put()
    let first = true
    s3.trouble = (request) => {
      if (!first) return false
      first = false
      request.socket.destroy()
      return true
    }
    expect(await store.size(sha256)).toBe(bytes.length)
  })
})

describe('the place of a bucket', () => {
  const keys = { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'hidden-key' }
  const of = (location: string, endpoint: string | null = null, env: Record<string, string> = keys) => {
    const it = bucketOf(location, endpoint, env)
    return it.ok ? it.value : it.error.code
  }

  it('is read from location, endpoint and environment', () => {
    expect(of('s3://my.bucket/a/b-c', 'http://localhost:9000', { ...keys, AWS_REGION: 'eu-west-3' })).toEqual(
      {
        name: 'my.bucket',
        prefix: 'a/b-c/',
        endpoint: 'http://localhost:9000',
        region: 'eu-west-3',
        accessKeyId: 'id',
        secretAccessKey: 'hidden-key',
        sessionToken: null,
      },
    )
    expect(of('s3://bucket')).toMatchObject({ prefix: '', endpoint: 'https://s3.us-east-1.amazonaws.com' })
    expect(of('s3://bucket/')).toMatchObject({ prefix: '' })
    expect(of('s3://bucket/a/', 'https://host/')).toMatchObject({ prefix: 'a/', endpoint: 'https://host' })
  })

  it.each([
    'bucket',
    's3:/bucket',
    's3://',
    's3://Bucket',
    's3://b',
    's3://bucket//a',
    's3://bucket/../a',
    's3://bucket/a/.',
    's3://bucket/a b',
    's3://bucket/a?x',
    `s3://bucket/${'a/'.repeat(9)}`,
  ])('%s is refused', (location) => {
    expect(of(location)).toBe('EB-USAGE')
  })

  it('with a bad endpoint, region or without keys is refused, and no key is shown', () => {
    for (const it of [
      'host:9000',
      'ftp://host',
      'http://host/path',
      'http://u:p@host',
      'http://host?x',
      '',
    ]) {
      expect(of('s3://bucket', it)).toBe('EB-USAGE')
    }
    expect(of('s3://bucket', null, { ...keys, AWS_REGION: 'a/b' })).toBe('EB-CONFIG')
    for (const env of [{}, { AWS_ACCESS_KEY_ID: 'id' }, { AWS_SECRET_ACCESS_KEY: 'hidden-key' }]) {
      const it = bucketOf('s3://bucket', null, env)
      expect(it).toMatchObject({ ok: false, error: { code: 'EB-CONFIG' } })
      expect(JSON.stringify(it)).not.toContain('hidden-key')
    }
  })
})

async function* breaking(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  yield bytes
  throw new Error('gone')
}

/** Answers every request so. */
function always(act: (...args: Parameters<Trouble>) => unknown): Trouble {
  return (request, response) => {
    act(request, response)
    return true
  }
}
