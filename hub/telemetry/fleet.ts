/**
 * The figures of all caches together, from the newest that each device sent.
 * Promise: sums of what devices say; a device that sent nothing is not counted; a rate without a try is 0.
 * Leaves to others: what a device counts (core/wire/skills.ts).
 */
import type { ClipStats } from '../../core/wire/skills.ts'
import type { TelemetryRecord } from './telemetry.ts'

const summed = [
  'sizeBytes',
  'items',
  'contents',
  'hits',
  'misses',
  'evictions',
  'expirations',
  'bytesSaved',
  'fetchSaved',
  'fetchedBytes',
  'damaged',
] as const

type Sums = Readonly<Record<(typeof summed)[number], number>>

export interface SkillSums {
  readonly id: string
  readonly devices: number
  readonly items: number
  readonly bytes: number
  readonly hits: number
  readonly misses: number
  readonly hitRate: number
}

export interface FleetStats extends Sums {
  /** Devices whose figures are in the sums. */
  readonly devices: number
  readonly hitRate: number
  /** Sorted by id. */
  readonly skills: readonly SkillSums[]
}

export function fleetStats(records: Iterable<TelemetryRecord>): FleetStats {
  const reports: ClipStats[] = []
  for (const { telemetry } of records) if (telemetry.clips !== undefined) reports.push(telemetry.clips)
  const sums = Object.fromEntries(
    summed.map((name) => [name, reports.reduce((sum, it) => sum + it[name], 0)]),
  ) as Sums
  return {
    devices: reports.length,
    ...sums,
    hitRate: hitRate(sums),
    skills: skillSums(reports),
  }
}

function skillSums(reports: readonly ClipStats[]): readonly SkillSums[] {
  const sums = new Map<string, SkillSums>()
  for (const { skills } of reports) {
    for (const it of skills) {
      const known = sums.get(it.id) ?? { devices: 0, items: 0, bytes: 0, hits: 0, misses: 0 }
      const hits = known.hits + it.hits
      const misses = known.misses + it.misses
      sums.set(it.id, {
        id: it.id,
        devices: known.devices + 1,
        items: known.items + it.items,
        bytes: known.bytes + it.bytes,
        hits,
        misses,
        hitRate: hitRate({ hits, misses }),
      })
    }
  }
  return [...sums.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
}

function hitRate({ hits, misses }: { readonly hits: number; readonly misses: number }): number {
  return hits + misses === 0 ? 0 : hits / (hits + misses)
}
