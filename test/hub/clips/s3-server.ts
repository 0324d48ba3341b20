/**
 * A small strict S3 for tests: checks signatures by the published specification (Signature Version 4, header
 * form), payload hashes, dates and lengths; objects lie in memory. Anything else than PUT, GET with one range,
 * HEAD and DELETE of an object by path is refused, as is everything that is not exactly as it should be.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { orThrow } from '../../../core/errors.ts'
import { type Bucket, bucketOf } from '../../../hub/clips/bucket.ts'

export interface S3Keys {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

/** What is signed: header names in lower case, path and query as on the request line. */
export interface SignedRequest {
  readonly method: string
  readonly path: string
  readonly query: string
  readonly headers: Readonly<Record<string, string>>
}

/** May answer in the server's place; @returns true when it did. */
export type Trouble = (request: IncomingMessage, response: ServerResponse) => boolean

export interface S3Server {
  readonly url: string
  readonly region: string
  readonly keys: S3Keys
  /** By key, without the bucket. */
  readonly objects: Map<string, Buffer>
  /** `METHOD key`, in the order of asking, refused ones too. */
  readonly log: string[]
  /** Requests whose signature or form was wrong. */
  readonly refused: string[]
  trouble: Trouble | null
  close(): Promise<void>
}

const dateForm = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/
const skewMs = 15 * 60_000
const authorizationForm =
  /^AWS4-HMAC-SHA256 Credential=([^/,]+)\/(\d{8})\/([^/,]+)\/s3\/aws4_request, ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})$/

/** How a hub asks this server for its bucket. */
export function bucketAt(server: S3Server, location = 's3://clips/hub-1/a', over = {}): Bucket {
  const { accessKeyId, secretAccessKey, sessionToken } = server.keys
  const environment = {
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_REGION: server.region,
    AWS_SESSION_TOKEN: sessionToken,
  }
  return orThrow(bucketOf(location, server.url, { ...environment, ...over }))
}

export async function startS3(bucket: string, region: string, port = 0, token?: string): Promise<S3Server> {
  const keys: S3Keys = {
    accessKeyId: 'AKIDEXAMPLEOFTESTS',
    secretAccessKey: 'secret/of+tests',
    ...(token === undefined ? {} : { sessionToken: token }),
  }
  const objects = new Map<string, Buffer>()
  const log: string[] = []
  const refused: string[] = []
  const http = createServer((request, response) => {
    const [path = ''] = (request.url ?? '').split('?')
    const key = path.slice(bucket.length + 2)
    log.push(`${request.method} ${key}`)
    if (it.trouble?.(request, response) === true) return
    answer(request, response, key).catch(() => response.destroy())
  })
  const answer = async (request: IncomingMessage, response: ServerResponse, key: string): Promise<void> => {
    const body = await bodyOf(request)
    const fault = signatureFault(requestOf(request), region, keys, body, Date.now())
    if (fault !== null) {
      refused.push(fault)
      refuse(response, request, 403, fault)
    } else if (!(request.url ?? '').startsWith(`/${bucket}/`)) refuse(response, request, 404, 'NoSuchBucket')
    else serve(request, response, key, body, objects)
  }
  await new Promise<void>((resolve) => http.listen(port, '127.0.0.1', resolve))
  const it: S3Server = {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    region,
    keys,
    objects,
    log,
    refused,
    trouble: null,
    async close() {
      http.closeAllConnections()
      await new Promise((resolve) => http.close(resolve))
    },
  }
  return it
}

/** @returns the error code of S3, or null when the request is signed as it must be */
export function signatureFault(
  request: SignedRequest,
  region: string,
  keys: S3Keys,
  body: Uint8Array,
  nowMs: number,
): string | null {
  const { headers } = request
  const [, keyId, day, scope, names, signature] = authorizationForm.exec(headers['authorization'] ?? '') ?? []
  if (keyId === undefined || day === undefined || names === undefined) return 'AuthorizationHeaderMalformed'
  if (keyId !== keys.accessKeyId) return 'InvalidAccessKeyId'
  if (scope !== region) return 'AuthorizationHeaderMalformed'
  const date = headers['x-amz-date'] ?? ''
  if (!date.startsWith(day) || Math.abs(timeOf(date) - nowMs) > skewMs) return 'RequestTimeTooSkewed'
  if (headers['x-amz-security-token'] !== keys.sessionToken) return 'InvalidToken'
  const signed = names.split(';')
  const must = ['host', ...Object.keys(headers).filter((it) => it.startsWith('x-amz-'))]
  if (must.some((it) => !signed.includes(it)) || signed.some((it) => headers[it] === undefined)) {
    return 'AccessDenied'
  }
  const payload = headers['x-amz-content-sha256'] ?? ''
  const wanted = signatureOf(request, signed, payload, { day, region, date, secret: keys.secretAccessKey })
  if (!timingSafeEqual(Buffer.from(signature ?? '', 'hex'), Buffer.from(wanted, 'hex'))) {
    return 'SignatureDoesNotMatch'
  }
  return payload === sha256(body) ? null : 'XAmzContentSHA256Mismatch'
}

/** The calculation of the signature, step by step as it is published. @returns 64 hex digits */
export function signatureOf(
  { method, path, query, headers }: SignedRequest,
  signed: readonly string[],
  payload: string,
  { day, region, date, secret }: { day: string; region: string; date: string; secret: string },
): string {
  const names = [...signed].sort()
  const canonical = [
    method,
    uriEncoded(decodeURIComponent(path), false),
    canonicalQuery(query),
    ...names.map((it) => `${it}:${(headers[it] ?? '').trim().replace(/ +/g, ' ')}`),
    '',
    names.join(';'),
    payload,
  ].join('\n')
  const scope = `${day}/${region}/s3/aws4_request`
  const toSign = ['AWS4-HMAC-SHA256', date, scope, sha256(canonical)].join('\n')
  const key = [region, 's3', 'aws4_request'].reduce(hmac, hmac(`AWS4${secret}`, day))
  return hmac(key, toSign).toString('hex')
}

function canonicalQuery(query: string): string {
  if (query === '') return ''
  return query
    .split('&')
    .map((it) => it.split('='))
    .map(([name = '', value = '']) => [name, value].map((it) => uriEncoded(decodeURIComponent(it), true)))
    .sort(([a = ''], [b = '']) => (a < b ? -1 : 1))
    .map((it) => it.join('='))
    .join('&')
}

/** Everything but the unreserved characters, byte by byte, in upper case. */
function uriEncoded(text: string, slashes: boolean): string {
  return [...Buffer.from(text)]
    .map((byte) => {
      const letter = String.fromCharCode(byte)
      const plain = /[A-Za-z0-9._~-]/.test(letter) || (letter === '/' && !slashes)
      return plain ? letter : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
    })
    .join('')
}

function serve(
  request: IncomingMessage,
  response: ServerResponse,
  key: string,
  body: Buffer,
  objects: Map<string, Buffer>,
): void {
  const { method = '', headers } = request
  const object = objects.get(key)
  if (method === 'PUT' && headers['content-length'] !== undefined) {
    objects.set(key, body)
    response.writeHead(200, { etag: '"x"' }).end()
  } else if (method === 'PUT') refuse(response, request, 411, 'MissingContentLength')
  else if (method === 'DELETE') {
    objects.delete(key)
    response.writeHead(204).end()
  } else if (method !== 'HEAD' && method !== 'GET') refuse(response, request, 405, 'MethodNotAllowed')
  else if (object === undefined) refuse(response, request, 404, 'NoSuchKey')
  else send(request, response, object)
}

function send(request: IncomingMessage, response: ServerResponse, object: Buffer): void {
  const { range } = request.headers
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? []
  const start = Number(first ?? 0)
  const end = Math.min(Number(last ?? object.length - 1), object.length - 1)
  if (range !== undefined && first === undefined) {
    refuse(response, request, 400, 'InvalidArgument')
    return
  }
  if (start >= object.length) {
    refuse(response, request, 416, 'InvalidRange')
    return
  }
  const part = object.subarray(start, end + 1)
  response.writeHead(range === undefined ? 200 : 206, {
    'content-length': part.length,
    ...(range === undefined ? {} : { 'content-range': `bytes ${start}-${end}/${object.length}` }),
  })
  response.end(request.method === 'HEAD' ? undefined : part)
}

function refuse(response: ServerResponse, request: IncomingMessage, status: number, code: string): void {
  const text = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>no</Message></Error>`
  response.writeHead(status, { 'content-type': 'application/xml', 'content-length': text.length })
  response.end(request.method === 'HEAD' ? undefined : text)
}

function requestOf(request: IncomingMessage): SignedRequest {
  const [path = '', query = ''] = (request.url ?? '').split('?')
  const headers = Object.fromEntries(Object.entries(request.headers).map(([name, it]) => [name, String(it)]))
  return { method: request.method ?? '', path, query, headers }
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  return Buffer.concat(parts)
}

function timeOf(date: string): number {
  const [, ...parts] = dateForm.exec(date) ?? []
  const [year = 0, month = 1, day = 0, hour = 0, minute = 0, second = 0] = parts.map(Number)
  return parts.length === 6 ? Date.UTC(year, month - 1, day, hour, minute, second) : Number.NaN
}

function sha256(content: Uint8Array | string): string {
  return createHash('sha256').update(content).digest('hex')
}

function hmac(key: Uint8Array | string, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
