/**
 * Contents as objects of an S3-compatible bucket, each under its SHA-256.
 * Promise: a range is passed through, and an answer with other bytes than asked for is refused; an object is one
 * PUT, which the bucket takes whole or not at all.
 * Leaves to others: requests (bucket-requests.ts), receiving and checking the bytes (incoming.ts).
 */
import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { hubClipLimits } from '../../../core/clip-limits.ts'
import { type EverbootError, raise } from '../../../core/errors.ts'
import { codeOf } from '../../adapters/files.ts'
import type { Bucket } from '../bucket.ts'
import type { ByteStream, ContentStore } from '../content-store.ts'
import { type BucketBody, type BucketRequest, bucketClient, bucketFault, textOf } from './bucket-requests.ts'

export interface BucketStore extends ContentStore {
  /** Writes a small object, so that a bucket that cannot be used is known at once. @throws EverbootError EB-BUCKET */
  check(): Promise<void>
}

/** Asks nothing yet. @param deadlineMs for each wait for the bucket */
export function openBucketStore(bucket: Bucket, deadlineMs: number = hubClipLimits.objectMs): BucketStore {
  const client = bucketClient(bucket, deadlineMs)
  const faultOf = (request: BucketRequest, answer: IncomingMessage): Promise<EverbootError> =>
    bucketFault(bucket, request, answer, deadlineMs)
  const place = (key: string): string => `${key} in bucket ${bucket.name}`
  const done = async (request: BucketRequest, good: readonly number[]): Promise<void> => {
    const answer = await client.ask(request)
    if (!good.includes(answer.statusCode ?? 0)) throw await faultOf(request, answer)
    await textOf(answer, deadlineMs)
  }
  const put = (key: string, body: BucketBody): Promise<void> =>
    done({ method: 'PUT', key, body, headers: { 'content-type': 'application/octet-stream' } }, [200])
  const open: ContentStore['open'] = async (sha256, bytes, start, endExclusive) => {
    const whole = start === 0 && endExclusive === bytes
    const request: BucketRequest = {
      method: 'GET',
      key: sha256,
      headers: whole ? {} : { range: `bytes=${start}-${endExclusive - 1}` },
    }
    const answer = await client.ask(request)
    const { statusCode, headers } = answer
    if (statusCode === 404) {
      // A bucket that is not there says 404 as well, or a proxy: then nothing is known of the object.
      const text = await textOf(answer, deadlineMs)
      if (text.includes('<Code>NoSuchKey</Code>')) return null
      raise('EB-BUCKET', `there is no ${place(sha256)} at ${bucket.endpoint}, nor such a bucket`)
    }
    if (statusCode !== (whole ? 200 : 206)) throw await faultOf(request, answer)
    const range = whole ? undefined : `bytes ${start}-${endExclusive - 1}/${bytes}`
    const length = String(endExclusive - start)
    if (headers['content-length'] !== length || headers['content-range'] !== range) {
      answer.destroy()
      const said = `${headers['content-length']} bytes, range ${headers['content-range'] ?? 'none'}`
      raise('EB-BUCKET', `${place(sha256)}: ${said}; ${length} bytes, range ${range ?? 'none'} asked for`)
    }
    return streamOf(answer, place(sha256), endExclusive - start, deadlineMs)
  }
  return {
    put: ({ path, sha256, bytes }) => put(sha256, { content: { path }, bytes, sha256 }),
    open,
    async size(sha256) {
      const request: BucketRequest = { method: 'HEAD', key: sha256 }
      const answer = await client.ask(request)
      if (answer.statusCode !== 200 && answer.statusCode !== 404) throw await faultOf(request, answer)
      answer.resume()
      if (answer.statusCode === 404) return null
      return Number(answer.headers['content-length'] ?? Number.NaN)
    },
    remove: (sha256) => done({ method: 'DELETE', key: sha256 }, [200, 204]),
    check: () => put(checkKey, { content: checkBytes, bytes: checkBytes.length, sha256: checkSha256 }),
    close: () => client.close(),
  }
}

const checkKey = 'everboot-hub'
const checkBytes = Buffer.from('Clips of an Everboot hub lie beside this object.\n')
const checkSha256 = createHash('sha256').update(checkBytes).digest('hex')

function streamOf(answer: IncomingMessage, place: string, bytes: number, deadlineMs: number): ByteStream {
  const parts = answer[Symbol.asyncIterator]()
  let taken = 0
  return {
    async read() {
      const timer = setTimeout(
        () => answer.destroy(new Error(`nothing came for ${deadlineMs / 1000} s`)),
        deadlineMs,
      )
      try {
        const next = await parts.next()
        if (next.done !== true) {
          taken += (next.value as Buffer).length
          return next.value as Buffer
        }
      } catch (cause) {
        raise('EB-BUCKET', `${place} broke off after ${taken} of ${bytes} bytes: ${codeOf(cause)}`, { cause })
      } finally {
        clearTimeout(timer)
      }
      if (taken === bytes) return null
      return raise('EB-BUCKET', `${place} ended after ${taken} of ${bytes} bytes`)
    },
    async close() {
      answer.destroy()
    },
  }
}
