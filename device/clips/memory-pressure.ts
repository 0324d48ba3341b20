/**
 * Whether memory is short, by what the kernel says: time that work stalled for memory (PSI), and how much of what
 * may be used is in use.
 * Promise: the control group of the program speaks first; where it says nothing (no limit, no such file, control
 * groups of version 1) the machine speaks. Pages of files that were not used lately do not count as used.
 * Source: Linux, Documentation/accounting/psi.rst, admin-guide/cgroup-v2.rst, filesystems/proc.rst.
 * Leaves to others: reading the files (adapters/memory-short.ts).
 */
import { servingLimits } from '../../core/clip-limits.ts'

/** Text of the files; null: there is no such file. */
export interface MemoryFiles {
  /** Of the control group, version 2. */
  readonly group: {
    readonly pressure: string | null
    readonly current: string | null
    readonly max: string | null
    readonly stat: string | null
  }
  /** /proc/pressure/memory and /proc/meminfo. */
  readonly machine: { readonly pressure: string | null; readonly info: string | null }
}

export function isMemoryShort({ group, machine }: MemoryFiles): boolean {
  const stalled = stalledPercent(group.pressure) ?? stalledPercent(machine.pressure) ?? 0
  if (stalled > servingLimits.pressurePercent) return true
  return (shareOfGroup(group) ?? shareOfMachine(machine.info) ?? 0) > servingLimits.pressureUse
}

/** The path of the control group of version 2, from /proc/self/cgroup; null: there is none. */
export function groupPath(text: string | null): string | null {
  return /^0::(\/.*)$/m.exec(text ?? '')?.[1] ?? null
}

/** Of the last ten seconds, the share in which some task waited for memory. */
function stalledPercent(text: string | null): number | null {
  const [, percent] = /^some avg10=(\d+(?:\.\d+)?) /m.exec(text ?? '') ?? []
  return percent === undefined ? null : Number(percent)
}

/** 0 to 1; null: the group has no limit of its own. */
function shareOfGroup({ current, max, stat }: MemoryFiles['group']): number | null {
  const used = wholeNumber(current)
  const limit = wholeNumber(max)
  if (used === null || limit === null || limit === 0) return null
  const idle = field(stat, /^inactive_file (\d+)$/m) ?? 0
  return Math.max(0, used - idle) / limit
}

function shareOfMachine(info: string | null): number | null {
  const total = field(info, /^MemTotal:\s+(\d+) kB$/m)
  const available = field(info, /^MemAvailable:\s+(\d+) kB$/m)
  return total === null || total === 0 || available === null ? null : 1 - available / total
}

function field(text: string | null, form: RegExp): number | null {
  return wholeNumber(form.exec(text ?? '')?.[1] ?? null)
}

/** `max` means that there is no limit. */
function wholeNumber(text: string | null): number | null {
  const [, digits] = /^(\d{1,19})\s*$/.exec(text ?? '') ?? []
  return digits === undefined ? null : Number(digits)
}
