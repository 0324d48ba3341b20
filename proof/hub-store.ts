/**
 * The hub's store in memory, with the log of its commits.
 * Promise: what a crash of the hub leaves is what was committed; its tables can be copied at any instant.
 * Leaves to others: the real one on SQLite (hub/store/adapters).
 */
import type { Status } from '../core/wire/messages.ts'
import type { Content, OwnClip, Skill } from '../hub/clips/model.ts'
import type { Attempt, Device, EvidenceRecord, ReleaseInfo, Rollout, Write } from '../hub/core/model.ts'
import type { Snapshot, Store } from '../hub/store/port.ts'
import { splitStatus } from '../hub/store/rows.ts'
import type { TelemetryRecord } from '../hub/telemetry/telemetry.ts'

interface StatusRow {
  readonly life: number
  readonly atMs: number
  readonly status: ReturnType<typeof splitStatus>['body']
}

export interface Tables {
  readonly devices: Map<string, Device>
  readonly releases: Map<string, ReleaseInfo>
  readonly rollouts: Map<string, Rollout>
  readonly attempts: Map<string, Attempt>
  readonly wraps: Map<string, Record<string, string>>
  readonly statuses: Map<string, StatusRow>
  readonly evidences: Map<string, EvidenceRecord & { readonly device: string; readonly life: number }>
  readonly retained: Map<string, Uint8Array>
  readonly skills: Map<string, Skill>
  readonly contents: Map<string, Content>
  readonly ownClips: Map<string, OwnClip>
  readonly telemetry: Map<string, TelemetryRecord>
  /** Every status that was kept, whole, in the order of keeping. */
  readonly statusLog: { readonly device: string; readonly status: Status }[]
}

export interface MemoryStore extends Store {
  readonly tables: Tables
  /** Every commit in order. */
  readonly log: readonly (readonly Write[])[]
  /** Commits wait until this is called; `false` lets them through at once (the start). */
  hold(on: boolean): void
  /** Lets the oldest waiting commit through. @returns false when none waits. */
  release(): boolean
  /** From now on every commit fails. */
  fail(): void
  /** Told of each status that was not known before. */
  onStatus: (device: string, status: Status) => void
}

export function memoryStore(tables: Tables = emptyTables()): MemoryStore {
  const log: (readonly Write[])[] = []
  const waiting: (() => void)[] = []
  let held = false
  let failing = false
  const take = (writes: readonly Write[]): void => {
    log.push(writes)
    for (const write of writes) apply(tables, write, store)
  }
  const store: MemoryStore = {
    tables,
    onStatus: () => {},
    log,
    hold(on) {
      held = on
    },
    release() {
      const next = waiting.shift()
      next?.()
      return next !== undefined
    },
    fail() {
      failing = true
    },
    load: async (): Promise<Snapshot> => ({
      devices: [...tables.devices.values()],
      releases: [...tables.releases.values()],
      rollouts: [...tables.rollouts.values()],
      skills: [...tables.skills.values()],
      contents: [...tables.contents.values()],
      ownClips: [...tables.ownClips.values()],
      telemetry: newestOf(tables),
      retained: new Map(tables.retained),
    }),
    async commit(writes) {
      if (failing) throw new Error('the disk is gone')
      if (!held) return take(writes)
      return new Promise((resolve) => {
        waiting.push(() => {
          take(writes)
          resolve()
        })
      })
    },
    async wraps(release, devices) {
      const found = devices.map((id) => [id, tables.wraps.get(`${release} ${id}`)] as const)
      return new Map(found.flatMap(([id, keys]) => (keys === undefined ? [] : [[id, keys] as const])))
    },
    wrapCount: async (release) =>
      [...tables.wraps.keys()].filter((it) => it.startsWith(`${release} `)).length,
    attemptsOf: async (rollout, after, limit) =>
      [...tables.attempts.values()]
        .filter((it) => it.rollout === rollout && it.device > after)
        .sort((a, b) => (a.device < b.device ? -1 : 1))
        .slice(0, limit),
    attemptsOn: async (device, limit) =>
      [...tables.attempts.values()]
        .filter((it) => it.device === device)
        .reverse()
        .slice(0, limit),
    statuses: async (device, limit) =>
      [...tables.statuses]
        .filter(([key]) => key.startsWith(`${device} `))
        .map(([, it]) => it)
        .sort((a, b) => b.life - a.life || b.status.seq - a.status.seq)
        .slice(0, limit),
    evidences: async (device, limit) =>
      [...tables.evidences.values()]
        .filter((it) => it.device === device)
        .sort((a, b) => b.life - a.life || b.seq - a.seq)
        .slice(0, limit)
        .map(({ device: _device, life: _life, ...it }) => it),
    async keepTelemetry(records) {
      for (const it of records) tables.telemetry.set(`${it.device} ${it.number}`, it)
    },
    telemetry: async (device, before, limit) =>
      [...tables.telemetry.values()]
        .filter((it) => it.device === device && it.number < before)
        .sort((a, b) => b.number - a.number)
        .slice(0, limit),
    close: async () => undefined,
  }
  return store
}

function newestOf(tables: Tables): readonly TelemetryRecord[] {
  const newest = new Map<string, TelemetryRecord>()
  for (const it of tables.telemetry.values()) {
    if (it.number > (newest.get(it.device)?.number ?? 0)) newest.set(it.device, it)
  }
  return [...newest.values()]
}

export function emptyTables(): Tables {
  return {
    devices: new Map(),
    releases: new Map(),
    rollouts: new Map(),
    attempts: new Map(),
    wraps: new Map(),
    statuses: new Map(),
    evidences: new Map(),
    retained: new Map(),
    skills: new Map(),
    contents: new Map(),
    ownClips: new Map(),
    telemetry: new Map(),
    statusLog: [],
  }
}

/** Rows are never changed in place, so copying the tables copies everything. */
export function copyTables(of: Tables): Tables {
  return {
    devices: new Map(of.devices),
    releases: new Map(of.releases),
    rollouts: new Map(of.rollouts),
    attempts: new Map(of.attempts),
    wraps: new Map(of.wraps),
    statuses: new Map(of.statuses),
    evidences: new Map(of.evidences),
    retained: new Map(of.retained),
    skills: new Map(of.skills),
    contents: new Map(of.contents),
    ownClips: new Map(of.ownClips),
    telemetry: new Map(of.telemetry),
    statusLog: of.statusLog.slice(),
  }
}

/** What a restored backup does: `tables` hold what `by` holds. */
export function replaceTables(tables: Tables, by: Tables): void {
  for (const [name, table] of Object.entries(copyTables(by))) {
    const old: Map<string, unknown> | unknown[] = tables[name as keyof Tables]
    if (Array.isArray(old)) old.splice(0, old.length, ...(table as unknown[]))
    else {
      old.clear()
      for (const [key, row] of table as Map<string, unknown>) old.set(key, row)
    }
  }
}

function apply(tables: Tables, write: Write, store: MemoryStore): void {
  switch (write.kind) {
    case 'put-device':
      tables.devices.set(write.device.id, write.device)
      return
    case 'add-status':
      addStatus(tables, write, store)
      return
    case 'put-release':
      tables.releases.set(write.release.id, write.release)
      return
    case 'put-wraps':
      for (const { device, blob, key } of write.wraps) {
        const name = `${write.release} ${device}`
        tables.wraps.set(name, { ...tables.wraps.get(name), [blob]: key })
      }
      return
    case 'put-rollout':
      tables.rollouts.set(write.rollout.id, write.rollout)
      return
    case 'remove-rollout':
      tables.rollouts.delete(write.rollout)
      for (const [key, it] of tables.attempts) if (it.rollout === write.rollout) tables.attempts.delete(key)
      return
    case 'put-attempt':
      tables.attempts.set(`${write.attempt.rollout} ${write.attempt.device}`, write.attempt)
      return
    case 'retain':
      if (write.payload === null) tables.retained.delete(write.topic)
      else tables.retained.set(write.topic, write.payload)
      return
    case 'put-skill':
      tables.skills.set(write.skill.id, write.skill)
      return
    case 'put-content':
      tables.contents.set(write.content.sha256, write.content)
      return
    case 'remove-content':
      tables.contents.delete(write.sha256)
      return
    case 'put-own-clip':
      tables.ownClips.set(`${write.own.device} ${write.own.clip}`, write.own)
      return
    case 'remove-own-clip':
      tables.ownClips.delete(`${write.owner.device} ${write.owner.clip}`)
  }
}

function addStatus(tables: Tables, write: Extract<Write, { kind: 'add-status' }>, store: MemoryStore): void {
  const { device, life, atMs, status } = write
  const { bootId, seq } = status
  const key = `${device} ${bootId} ${seq}`
  if (tables.statuses.has(key)) return
  tables.statusLog.push({ device, status })
  store.onStatus(device, status)
  const { body, evidences } = splitStatus(status)
  tables.statuses.set(key, { life, atMs, status: body })
  for (const { kind, ...it } of evidences) {
    tables.evidences.set(`${key} ${kind}`, { ...it, device, life, bootId, seq, atMs })
  }
}
