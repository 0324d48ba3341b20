/**
 * What the hub keeps, as an interface: writes that are durable together, and the history that is not held in
 * memory.
 * Promise of every adapter: `commit` resolves when all its writes are on the disk and commits take effect in
 * the order of the calls; a rejected commit means that the store can no longer be trusted and the hub ends.
 * Leaves to others: what the rows mean (../core/model.ts).
 */
import type { ClipRows } from '../clips/load.ts'
import type {
  Attempt,
  Device,
  EvidenceRecord,
  ReleaseInfo,
  Rollout,
  StatusRecord,
  Write,
} from '../core/model.ts'
import type { TelemetryRecord } from '../telemetry/telemetry.ts'

/** Everything that the hub holds in memory. */
export interface Snapshot extends ClipRows {
  readonly devices: readonly Device[]
  readonly releases: readonly ReleaseInfo[]
  readonly rollouts: readonly Rollout[]
  /** The newest of each device. */
  readonly telemetry: readonly TelemetryRecord[]
  readonly retained: ReadonlyMap<string, Uint8Array>
}

export interface Store {
  load(): Promise<Snapshot>
  commit(writes: readonly Write[]): Promise<void>
  /** Wrapped content keys of a release: device id → blob id → base64. Devices without any are absent. */
  wraps(
    release: string,
    devices: readonly string[],
  ): Promise<ReadonlyMap<string, Readonly<Record<string, string>>>>
  /** How many devices have wraps of the release. */
  wrapCount(release: string): Promise<number>
  /** Attempts of a rollout by device id, from after `after`; at most `limit`. */
  attemptsOf(rollout: string, after: string, limit: number): Promise<readonly Attempt[]>
  /** Newest first. */
  attemptsOn(device: string, limit: number): Promise<readonly Attempt[]>
  /** Newest first by life and seq. */
  statuses(device: string, limit: number): Promise<readonly StatusRecord[]>
  /** Newest first by life and seq. */
  evidences(device: string, limit: number): Promise<readonly EvidenceRecord[]>
  /** In a transaction of its own: when it fails, these records are lost and the store is as good as before. */
  keepTelemetry(records: readonly TelemetryRecord[]): Promise<void>
  /** Newest first, those with a number below `before`. */
  telemetry(device: string, before: number, limit: number): Promise<readonly TelemetryRecord[]>
  close(): Promise<void>
}
