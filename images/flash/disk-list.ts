/**
 * The list of disks as people see it.
 * Promise: lines of at most 80 columns.
 */
import { bytesText } from '../../core/units.ts'
import { type DiskFacts, isRemovable, type MachineFacts, refusal, usesOf, useText } from './disks.ts'

export interface ListedDisk {
  readonly path: string
  readonly bytes: number
  readonly model: string
  readonly transport: string
  readonly removable: boolean
  /** Code of the refusal, or null when it may be flashed. */
  readonly refused: string | null
  /** What stands in the way, or an empty text. */
  readonly note: string
}

const columns = 80
const head = ['DISK', 'SIZE', 'MODEL', ''] as const

/** The disks that may come into question: removable ones, or all with a medium. */
export function listDisks(facts: MachineFacts, anyDisk: boolean): readonly ListedDisk[] {
  return facts.disks
    .filter((it) => (anyDisk ? it.sizeBytes > 0 : isRemovable(it)))
    .map((it) => listed(facts, it, anyDisk))
}

function listed(facts: MachineFacts, disk: DiskFacts, anyDisk: boolean): ListedDisk {
  const fault = refusal(facts, disk, anyDisk)
  const [use] = usesOf(facts, disk.name)
  const because = use === undefined ? reasons[fault?.code ?? ''] : useText(use)
  return {
    path: `/dev/${disk.name}`,
    bytes: disk.sizeBytes,
    model: disk.model,
    transport: disk.transport,
    removable: isRemovable(disk),
    refused: fault?.code ?? null,
    note: fault === null ? '' : (because ?? fault.what),
  }
}

const reasons: Readonly<Record<string, string>> = {
  'EB-DISK-MISSING': 'no medium',
  'EB-DISK-READ-ONLY': 'read-only',
  'EB-DISK-FIXED': 'not removable',
}

/** @returns the table, or one line that says there is none. */
export function diskTable(disks: readonly ListedDisk[]): readonly string[] {
  if (disks.length === 0) return ['no removable disk is connected; --any-disk lists the others too']
  const rows = disks.map((it) => [
    it.path,
    it.bytes === 0 ? '-' : bytesText(it.bytes),
    [it.model, it.transport].filter((text) => text !== '').join(', '),
    it.note,
  ])
  const widths = [0, 1].map((column) => widest([head, ...rows], column))
  const left = columns - widths.reduce((sum, it) => sum + it + 2, 0)
  const model = Math.min(widest([head, ...rows], 2), left - 30)
  return [head, ...rows].map((row) => {
    const [path = '', size = '', name = '', note = ''] = row
    const start = `${path.padEnd(widths[0] ?? 0)}  ${size.padEnd(widths[1] ?? 0)}  `
    return cut(`${start}${cut(name, model).padEnd(model)}  ${note}`.trimEnd(), columns)
  })
}

function widest(rows: readonly (readonly string[])[], column: number): number {
  return Math.max(...rows.map((row) => row[column]?.length ?? 0))
}

function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`
}
