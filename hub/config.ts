/**
 * How a hub is started, and the file by which its command line finds it again.
 * Promise: plain ports are for loopback only; a `client.json` that is not wholly understood is refused.
 * Leaves to others: reading and writing the files.
 */
import * as v from 'valibot'
import { type Fault, fault } from '../core/errors.ts'
import { fail, ok, type Result } from '../core/result.ts'
import type { Bucket } from './clips/bucket.ts'

export const defaultPorts = { mqtt: 8883, http: 8443 } as const

export interface HubConfig {
  /** Data directory. */
  readonly data: string
  /** Trust file: whose releases the hub takes. */
  readonly trust: string
  /** Address to listen on; devices are told it, or the machine's name when it is a wildcard. */
  readonly host: string
  readonly mqttPort: number
  readonly httpPort: number
  /** No TLS; loopback only. */
  readonly insecure: boolean
  /** Where the contents of clips lie; absent: in the data directory. */
  readonly bucket?: Bucket
}

const clientFile = v.strictObject({
  /** HTTP origin. */
  url: v.pipe(v.string(), v.regex(/^https?:\/\//)),
  mqtt: v.pipe(v.string(), v.regex(/^mqtts?:\/\//)),
  /** PEM. */
  ca: v.string(),
  /** The operator's. */
  token: v.pipe(v.string(), v.minLength(1)),
})
export type ClientFile = v.InferOutput<typeof clientFile>

export function decodeClientFile(text: string, path: string): Result<ClientFile, Fault> {
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch {
    return fail(fault('EB-CONFIG', `${path} is not JSON`, 'give the client.json of a hub with --hub'))
  }
  const parsed = v.safeParse(clientFile, document)
  if (parsed.success) return ok(parsed.output)
  const [issue] = parsed.issues
  const what = `${path}: ${v.getDotPath(issue) ?? 'document'}: ${issue.message}`
  return fail(fault('EB-CONFIG', what, 'give the client.json of a hub with --hub'))
}

/** What `everboot devices add` writes; the board maker adds the wrapping key. */
export function deviceIdentity(client: ClientFile, deviceId: string, token: string) {
  const { mqtt, url, ca } = client
  return { v: 1, deviceId, mqtt, http: url, ca, token } as const
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}
