/**
 * One request to an S3-compatible bucket: signed (SigV4, path style), with deadlines, repeated when the bucket is
 * busy.
 * Promise: the payload's hash is part of the signature, so that the bucket itself refuses other bytes; every wait
 * for the bucket has a deadline; redirects are not followed; failures are EB-BUCKET with what the bucket says,
 * and never show a key.
 * Leaves to others: what is asked (bucket-store.ts).
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
} from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { AwsV4Signer } from 'aws4fetch'
import { hubClipLimits } from '../../../core/clip-limits.ts'
import { EverbootError, fault } from '../../../core/errors.ts'
import { codeOf } from '../../adapters/files.ts'
import type { Bucket } from '../bucket.ts'

export interface BucketRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'DELETE'
  /** Without the prefix. */
  readonly key: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: BucketBody
}

/** A file, or bytes in memory. */
export interface BucketBody {
  readonly content: { readonly path: string } | Uint8Array
  readonly bytes: number
  readonly sha256: string
}

export interface BucketClient {
  /** Any answer but those that ask to come again. Its body must be read or destroyed. @throws EverbootError EB-BUCKET */
  ask(request: BucketRequest): Promise<IncomingMessage>
  /** Cuts what is under way. */
  close(): void
}

const emptySha256 = createHash('sha256').digest('hex')

/** @param deadlineMs for each wait: for an answer, for the bucket to take the next bytes */
export function bucketClient(bucket: Bucket, deadlineMs: number): BucketClient {
  const secure = bucket.endpoint.startsWith('https:')
  const settings = { keepAlive: true, maxSockets: hubClipLimits.objectConnections }
  const agent = secure ? new HttpsAgent(settings) : new HttpAgent(settings)
  const stopping = new AbortController()
  const attempt = async (request: BucketRequest): Promise<IncomingMessage> => {
    const { url, headers } = await signed(bucket, request)
    const options = { method: request.method, headers, agent, signal: stopping.signal }
    return answerTo(secure ? httpsRequest(url, options) : httpRequest(url, options), request, deadlineMs)
  }
  return {
    async ask(request) {
      for (let tries = 1; ; tries += 1) {
        const last = tries === hubClipLimits.objectTries || stopping.signal.aborted
        const answer = await attempt(request).catch((caught: unknown) => {
          if (last || !isPassing(caught)) throw failureOf(caught, bucket, request)
          return null
        })
        if (answer !== null && (last || !isBusy(answer))) return answer
        answer?.destroy()
        await pause(hubClipLimits.objectRetryMs * 2 ** (tries - 1), stopping.signal)
      }
    },
    close() {
      stopping.abort()
      agent.destroy()
    },
  }
}

/** What the bucket said instead of what was wanted. Reads the answer to its end, or so much of it. */
export async function bucketFault(
  bucket: Bucket,
  { method, key }: BucketRequest,
  answer: IncomingMessage,
  deadlineMs: number,
): Promise<EverbootError> {
  // What came with a good status is no explanation.
  const text = (answer.statusCode ?? 0) < 300 ? '' : await textOf(answer, deadlineMs)
  answer.destroy()
  const [, code] = /<Code>([A-Za-z0-9.]{1,64})<\/Code>/.exec(text) ?? []
  const place = `${bucket.endpoint}/${bucket.name}`
  const what = `${method} ${key} at ${place}: status ${answer.statusCode}${code === undefined ? '' : `, ${code}`}`
  return new EverbootError(fault('EB-BUCKET', what))
}

/** The start of a body, as text. */
export async function textOf(answer: IncomingMessage, deadlineMs: number): Promise<string> {
  const parts: Buffer[] = []
  let bytes = 0
  const timer = setTimeout(() => answer.destroy(), deadlineMs)
  try {
    for await (const part of answer) {
      parts.push(part as Buffer)
      bytes += (part as Buffer).length
      if (bytes > hubClipLimits.objectFaultBytesMax) break
    }
  } catch {
    // What came tells as much as there is to tell.
  } finally {
    clearTimeout(timer)
    answer.destroy()
  }
  return Buffer.concat(parts).toString('latin1')
}

async function signed(
  bucket: Bucket,
  { method, key, headers = {}, body }: BucketRequest,
): Promise<{ readonly url: URL; readonly headers: Record<string, string> }> {
  const { endpoint, name, prefix, region, accessKeyId, secretAccessKey, sessionToken } = bucket
  const signer = new AwsV4Signer({
    method,
    url: `${endpoint}/${name}/${prefix}${key}`,
    headers: { ...headers, 'x-amz-content-sha256': body?.sha256 ?? emptySha256 },
    service: 's3',
    region,
    accessKeyId,
    secretAccessKey,
    ...(sessionToken === null ? {} : { sessionToken }),
  })
  const made = await signer.sign()
  const length = body === undefined ? {} : { 'content-length': String(body.bytes) }
  return { url: made.url, headers: { ...Object.fromEntries(made.headers), ...length } }
}

/** The deadline starts anew whenever the bucket takes more of a body. */
function answerTo(
  request: ClientRequest,
  { body }: BucketRequest,
  deadlineMs: number,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const late = new Error(`no answer in ${deadlineMs / 1000} s`)
    const timer = setTimeout(() => request.destroy(late), deadlineMs)
    const failed = (cause: Error): void => {
      clearTimeout(timer)
      reject(request.reusedSocket && codeOf(cause) === 'ECONNRESET' ? new StaleConnection(cause) : cause)
    }
    request.once('error', failed)
    request.once('response', (answer) => {
      clearTimeout(timer)
      // From here on it is the reader's: a failure of the connection is one of the answer.
      request.off('error', failed).on('error', () => undefined)
      resolve(answer)
    })
    const content = body?.content ?? null
    if (content === null || content instanceof Uint8Array) {
      request.end(content)
      return
    }
    const source = createReadStream(content.path)
    source.on('data', () => timer.refresh())
    source.on('error', (cause) => request.destroy(cause))
    request.once('close', () => source.destroy())
    source.pipe(request)
  })
}

/** The bucket closed a connection that it had kept open for us: nothing was asked yet. */
class StaleConnection extends Error {
  override readonly name = 'StaleConnection'

  constructor(cause: Error) {
    super(cause.message, { cause })
  }
}

function isPassing(caught: unknown): boolean {
  return caught instanceof StaleConnection
}

function isBusy({ statusCode = 0 }: IncomingMessage): boolean {
  return statusCode === 429 || statusCode === 500 || statusCode === 502 || statusCode === 503
}

function failureOf(caught: unknown, bucket: Bucket, { method, key }: BucketRequest): EverbootError {
  if (caught instanceof EverbootError) return caught
  const what = `${method} ${key} at ${bucket.endpoint}/${bucket.name}: ${codeOf(caught)}`
  return new EverbootError(fault('EB-BUCKET', what), { cause: caught })
}

function pause(ms: number, stopping: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    const stop = (): void => {
      clearTimeout(timer)
      resolve()
    }
    stopping.addEventListener('abort', stop, { once: true })
  })
}
