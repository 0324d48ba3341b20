/**
 * A bucket that refuses, is busy, breaks off, does not answer or answers something else than what was asked for.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { MiB } from '../../../../core/units.ts'
import { type BucketStore, openBucketStore } from '../../../../hub/clips/adapters/bucket-store.ts'
import { openIncoming } from '../../../../hub/clips/adapters/incoming.ts'
import type { Receiving } from '../../../../hub/clips/content-store.ts'
import { bytesFrom, contentOf, failureOf, only } from '../contents.ts'
import { bucketAt, type S3Server, startS3, type Trouble } from '../s3-server.ts'

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

/** Answers every request so. */
function always(act: (...args: Parameters<Trouble>) => unknown): Trouble {
  return (request, response) => {
    act(request, response)
    return true
  }
}
