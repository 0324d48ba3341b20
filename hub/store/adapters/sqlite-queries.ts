/**
 * Reading the tables of the hub.
 * Promise: rows come back as the types of the model; a row that is no JSON is EB-DATABASE.
 * Leaves to others: writing (sqlite-statements.ts).
 */
import type { DatabaseSync, SQLOutputValue } from 'node:sqlite'
import { raise } from '../../../core/errors.ts'
import type { Digest } from '../../../core/units.ts'
import type { Content, OwnClip } from '../../clips/model.ts'
import type { TelemetryRecord } from '../../telemetry/telemetry.ts'
import type { Store } from '../port.ts'

type Row = Record<string, SQLOutputValue>

export function queries(database: DatabaseSync): Omit<Store, 'commit' | 'keepTelemetry' | 'close'> {
  const all = (text: string, ...values: (string | number)[]): Row[] => database.prepare(text).all(...values)
  const bodies = <T>(text: string, ...values: (string | number)[]): T[] =>
    all(text, ...values).map((row) => document<T>(row))
  return {
    load: async () => ({
      devices: bodies('SELECT body FROM devices'),
      releases: bodies('SELECT body FROM releases'),
      rollouts: bodies('SELECT body FROM rollouts'),
      skills: bodies('SELECT body FROM skills'),
      contents: all('SELECT * FROM contents').map(contentOf),
      ownClips: all('SELECT * FROM own_clips').map(ownClipOf),
      telemetry: all('SELECT * FROM telemetry_newest').map(telemetryOf),
      retained: new Map(
        all('SELECT topic, payload FROM retained').map((it) => [
          String(it['topic']),
          it['payload'] as Uint8Array,
        ]),
      ),
    }),
    async wraps(release, devices) {
      const found = new Map<string, Record<string, string>>()
      const statement = database.prepare('SELECT blob, wrapped FROM wraps WHERE release = ? AND device = ?')
      for (const device of devices) {
        const rows = statement.all(release, device)
        if (rows.length === 0) continue
        found.set(device, Object.fromEntries(rows.map((it) => [String(it['blob']), String(it['wrapped'])])))
      }
      return found
    },
    async wrapCount(release) {
      const [row] = all('SELECT COUNT(DISTINCT device) AS devices FROM wraps WHERE release = ?', release)
      return Number(row?.['devices'] ?? 0)
    },
    attemptsOf: async (rollout, after, limit) =>
      bodies(
        'SELECT body FROM attempts WHERE rollout = ? AND device > ? ORDER BY device LIMIT ?',
        rollout,
        after,
        limit,
      ),
    attemptsOn: async (device, limit) =>
      bodies(
        'SELECT body FROM attempts WHERE device = ? ORDER BY made DESC, rollout DESC LIMIT ?',
        device,
        limit,
      ),
    statuses: async (device, limit) =>
      all(
        'SELECT life, at, body FROM statuses WHERE device = ? ORDER BY life DESC, seq DESC LIMIT ?',
        device,
        limit,
      ).map((row) => ({ life: Number(row['life']), atMs: Number(row['at']), status: document(row) })),
    evidences: async (device, limit) =>
      all('SELECT * FROM evidences WHERE device = ? ORDER BY life DESC, seq DESC LIMIT ?', device, limit).map(
        (row) => ({
          bootId: String(row['boot']),
          seq: Number(row['seq']),
          atMs: Number(row['at']),
          code: row['code'] as never,
          what: row['what'] as string | null,
          attempt: row['attempt'] as number | null,
          evidence: document(row),
        }),
      ),
    telemetry: async (device, before, limit) =>
      all(
        'SELECT * FROM telemetry WHERE device = ? AND number < ? ORDER BY number DESC LIMIT ?',
        device,
        before,
        limit,
      ).map(telemetryOf),
  }
}

function contentOf(row: Row): Content {
  return {
    sha256: String(row['sha256']) as Digest,
    bytes: Number(row['bytes']),
    state: row['state'] as Content['state'],
    atMs: Number(row['at']),
  }
}

function ownClipOf(row: Row): OwnClip {
  return {
    device: String(row['device']),
    clip: String(row['clip']),
    sha256: String(row['sha256']) as Digest,
    bytes: Number(row['bytes']),
  }
}

function telemetryOf(row: Row): TelemetryRecord {
  return {
    device: String(row['device']),
    number: Number(row['number']),
    atMs: Number(row['at']),
    telemetry: document(row),
  }
}

function document<T>(row: Row): T {
  try {
    return JSON.parse(String(row['body'])) as T
  } catch (cause) {
    raise('EB-DATABASE', 'a row of the database is not JSON', { cause })
  }
}
