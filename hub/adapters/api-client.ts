/**
 * The hub's API as its command line calls it: HTTPS with the pinned CA and the operator's token.
 * Promise: every failure is coded: EB-HUB-UNREACHABLE, EB-TLS, EB-TIMEOUT, or what the hub itself says; no
 * other host is ever asked; answers have a limit.
 * Leaves to others: what the answers mean (../http/views.ts has their types).
 */
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
} from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { join } from 'node:path'
import {
  type ErrorCode,
  EverbootError,
  type Fault,
  fault,
  isErrorCode,
  orThrow,
  raise,
} from '../../core/errors.ts'
import { hubLimits } from '../../core/limits.ts'
import { type ClientFile, decodeClientFile } from '../config.ts'
import { codeOf, readIfThere } from './files.ts'

export interface HubClient {
  readonly file: ClientFile
  get<T>(path: string): Promise<T>
  post<T>(path: string, body: unknown): Promise<T>
  put<T>(path: string, body: unknown): Promise<T>
  /** @param progress told bytes sent */
  upload<T>(path: string, file: string, progress: (sent: number, total: number) => void): Promise<T>
  close(): void
}

/** @param location a hub's data directory or its client.json. @throws EverbootError EB-FILE, EB-CONFIG */
export async function openHubClient(location: string): Promise<HubClient> {
  const file = await readClientFile(location)
  const secure = file.url.startsWith('https:')
  const agent = secure ? new HttpsAgent({ keepAlive: true, ca: file.ca }) : new HttpAgent({ keepAlive: true })
  const start = (method: string, path: string, headers: Record<string, string | number>): ClientRequest => {
    const options = { method, agent, headers: { authorization: `Bearer ${file.token}`, ...headers } }
    const url = new URL(path, file.url)
    return secure ? httpsRequest(url, { ...options, minVersion: 'TLSv1.2' }) : httpRequest(url, options)
  }
  const sendDocument = <T>(method: string, path: string, body: unknown): Promise<T> => {
    const bytes = Buffer.from(JSON.stringify(body))
    const headers = { 'content-type': 'application/json', 'content-length': bytes.length }
    return answerOf(start(method, path, headers), file.url, hubLimits.answerMs, (it) => it.end(bytes))
  }
  return {
    file,
    get: (path) => answerOf(start('GET', path, {}), file.url, hubLimits.answerMs, (it) => it.end()),
    post: (path, body) => sendDocument('POST', path, body),
    put: (path, body) => sendDocument('PUT', path, body),
    async upload(path, source, progress) {
      const bytes = await sizeOf(source)
      const headers = { 'content-type': 'application/octet-stream', 'content-length': bytes }
      const request = start('PUT', path, headers)
      return answerOf(request, file.url, hubLimits.uploadAnswerMs, (it, touch) =>
        sendFile(it, source, (sent) => {
          touch()
          progress(sent, bytes)
        }),
      )
    },
    close: () => agent.destroy(),
  }
}

async function readClientFile(location: string): Promise<ClientFile> {
  const directory = await stat(location).then(
    (it) => it.isDirectory(),
    () => false,
  )
  const path = directory ? join(location, 'client.json') : location
  const bytes = await readIfThere(path)
  if (bytes === null) {
    raise('EB-FILE', `there is no ${path}`, { todo: 'start a hub, or name its data directory with --hub' })
  }
  return orThrow(decodeClientFile(bytes.toString('utf8'), path))
}

async function sizeOf(path: string): Promise<number> {
  const it = await stat(path).catch((cause: unknown) =>
    raise('EB-FILE', `${path} cannot be read: ${codeOf(cause)}`, { cause }),
  )
  if (!it.isFile()) raise('EB-FILE', `${path} is not a file`)
  return it.size
}

function sendFile(request: ClientRequest, path: string, progress: (sent: number) => void): void {
  let sent = 0
  const source = createReadStream(path)
  source.on('data', (part) => {
    sent += part.length
    progress(sent)
  })
  source.on('error', (error) => request.destroy(error))
  // The hub may answer, and refuse, before it has everything.
  request.once('response', () => source.unpipe(request).destroy())
  source.pipe(request)
}

/** @param send writes the body; its `touch` starts the deadline anew, for bodies that take long */
function answerOf<T>(
  request: ClientRequest,
  url: string,
  deadlineMs: number,
  send: (request: ClientRequest, touch: () => void) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(
        new EverbootError(fault('EB-TIMEOUT', `the hub at ${url} did not answer in ${deadlineMs / 1000} s`)),
      )
      request.destroy()
    }, deadlineMs)
    const done = (settle: () => void): void => {
      clearTimeout(timer)
      settle()
    }
    request.on('error', (error) =>
      done(() => reject(new EverbootError(networkFault(error, url), { cause: error }))),
    )
    request.on('response', (response) => {
      documentOf(response).then(
        (it) => done(() => (it.ok ? resolve(it.value as T) : reject(new EverbootError(it.error)))),
        (error) => done(() => reject(new EverbootError(networkFault(error as Error, url), { cause: error }))),
      )
    })
    send(request, () => void timer.refresh())
  })
}

async function documentOf(
  response: IncomingMessage,
): Promise<{ ok: true; value: unknown } | { ok: false; error: Fault }> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of response) {
    bytes += (part as Buffer).length
    if (bytes > hubLimits.answerBytesMax) raise('EB-MESSAGE', 'the answer of the hub is too long')
    parts.push(part as Buffer)
  }
  const status = response.statusCode ?? 0
  let value: unknown = null
  try {
    value = JSON.parse(Buffer.concat(parts).toString('utf8'))
  } catch {
    return { ok: false, error: fault('EB-HTTP-STATUS', `the hub answered ${status} without a document`) }
  }
  if (status >= 200 && status < 300) return { ok: true, value }
  const error = (value as { error?: { code?: string; what?: string; todo?: string } } | null)?.error
  if (error?.code !== undefined && isErrorCode(error.code)) {
    return { ok: false, error: fault(error.code, error.what ?? 'no particulars', error.todo) }
  }
  return { ok: false, error: fault('EB-HTTP-STATUS', `the hub answered ${status}`) }
}

/** OpenSSL's reasons not to believe a certificate, and a peer that speaks no TLS at all. */
const tlsCodes =
  /^(ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|EPROTO|INVALID_CA|HOSTNAME_MISMATCH)/

function networkFault(error: Error, url: string): Fault {
  if (error instanceof EverbootError) return error.fault
  const code = codeOf(error)
  const known: ErrorCode = tlsCodes.test(code) ? 'EB-TLS' : 'EB-HUB-UNREACHABLE'
  return fault(
    known,
    `the hub at ${url}: ${code}`,
    known === 'EB-TLS' ? 'give the client.json of this hub' : undefined,
  )
}
