/**
 * Every rule over one look at a board that is off.
 * Promise: pure.
 * Leaves to others: the rules (verdicts.ts) and looking (soak-run.ts).
 */
import type {
  AttemptFacts,
  DiskFacts,
  HubAttempt,
  HubFacts,
  KnownRelease,
  Violation,
  WireFacts,
} from './facts.ts'
import {
  diskFaults,
  floorOf,
  outcomeFaults,
  reportFaults,
  strayReports,
  truthFaults,
  wireFaults,
} from './verdicts.ts'

/** Everything that one look found. */
export interface Look {
  readonly disk: DiskFacts
  readonly hub: HubFacts
  readonly wire: WireFacts
  /** As the hub tells its operator. */
  readonly attempts: readonly HubAttempt[]
}

/** What the soak itself has done. */
export interface Done {
  readonly releases: ReadonlyMap<string, KnownRelease>
  readonly assigned: ReadonlySet<number>
}

/** @param before the disk at the look before, null at the first; @param attempt decided since then, or null */
export function judge(
  { disk, hub, wire, attempts }: Look,
  before: DiskFacts | null,
  attempt: AttemptFacts | null,
  { releases, assigned }: Done,
): readonly Violation[] {
  const { reports } = hub
  const faults = [...diskFaults(disk, before, releases), ...wireFaults(wire, hub)]
  faults.push(...strayReports(reports, assigned))
  if (attempt === null || before === null) return faults
  const known = attempts.find((it) => it.seq === attempt.seq)
  faults.push(...reportFaults(attempt, reports, known, disk.finished))
  const report = reports.find((it) => it.seq === attempt.seq)
  if (report === undefined) return faults
  faults.push(...truthFaults(attempt, report, before, disk))
  faults.push(...outcomeFaults(attempt, report, floorOf(before)))
  return faults
}

/** A second report may come long after the first, when the hub has forgotten that one. */
export function secondReports(all: Iterable<{ readonly seq: number }>): readonly Violation[] {
  return [...Map.groupBy(all, (it) => it.seq)]
    .filter(([, reports]) => reports.length > 1)
    .map(([seq, reports]) => ({ rule: 'report', what: `attempt ${seq} has ${reports.length} final reports` }))
}
