/**
 * Things that the tests of the hub are made of: devices, releases, statuses.
 */
import type { Digest } from '../../core/units.ts'
import type { Presence, Status } from '../../core/wire/messages.ts'
import type { ClipStats } from '../../core/wire/skills.ts'
import type { Publication } from '../../hub/clips/model.ts'
import type { HubMessage, HubState, ReleaseInfo, Step } from '../../hub/core/model.ts'
import { emptyHub, reduce } from '../../hub/core/reduce.ts'

export const digestOf = (letter: string): Digest => letter.repeat(64) as Digest

export function releaseInfo(id: string, over: Partial<ReleaseInfo> = {}): ReleaseInfo {
  const [product = 'demo', version = '1'] = id.split('-')
  return {
    id,
    product,
    version,
    securityVersion: 1,
    hardware: ['sim'],
    profile: 'standard',
    manifest: { bytes: 1000, sha256: digestOf('a') },
    blobs: [
      {
        id: 'rootfs',
        kind: 'full',
        bytes: 5000,
        sha256: digestOf('b'),
        index: { bytes: 300, sha256: digestOf('c') },
      },
    ],
    atMs: 1,
    ...over,
  }
}

export function statusOf(seq: number, over: Partial<Status> = {}): Status {
  return {
    v: 1,
    bootId: 'boot-1',
    seq,
    state: 'IDLE',
    slot: 'a',
    floor: 0,
    slots: {
      a: { release: 'demo-1-aaa', version: '1', ok: true, tries: 8 },
      b: { release: null, version: null, ok: false, tries: 0 },
    },
    hardware: ['sim'],
    attempt: null,
    progress: null,
    finished: null,
    ...over,
  }
}

export function presenceOf(bootId: string, connection: number, online = true): Presence {
  return { v: 1, online, bootId, connection }
}

/** Runs messages through the reducer; throws when one is refused. */
export function hubAfter(messages: readonly HubMessage[], start: HubState = emptyHub()): HubState {
  return messages.reduce((state, it) => accepted(reduce(state, it)).state, start)
}

export function accepted(step: Step): Step {
  if (!step.answer.ok) throw new Error(`${step.answer.error.code}: ${step.answer.error.what}`)
  return step
}

export const addDevice = (device: string, atMs = 1): HubMessage => ({
  kind: 'add-device',
  device,
  tokenSha256: digestOf('0'),
  renew: false,
  atMs,
})

export const register = (release: ReleaseInfo): HubMessage => ({
  kind: 'register-release',
  release,
  wraps: [],
})

export const rollout = (release: string, devices: readonly string[], atMs: number): HubMessage => ({
  kind: 'create-rollout',
  release,
  devices,
  keys: new Map(devices.map((it) => [it, { rootfs: Buffer.alloc(40).toString('base64') }])),
  throttle: null,
  atMs,
})

export const saying = (device: string, status: Status, atMs = 5): HubMessage => ({
  kind: 'status',
  device,
  status,
  atMs,
})

/** An announcement as the core takes it; each clip has 5 bytes. */
export function publication(
  id: string,
  seq: number,
  clips: readonly (readonly [string, Digest])[] | null,
  list: Digest = digestOf('f'),
): Publication {
  return {
    announcement: {
      _type: 'everboot-skill',
      format: 1,
      id,
      seq,
      version: `v${seq}`,
      list: clips === null ? null : { bytes: 9, sha256: list },
    },
    envelope: Buffer.from(`signed ${id} ${seq} ${JSON.stringify(clips)}`),
    clips: (clips ?? []).map(([clip, sha256]) => ({ id: clip, sha256, bytes: 5 })),
  }
}

export function clipStats(over: Partial<ClipStats> = {}): ClipStats {
  return {
    sizeBytes: 0,
    maxBytes: 1,
    items: 0,
    maxItems: 1,
    contents: 0,
    hits: 0,
    misses: 0,
    hitRate: 0,
    evictions: 0,
    expirations: 0,
    dedupRatio: 1,
    bytesSaved: 0,
    fetchSaved: 0,
    fetchedBytes: 0,
    damaged: 0,
    memoryBytes: 0,
    memoryHits: 0,
    pinnedBytes: 0,
    skills: [],
    ...over,
  }
}
