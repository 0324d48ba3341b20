/**
 * A boot record as any reader of U-Boot environments should print it.
 */
import type { BootRecord } from '../../core/boot-record.ts'

/** The lines that a reader of U-Boot environments should give for a record, sorted. */
export function recordLines(it: BootRecord): string[] {
  const hexOf = {
    floor: it.floor,
    st_seq: it.sequence,
    a_sv: it.a.sv,
    b_sv: it.b.sv,
    a_tries: it.a.tries,
    b_tries: it.b.tries,
  }
  return [
    ...Object.entries(hexOf).map(([key, value]) => `${key}=${value.toString(16)}`),
    `a_ok=${it.a.ok ? 1 : 0}`,
    `b_ok=${it.b.ok ? 1 : 0}`,
    `st_pri=${it.priority}`,
    ...[...it.others].map(([key, value]) => `${key}=${value}`),
  ].sort()
}
