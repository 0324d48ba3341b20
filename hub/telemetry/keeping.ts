/**
 * Writes what devices sent, many at a time.
 * Promise: of several records of one device between two writes the newest is written, so that at most one for
 * each device waits; a write that fails loses its records and nothing else.
 * Leaves to others: when to write (../main.ts), the database (../store).
 */
import { hubClipLimits } from '../../core/clip-limits.ts'
import { faultOf } from '../../core/errors.ts'
import type { Events } from '../../core/ports.ts'
import type { Store } from '../store/port.ts'
import type { TelemetryRecord } from './telemetry.ts'

export interface TelemetryKeeping {
  add(record: TelemetryRecord): void
  /** Writes what waits; never rejects. */
  write(): Promise<void>
}

export function telemetryKeeping(store: Pick<Store, 'keepTelemetry'>, events: Events): TelemetryKeeping {
  let waiting = new Map<string, TelemetryRecord>()
  return {
    add: (record) => void waiting.set(record.device, record),
    async write() {
      const records = [...waiting.values()]
      waiting = new Map()
      for (let at = 0; at < records.length; at += hubClipLimits.telemetryRows) {
        const some = records.slice(at, at + hubClipLimits.telemetryRows)
        try {
          await store.keepTelemetry(some)
        } catch (caught) {
          events.emit({ event: 'telemetry-lost', records: some.length, what: faultOf(caught).what })
        }
      }
    },
  }
}
