/**
 * HTTP requests of tests: every header as given, no pooling, the pinned CA.
 */
import { type IncomingHttpHeaders, request as plainRequest } from 'node:http'
import { request as secureRequest } from 'node:https'
import type { ClientFile } from '../../hub/config.ts'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export interface Asked {
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: Uint8Array | string
  /** Default: the operator's. null: none. */
  readonly token?: string | null
}

export function ask(client: ClientFile, path: string, asked: Asked = {}): Promise<Answer> {
  const token = asked.token === undefined ? client.token : asked.token
  const headers = { ...(token === null ? {} : { authorization: `Bearer ${token}` }), ...asked.headers }
  const start = client.url.startsWith('https:') ? secureRequest : plainRequest
  return new Promise((resolve, reject) => {
    const options = { method: asked.method ?? 'GET', headers, agent: false as const, ca: client.ca }
    // Paths as given: URL would take `..` out.
    const { hostname, port } = new URL(client.url)
    const request = start({ ...options, hostname, port, path }, (response) => {
      const parts: Buffer[] = []
      response.on('data', (it: Buffer) => parts.push(it))
      response.on('error', reject)
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts) }),
      )
    })
    request.on('error', reject)
    request.end(asked.body)
  })
}

export const json = (answer: Answer) => JSON.parse(answer.body.toString('utf8'))

export const sendJson = (
  client: ClientFile,
  path: string,
  body: unknown,
  token?: string | null,
): Promise<Answer> =>
  ask(client, path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    ...(token === undefined ? {} : { token }),
  })

export const upload = (client: ClientFile, body: Uint8Array): Promise<Answer> =>
  ask(client, '/v1/releases', {
    method: 'PUT',
    headers: { 'content-type': 'application/octet-stream', 'content-length': String(body.length) },
    body,
  })

/** @returns the token of the new device */
export async function newDevice(client: ClientFile, id: string): Promise<string> {
  const answer = await sendJson(client, '/v1/devices', { id })
  if (answer.status !== 201) throw new Error(answer.body.toString())
  return json(answer).token
}
