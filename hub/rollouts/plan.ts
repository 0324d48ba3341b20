/**
 * What a rollout would do, device by device, before it is made.
 * Promise: says what the hub knows: missing content keys stop a device for certain; wrong hardware and a
 * higher floor are what the device last reported and would refuse itself.
 * Leaves to others: doing it (../core/desired.ts).
 */
import { missingKeys } from '../core/desired.ts'
import type { Device, ReleaseInfo } from '../core/model.ts'
import { runningRelease } from '../fleet/drift.ts'
import { isOpen } from './machine.ts'

export type Forecast = 'install' | 'running' | 'no-key' | 'wrong-hardware' | 'below-floor' | 'never-seen'

export interface DevicePlan {
  readonly device: string
  readonly forecast: Forecast
  readonly detail: string
  /** The rollout whose open attempt this one would supersede. */
  readonly supersedes: string | null
}

export function planFor(
  device: Device,
  release: ReleaseInfo,
  keys: Readonly<Record<string, string>> | undefined,
): DevicePlan {
  const last = device.attempts.at(-1)
  const open = last !== undefined && isOpen(last.state) ? last.rollout : null
  const [forecast, detail] = forecastFor(device, release, keys)
  return { device: device.id, forecast, detail, supersedes: forecast === 'no-key' ? null : open }
}

function forecastFor(
  device: Device,
  release: ReleaseInfo,
  keys: Readonly<Record<string, string>> | undefined,
): readonly [Forecast, string] {
  const missing = missingKeys(release, keys)
  if (missing.length > 0) return ['no-key', `no content key of blob ${missing.join(', ')} for this device`]
  const { reported } = device
  if (reported === null) return ['never-seen', 'has never reported; gets it when it connects']
  if (!reported.hardware.some((it) => release.hardware.includes(it))) {
    return [
      'wrong-hardware',
      `is ${reported.hardware.join(', ')}, the release is for ${release.hardware.join(', ')}`,
    ]
  }
  if (release.securityVersion < reported.floor) {
    return ['below-floor', `has floor ${reported.floor}, the release has ${release.securityVersion}`]
  }
  const running = runningRelease(device)
  if (running?.release === release.id) return ['running', 'runs it already']
  return ['install', `runs ${running?.version ?? 'an unknown release'} in slot ${reported.slot}`]
}
