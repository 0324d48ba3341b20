/**
 * What the routes of the API work with, and who may call them.
 * Promise: `/v1/health` answers everybody; all other of `/v1` wants the operator's token, `/blobs` that or a
 * device's.
 * Leaves to others: the server (adapters/server.ts), each resource (routes/).
 */
import type { Clock, Entropy } from '../../core/ports.ts'
import type { HubCore } from '../core/core.ts'
import { deviceIdOf, matchesToken } from '../fleet/tokens.ts'
import type { Store } from '../store/port.ts'
import type { Uploader } from './adapters/upload.ts'

export interface ApiPorts {
  readonly core: HubCore
  readonly store: Store
  readonly uploader: Uploader
  readonly entropy: Entropy
  readonly clock: Pick<Clock, 'wallMs'>
  /** SHA-256 of the operator's token, hex. */
  readonly adminTokenSha256: string
  /** Figures of the broker for `/v1/hub`. */
  readonly counters: () => Readonly<Record<string, number>>
}

/** True when the hub holds this device and the token is its own. */
export function checkDeviceToken(core: HubCore, deviceId: string, token: string): boolean {
  const device = core.state().devices.get(deviceId)
  // A device that does not exist costs the same comparison.
  const matches = matchesToken(token, device?.tokenSha256 ?? '0'.repeat(64))
  return device !== undefined && matches
}

/** @param path without query. @param authorization the header. */
export function mayCall(
  { core, adminTokenSha256 }: ApiPorts,
  path: string,
  authorization: string | undefined,
): boolean {
  if (path === '/v1/health') return true
  const [, token = ''] = /^Bearer ([\x21-\x7e]{1,256})$/i.exec(authorization ?? '') ?? []
  if (matchesToken(token, adminTokenSha256)) return true
  const deviceId = deviceIdOf(token)
  return path.startsWith('/blobs/') && deviceId !== null && checkDeviceToken(core, deviceId, token)
}
