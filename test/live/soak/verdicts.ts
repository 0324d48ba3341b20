/**
 * Whether what was found out is as it must be: each rule a function from facts to violations.
 * Promise: pure; none of it believes the agent: what counts is the disk, the database, the wire.
 * Leaves to others: finding out (adapters/), and what must be waited for (soak-run.ts).
 */
import type { BootRecord } from '../../../core/boot-record.ts'
import { slotLimits } from '../../../core/limits.ts'
import { otherSlot, type SlotId, slotIds } from '../../../core/units.ts'
import type {
  AttemptFacts,
  DiskFacts,
  HubAttempt,
  HubFacts,
  KnownRelease,
  ReportFacts,
  SlotFacts,
  Violation,
  WireFacts,
} from './facts.ts'

const broken = (rule: string, what: string): Violation => ({ rule, what })

/** Everything about a board at rest: readable, committed, whole, fit, floor not fallen. */
export function diskFaults(
  disk: DiskFacts,
  before: DiskFacts | null,
  releases: ReadonlyMap<string, KnownRelease>,
): readonly Violation[] {
  return [...recordFaults(disk), ...committedFaults(disk, releases), ...floorFaults(disk, before)]
}

/** Both copies and the stamp can be read, by us and by the tool of others, who see the same. */
function recordFaults({ copies, stamp, printed, journal }: DiskFacts): readonly Violation[] {
  const faults: Violation[] = []
  copies.forEach((copy, index) => {
    if (copy === null) faults.push(broken('record', `copy ${index} of the boot record is bad`))
    else faults.push(...printedFaults(`copy ${index}`, copy, printed[index] ?? null))
  })
  const told = printed[2] ?? null
  if (stamp === null || told === null) faults.push(broken('record', 'the commit stamp is bad'))
  else if (told['floor'] !== stamp.floor.toString(16) || told['st_pri'] !== stamp.priority) {
    faults.push(broken('record', `fw_printenv reads the stamp as ${JSON.stringify(told)}`))
  }
  if (journal === 'bad') faults.push(broken('record', 'the journal on the data partition is damaged'))
  return faults
}

function printedFaults(
  name: string,
  copy: BootRecord,
  printed: Readonly<Record<string, string>> | null,
): readonly Violation[] {
  if (printed === null) return [broken('record', `fw_printenv cannot read ${name}`)]
  const slot = (id: SlotId) => ({
    [`${id}_ok`]: copy[id].ok ? '1' : '0',
    [`${id}_sv`]: copy[id].sv.toString(16),
    [`${id}_tries`]: copy[id].tries.toString(16),
  })
  const rest = {
    floor: copy.floor.toString(16),
    st_pri: copy.priority,
    st_seq: copy.sequence.toString(16),
  }
  const wanted: Record<string, string> = { ...slot('a'), ...slot('b'), ...rest }
  const other = Object.keys(wanted).filter((key) => wanted[key] !== printed[key])
  return other.map((key) =>
    broken('record', `${name}: ${key} is ${wanted[key]}, fw_printenv reads ${printed[key]}`),
  )
}

/** The slot that comes first is committed, holds what its seal says byte for byte, and may run. */
function committedFaults(
  { record, slots }: DiskFacts,
  releases: ReadonlyMap<string, KnownRelease>,
): readonly Violation[] {
  if (record === null) return []
  const { priority } = record
  if (!record[priority].ok) return [broken('committed', `slot ${priority} comes first and is not committed`)]
  const { release: id, sealFits, differsAt, securityVersion } = slots[priority]
  if (id === null) return [broken('seal', `committed slot ${priority} has no good seal`)]
  const release = releases.get(id)
  if (release === undefined) return [broken('seal', `committed slot ${priority} holds ${id}, made by nobody`)]
  const faults: Violation[] = []
  if (!sealFits) faults.push(broken('seal', `the seal of slot ${priority} names another image than ${id}`))
  if (differsAt !== null) {
    faults.push(broken('image', `slot ${priority} differs from the image of ${id} at byte ${differsAt}`))
  }
  if (release.kind !== 'good')
    faults.push(broken('fit', `${id}, which is ${release.kind}, is committed in slot ${priority}`))
  if (securityVersion < record.floor)
    faults.push(broken('floor', `slot ${priority} has ${securityVersion}, the floor is ${record.floor}`))
  return faults
}

function floorFaults(disk: DiskFacts, before: DiskFacts | null): readonly Violation[] {
  const [was, is] = [before === null ? 0 : floorOf(before), floorOf(disk)]
  return is < was ? [broken('floor', `the floor fell from ${was} to ${is}`)] : []
}

/** The floor in force. */
export function floorOf({ record, stamp }: DiskFacts): number {
  return Math.max(record?.floor ?? 0, stamp?.floor ?? 0)
}

/** Whether the slot that does not come first could carry the board if the other rots. */
export function couldCarry(
  { record, slots, stamp }: DiskFacts,
  kinds: ReadonlyMap<string, KnownRelease>,
): boolean {
  if (record === null) return false
  const spare = otherSlot(record.priority)
  const { ok, tries, sv } = record[spare]
  const { release, differsAt, sealFits, securityVersion } = slots[spare]
  const whole = release !== null && sealFits && differsAt === null && kinds.get(release)?.kind === 'good'
  const floor = Math.max(record.floor, stamp?.floor ?? 0)
  return ok && tries > 0 && sv >= floor && whole && securityVersion >= floor
}

/** Exactly one final report, at the hub, which draws the right conclusion from it, as does the device. */
export function reportFaults(
  attempt: Pick<AttemptFacts, 'seq' | 'release'>,
  reports: readonly ReportFacts[],
  known: HubAttempt | undefined,
  finished: DiskFacts['finished'],
): readonly Violation[] {
  const { seq, release } = attempt
  const own = reports.filter((it) => it.seq === seq)
  const [only] = own
  if (only === undefined || own.length > 1) {
    const found = own.map((it) => `${it.result} (${it.key})`).join(', ')
    return [broken('report', `attempt ${seq} has ${own.length} final reports ${found}`)]
  }
  const faults: Violation[] = []
  if (only.release !== release.id)
    faults.push(broken('report', `the report of ${seq} names ${only.release}, assigned was ${release.id}`))
  const state = only.result === 'ok' ? 'succeeded' : 'failed'
  if (known?.state !== state)
    faults.push(broken('report', `the report of ${seq} is ${only.result}, the hub has it as ${known?.state}`))
  if (finished?.seq !== seq || finished.result !== only.result)
    faults.push(broken('report', `the journal has ${JSON.stringify(finished)} after ${seq} ${only.result}`))
  return faults
}

/** Reports of attempts that nobody assigned. */
export function strayReports(
  reports: readonly ReportFacts[],
  assigned: ReadonlySet<number>,
): readonly Violation[] {
  return reports
    .filter((it) => !assigned.has(it.seq))
    .map((it) => broken('report', `a report of ${it.seq}, which was never assigned`))
}

/** The report is true: `ok` exactly when the disk shows the release committed by this attempt. */
export function truthFaults(
  attempt: AttemptFacts,
  report: ReportFacts,
  before: DiskFacts,
  after: DiskFacts,
): readonly Violation[] {
  const { release, seq, target } = attempt
  const committed = slotIds.filter((slot) => holdsCommitted(after, slot, release.id))
  const anew = committed.filter((slot) => !holdsCommitted(before, slot, release.id))
  if (report.result === 'failed' && anew.length > 0)
    return [broken('truth', `${seq} is reported failed, but ${release.id} is committed in slot ${anew[0]}`)]
  // A slot that was damaged later is still marked as what it once was.
  const marked = attempt.damaged && after.record?.[target].ok === true
  if (report.result === 'ok' && committed.length === 0 && !marked)
    return [broken('truth', `${seq} is reported ok, but no slot has ${release.id} committed`)]
  return []
}

function holdsCommitted({ record, slots }: DiskFacts, slot: SlotId, release: string): boolean {
  return record?.[slot].ok === true && slots[slot].release === release
}

/** The outcome is one that this release, under these blows, can have. */
export function outcomeFaults(
  attempt: AttemptFacts,
  report: ReportFacts,
  floor: number,
): readonly Violation[] {
  const { release, seq, trialBoots } = attempt
  const wrong = (why: string): readonly Violation[] => [
    broken(
      'outcome',
      `${seq}, ${release.id} (${release.kind}), ended ${report.result} ${report.code}: ${why}`,
    ),
  ]
  if (report.result === 'ok') {
    if (release.securityVersion < floor) return wrong(`its security version is below the floor ${floor}`)
    return release.kind === 'good' ? [] : wrong('no such system can prove itself healthy')
  }
  if (trialBoots > slotLimits.trialTries) return wrong(`it was booted ${trialBoots} times`)
  if (release.securityVersion < floor) return report.code === 'EB-ROLLBACK' ? [] : wrong('not EB-ROLLBACK')
  if (attempt.damaged) return []
  return mayFail(attempt, report.code) ? [] : wrong(`${attempt.strikes} strikes do not explain it`)
}

/** Failures that can come about without damage to the slot. */
function mayFail(
  { release, strikes, bootsSinceArmed, watchdogBites }: AttemptFacts,
  code: string | null,
): boolean {
  const wornOut = code === 'EB-NO-VERDICT' && bootsSinceArmed > slotLimits.trialTries
  const struck = strikes > 0 || watchdogBites > 0
  if (release.kind === 'hung' || release.kind === 'bare') return wornOut
  if (release.kind === 'sick') return code === 'EB-HEALTH' || (struck && wornOut)
  return struck && wornOut
}

/** Every acknowledged status is in the database, once; no number stood for two statuses. */
export function wireFaults(wire: WireFacts, hub: HubFacts): readonly Violation[] {
  const counts = new Map<string, number>()
  for (const key of hub.statuses) counts.set(key, (counts.get(key) ?? 0) + 1)
  return [
    ...[...new Set(wire.acknowledged)]
      .filter((key) => counts.get(key) !== 1)
      .map((key) =>
        broken(
          'acknowledged',
          `status ${key} was acknowledged and is ${counts.get(key) ?? 0} times at the hub`,
        ),
      ),
    ...wire.ambiguous.map((key) => broken('numbers', `two statuses had the number ${key}`)),
  ]
}

/** A board that is switched on boots the slot that its disk calls for. */
export function bootFaults(
  disk: DiskFacts,
  booted: { readonly slot: SlotId; readonly release: string },
): readonly Violation[] {
  const { record, slots } = disk
  if (record === null) return []
  const best = soundSlot(slots[record.priority]) ? record.priority : otherSlot(record.priority)
  if (booted.slot === best && booted.release === slots[best].release) return []
  return [
    broken('boot', `the board booted ${booted.release} from slot ${booted.slot}, not ${slots[best].release}`),
  ]
}

function soundSlot({ release, sealFits, differsAt }: SlotFacts): boolean {
  return release !== null && sealFits && differsAt === null
}
