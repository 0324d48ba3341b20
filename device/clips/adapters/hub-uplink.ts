/**
 * What a device stores at the hub, over HTTP.
 * Promise: credentials go to the hub's own origin only, its certificate must come from the pinned CA; every request has a
 * deadline; answers are bounded; a refusal keeps the code that the hub gives.
 */
import type { IncomingMessage } from 'node:http'
import * as v from 'valibot'
import { servingLimits } from '../../../core/clip-limits.ts'
import { EverbootError, fault, isErrorCode } from '../../../core/errors.ts'
import type { HttpFetchOptions } from '../../adapters/http-fetch.ts'
import { networkFault } from '../../adapters/network-fault.ts'
import type { ClipUplink } from '../sharing.ts'

const http = process.getBuiltinModule('node:http')
const https = process.getBuiltinModule('node:https')

const haveAnswer = v.object({
  have: v.array(v.object({ sha256: v.string(), challenge: v.string() })),
  missing: v.array(v.string()),
})
const nothing = new Uint8Array(0)
const refusal = v.object({ error: v.object({ code: v.string(), what: v.string() }) })

interface Answer {
  readonly status: number
  readonly document: unknown
}

export function hubUplink(options: HttpFetchOptions): ClipUplink {
  const call = async (method: string, path: string, body: Uint8Array, type: string): Promise<Answer> => {
    const answer = await send(options, method, path, body, type)
    if (answer.status < 400 || answer.status === 403) return answer
    const parsed = v.safeParse(refusal, answer.document)
    const code = parsed.success && isErrorCode(parsed.output.error.code) ? parsed.output.error.code : null
    const what = parsed.success ? parsed.output.error.what : `${method} ${path} answers ${answer.status}`
    throw new EverbootError(fault(code ?? 'EB-HTTP-STATUS', what))
  }
  const json = (document: unknown): Uint8Array => Buffer.from(JSON.stringify(document))
  return {
    async have(sha256) {
      const answer = await call('POST', '/clips/have', json({ sha256: [sha256] }), 'application/json')
      const parsed = v.safeParse(haveAnswer, answer.document)
      if (!parsed.success) throw new EverbootError(fault('EB-MESSAGE', 'the hub does not say what it has'))
      return parsed.output.have.find((it) => it.sha256 === sha256)?.challenge ?? null
    },
    async claim(sha256, clip, challenge, proof) {
      const body = json({ clip, challenge, proof })
      const { status } = await call('POST', `/clips/${sha256}/claim`, body, 'application/json')
      return status < 300
    },
    async upload(sha256, clip, content) {
      const path = `/clips/${sha256}?clip=${encodeURIComponent(clip)}`
      await call('PUT', path, content, 'application/octet-stream')
    },
    async drop(clip) {
      await call('DELETE', `/clips/own/${encodeURIComponent(clip)}`, nothing, 'application/json')
    },
  }
}

function send(
  { origin, ca, token }: HttpFetchOptions,
  method: string,
  path: string,
  body: Uint8Array,
  type: string,
): Promise<Answer> {
  const secure = origin.startsWith('https:')
  const headers = {
    authorization: `Bearer ${token}`,
    'content-type': type,
    'content-length': body.length,
  }
  return new Promise((resolve, reject) => {
    const options = { method, headers, timeout: servingLimits.fetchMs }
    const heard = (response: IncomingMessage): void => {
      documentOf(response).then((document) => resolve({ status: response.statusCode ?? 0, document }), reject)
    }
    const request = secure
      ? https.request(`${origin}${path}`, { ...options, ca }, heard)
      : http.request(`${origin}${path}`, options, heard)
    request.on('timeout', () => {
      const what = `${origin}${path} does not answer in ${servingLimits.fetchMs / 1000} s`
      request.destroy(new EverbootError(fault('EB-TIMEOUT', what)))
    })
    request.on('error', (caught) =>
      reject(caught instanceof EverbootError ? caught : new EverbootError(networkFault(caught, origin))),
    )
    request.end(body)
  })
}

async function documentOf(response: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of response) {
    bytes += (part as Buffer).length
    if (bytes > servingLimits.requestBytesMax)
      throw new EverbootError(fault('EB-MESSAGE', 'the answer of the hub is too long'))
    parts.push(part as Buffer)
  }
  try {
    return JSON.parse(Buffer.concat(parts).toString('utf8'))
  } catch {
    return null
  }
}
