/**
 * What the routes of the API work with, and who may call them.
 * Promise: `/v1/health` answers everybody; all other of `/v1` wants the operator's token, `/blobs` and `/clips` that
 * or a device's.
 * Leaves to others: the server (adapters/server.ts), each resource (routes/).
 */
import { raise } from '../../core/errors.ts'
import type { Clock, Entropy } from '../../core/ports.ts'
import type { KeyRing } from '../../keys/public-key.ts'
import type { Challenges } from '../clips/challenges.ts'
import type { ClipKeeper } from '../clips/keeper.ts'
import type { HubCore } from '../core/core.ts'
import { deviceIdOf, matchesToken } from '../fleet/tokens.ts'
import type { Store } from '../store/port.ts'
import type { Uploader } from './adapters/upload.ts'

export interface ApiPorts {
  readonly core: HubCore
  readonly store: Store
  readonly uploader: Uploader
  readonly keeper: ClipKeeper
  readonly challenges: Challenges
  /** Whose announcements of skills are taken. */
  readonly skillKeys: KeyRing
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

/** Who asks: the operator, or a device by its id. */
export type Caller = { readonly device: string } | 'operator'

/** @param authorization the header. @returns null when the token is not good */
export function callerOf(
  { core, adminTokenSha256 }: Pick<ApiPorts, 'core' | 'adminTokenSha256'>,
  authorization: string | undefined,
): Caller | null {
  const [, token = ''] = /^Bearer ([\x21-\x7e]{1,256})$/i.exec(authorization ?? '') ?? []
  if (matchesToken(token, adminTokenSha256)) return 'operator'
  const device = deviceIdOf(token)
  return device !== null && checkDeviceToken(core, device, token) ? { device } : null
}

/** @param path without query. @param authorization the header. */
export function mayCall(ports: ApiPorts, path: string, authorization: string | undefined): boolean {
  if (path === '/v1/health') return true
  const caller = callerOf(ports, authorization)
  return caller === 'operator' || (caller !== null && /^\/(blobs|clips)\//.test(path))
}

/** The device that asks. @throws EverbootError EB-AUTH when it is no device */
export function deviceAsking(ports: ApiPorts, authorization: string | undefined): string {
  const caller = callerOf(ports, authorization)
  if (caller !== null && caller !== 'operator') return caller.device
  return raise('EB-AUTH', 'only a device has clips of its own here', { todo: 'as an operator use /v1/clips' })
}
