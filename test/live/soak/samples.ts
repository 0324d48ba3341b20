/** Facts of a board and a hub that are as they must be, for tests that change one of them. */
import type { BootRecord } from '../../../core/boot-record.ts'
import type { AttemptFacts, DiskFacts, HubFacts, KnownRelease, ReportFacts } from './facts.ts'
import type { ReleaseKind } from './plan.ts'

export function release(version: number, kind: ReleaseKind = 'good', securityVersion = 2): KnownRelease {
  return { id: `demo-${version}`, version, kind, securityVersion, image: 'none', verityRoot: 'none' }
}

export const releases: ReadonlyMap<string, KnownRelease> = new Map(
  [release(2), release(3), release(4, 'sick')].map((it) => [it.id, it]),
)

const record: BootRecord = {
  a: { ok: true, sv: 2, tries: 7 },
  b: { ok: true, sv: 2, tries: 8 },
  floor: 2,
  priority: 'b',
  sequence: 27,
  others: new Map(),
}

/** Release 2 in slot a, release 3 committed in slot b. */
export const goodDisk: DiskFacts = {
  copies: [record, { ...record, sequence: 26 }],
  record,
  stamp: { floor: 2, priority: 'b' },
  printed: [printed('1b'), printed('1a'), { floor: '2', st_pri: 'b' }],
  slots: {
    a: { release: 'demo-2', securityVersion: 2, sealFits: true, differsAt: null },
    b: { release: 'demo-3', securityVersion: 2, sealFits: true, differsAt: null },
  },
  finished: { seq: 10, result: 'ok' },
  journal: 'good',
}

/** The same board before release 3 was assigned: slot a committed, nothing in slot b. */
export const diskBefore: DiskFacts = changed(
  { ...goodDisk, finished: null },
  { priority: 'a', b: { ok: false, sv: 0, tries: 0 }, floor: 1 },
  { b: { release: null, securityVersion: 0, sealFits: false, differsAt: null } },
)

export const goodAttempt: AttemptFacts = {
  seq: 10,
  release: release(3),
  target: 'b',
  strikes: 2,
  damaged: false,
  trialBoots: 1,
  bootsSinceArmed: 1,
  watchdogBites: 0,
}

export const goodReport: ReportFacts = {
  key: 'boot-1 5',
  seq: 10,
  release: 'demo-3',
  result: 'ok',
  code: null,
}

export const goodHub: HubFacts = {
  attempts: [{ seq: 10, release: 'demo-3', state: 'succeeded', code: null }],
  reports: [goodReport],
  statuses: ['boot-1 4', 'boot-1 5'],
  fellBackIn: [],
}

/** The disk with another record in both copies, and other slots. */
export function changed(
  disk: DiskFacts,
  record: Partial<BootRecord>,
  slots: Partial<DiskFacts['slots']> = {},
): DiskFacts {
  const next = disk.record === null ? null : { ...disk.record, ...record }
  return { ...disk, record: next, copies: [next, next], slots: { ...disk.slots, ...slots } }
}

function printed(sequence: string): Readonly<Record<string, string>> {
  const slots = { a_ok: '1', a_sv: '2', a_tries: '7', b_ok: '1', b_sv: '2', b_tries: '8' }
  return { ...slots, floor: '2', st_pri: 'b', st_seq: sequence }
}
