/**
 * HTTP GET by node:http(s): one connection, kept alive; no redirects, no content encodings, no cookies.
 * Promise: credentials go to the hub's own origin only; the server's certificate must come from the pinned
 * CA; connecting and waiting for headers have deadlines.
 * Leaves to others: checking what was sent (download/range-fetch.ts). The modules come by getBuiltinModule:
 * an ESM import of node:http costs 14 MB, since it also loads the built-in fetch.
 */
import type { Agent, IncomingMessage, RequestOptions } from 'node:http'
import { EverbootError, fault, raise } from '../../core/errors.ts'
import { downloadLimits } from '../../core/limits.ts'
import type { Fetch, FetchRequest, FetchResponse } from '../../core/ports.ts'
import { networkFault } from './network-fault.ts'

const http = process.getBuiltinModule('node:http')
const https = process.getBuiltinModule('node:https')

export interface HttpFetchOptions {
  /** Origin of the hub. */
  readonly origin: string
  /** PEM of the pinned CA. */
  readonly ca: string
  readonly token: string
}

export function httpFetch(options: HttpFetchOptions): Fetch {
  const secure = options.origin.startsWith('https:')
  const agent: Agent = secure
    ? new https.Agent({ keepAlive: true, maxSockets: 2, ca: options.ca })
    : new http.Agent({ keepAlive: true, maxSockets: 2 })
  return {
    get: (request) => send(request, options, agent, secure),
  }
}

function send(
  request: FetchRequest,
  options: HttpFetchOptions,
  agent: Agent,
  secure: boolean,
): Promise<FetchResponse> {
  const { url, range } = request
  if (!url.startsWith(`${options.origin}/`)) raise('EB-HUB-UNREACHABLE', `${url} is not on ${options.origin}`)
  const headers: Record<string, string> = {
    authorization: `Bearer ${options.token}`,
    'accept-encoding': 'identity',
  }
  if (range !== undefined) {
    headers['range'] = `bytes=${range.start}-${range.endExclusive - 1}`
    if (range.ifRange !== undefined) headers['if-range'] = range.ifRange
  }
  const settings: RequestOptions = {
    agent,
    headers,
    timeout: downloadLimits.slowWindowMs,
    maxHeaderSize: downloadLimits.headBytesMax,
  }
  return new Promise((resolve, reject) => {
    const outgoing = (secure ? https : http).get(url, settings, (incoming) => {
      clearTimeout(deadline)
      if (incoming.headers['content-encoding'] !== undefined) {
        incoming.destroy()
        reject(new EverbootError(fault('EB-RANGE', `${url} came with a content encoding`)))
        return
      }
      resolve(responseOf(incoming, url))
    })
    const fail = (caught: unknown): void => {
      clearTimeout(deadline)
      reject(new EverbootError(networkFault(caught, url), { cause: caught }))
    }
    const late = (): void => {
      outgoing.destroy(new Error(`no answer within ${downloadLimits.connectMs / 1000} s`))
    }
    const deadline = setTimeout(late, downloadLimits.connectMs)
    outgoing.on('error', fail)
    outgoing.on('timeout', () => outgoing.destroy(new Error('silence')))
  })
}

function responseOf(incoming: IncomingMessage, url: string): FetchResponse {
  const parts = incoming[Symbol.asyncIterator]()
  const { headers } = incoming
  return {
    status: incoming.statusCode ?? 0,
    etag: headers.etag ?? null,
    contentRange: rangeOf(headers['content-range']),
    contentLength: wholeNumber(headers['content-length']),
    retryAfterMs: retryAfter(headers['retry-after']),
    async read() {
      try {
        const next = await parts.next()
        return next.done === true ? null : (next.value as Uint8Array)
      } catch (caught) {
        throw new EverbootError(networkFault(caught, url), { cause: caught })
      }
    },
    cancel: () => void incoming.destroy(),
  }
}

function rangeOf(text: string | undefined): FetchResponse['contentRange'] {
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(text ?? '')
  if (match === null) return null
  const [, start, last, size] = match.map(Number)
  return { start: start ?? 0, endExclusive: (last ?? 0) + 1, size: size ?? 0 }
}

function wholeNumber(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : null
}

function retryAfter(text: string | undefined): number | null {
  const seconds = wholeNumber(text)
  return seconds === null ? null : seconds * 1000
}
