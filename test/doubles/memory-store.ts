/**
 * The hub's store in memory.
 */

import type { Status } from '../../core/wire/messages.ts'
import type { Device, ReleaseInfo, Rollout, Wrap, Write } from '../../hub/core/model.ts'
import type { Store } from '../../hub/store/port.ts'

export interface MemoryStore extends Store {
  /** Every status that was kept, in order. */
  readonly statusLog: { readonly device: string; readonly status: Status }[]
}

export function memoryStore(): MemoryStore {
  const devices = new Map<string, Device>()
  const releases = new Map<string, ReleaseInfo>()
  const rollouts = new Map<string, Rollout>()
  const wraps = new Map<string, readonly Wrap[]>()
  const statusLog: { device: string; status: Status }[] = []
  const apply = (it: Write): void => {
    if (it.kind === 'put-device') devices.set(it.device.id, it.device)
    else if (it.kind === 'put-release') releases.set(it.release.id, it.release)
    else if (it.kind === 'put-rollout') rollouts.set(it.rollout.id, it.rollout)
    else if (it.kind === 'remove-rollout') rollouts.delete(it.rollout)
    else if (it.kind === 'put-wraps') wraps.set(it.release, it.wraps)
    else if (it.kind === 'add-status') {
      const { bootId, seq } = it.status
      const known = statusLog.some(
        (one) => one.device === it.device && one.status.bootId === bootId && one.status.seq === seq,
      )
      if (!known) statusLog.push({ device: it.device, status: it.status })
    }
  }
  return {
    statusLog,
    load: async () => ({
      devices: [...devices.values()],
      releases: [...releases.values()],
      rollouts: [...rollouts.values()],
      retained: new Map(),
    }),
    commit: async (writes) => {
      for (const it of writes) apply(it)
    },
    async wraps(release, ids) {
      const found = new Map<string, Record<string, string>>()
      for (const { device, blob, key } of wraps.get(release) ?? []) {
        if (ids.includes(device)) found.set(device, { ...found.get(device), [blob]: key })
      }
      return found
    },
    wrapCount: async (release) => new Set((wraps.get(release) ?? []).map((it) => it.device)).size,
    attemptsOf: async () => [],
    attemptsOn: async () => [],
    statuses: async () => [],
    evidences: async () => [],
    close: async () => {},
  }
}
