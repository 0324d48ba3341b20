/**
 * Each kind of write as SQL.
 * Promise: a status is inserted at most once under (device, bootId, seq); history is cut to its limits.
 * Leaves to others: transactions (sqlite.ts).
 */
import type { DatabaseSync } from 'node:sqlite'
import { unreachable } from '../../../core/assert.ts'
import { hubLimits } from '../../../core/limits.ts'
import type { Write } from '../../core/model.ts'
import type { TelemetryRecord } from '../../telemetry/telemetry.ts'
import { splitStatus } from '../rows.ts'
import { clipStatements, telemetryStatements } from './sqlite-clip-statements.ts'

/** To be called inside a transaction. */
export interface Statements {
  apply(write: Write): void
  keepTelemetry(record: TelemetryRecord): void
}

export function prepare(database: DatabaseSync): Statements {
  const sql = (text: string) => database.prepare(text)
  const putDevice = sql(
    'INSERT INTO devices VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body',
  )
  const putRelease = sql(
    'INSERT INTO releases VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body',
  )
  const putRollout = sql(
    'INSERT INTO rollouts VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body',
  )
  const putWrap = sql(
    'INSERT INTO wraps VALUES (?, ?, ?, ?) ON CONFLICT (release, device, blob) DO UPDATE SET wrapped = excluded.wrapped',
  )
  const putAttempt = sql(
    'INSERT INTO attempts VALUES (?, ?, ?, ?) ON CONFLICT (rollout, device) DO UPDATE SET body = excluded.body',
  )
  const removeRollout = sql('DELETE FROM rollouts WHERE id = ?')
  const removeAttempts = sql('DELETE FROM attempts WHERE rollout = ?')
  const addStatus = sql('INSERT INTO statuses VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING')
  const addEvidence = sql(
    'INSERT INTO evidences VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
  )
  const cutStatuses = sql(cutting('statuses'))
  const cutEvidences = sql(cutting('evidences'))
  const putRetained = sql(
    'INSERT INTO retained VALUES (?, ?) ON CONFLICT (topic) DO UPDATE SET payload = excluded.payload',
  )
  const removeRetained = sql('DELETE FROM retained WHERE topic = ?')
  const clips = clipStatements(database)

  const takeStatus = (it: Extract<Write, { kind: 'add-status' }>): void => {
    const { device, life, atMs } = it
    const { bootId, seq } = it.status
    const { body, evidences } = splitStatus(it.status)
    addStatus.run(device, bootId, seq, life, atMs, JSON.stringify(body))
    for (const { kind, code, what, attempt, evidence } of evidences) {
      addEvidence.run(device, bootId, seq, kind, life, atMs, code, what, attempt, JSON.stringify(evidence))
    }
    if (evidences.length > 0) cutEvidences.run(device, device, hubLimits.evidencesKept)
    if (seq % hubLimits.pruneEvery === 0) cutStatuses.run(device, device, hubLimits.statusesKept)
  }
  return {
    apply(write) {
      switch (write.kind) {
        case 'put-device':
          return void putDevice.run(write.device.id, JSON.stringify(write.device))
        case 'add-status':
          return takeStatus(write)
        case 'put-release':
          return void putRelease.run(write.release.id, JSON.stringify(write.release))
        case 'put-wraps':
          for (const { device, blob, key } of write.wraps) putWrap.run(write.release, device, blob, key)
          return
        case 'put-rollout':
          return void putRollout.run(write.rollout.id, JSON.stringify(write.rollout))
        case 'remove-rollout':
          removeAttempts.run(write.rollout)
          return void removeRollout.run(write.rollout)
        case 'put-attempt': {
          const { rollout, device, atMs } = write.attempt
          return void putAttempt.run(rollout, device, atMs, JSON.stringify(write.attempt))
        }
        case 'retain':
          if (write.payload === null) return void removeRetained.run(write.topic)
          return void putRetained.run(write.topic, write.payload)
        case 'put-content':
        case 'remove-content':
        case 'put-own-clip':
        case 'remove-own-clip':
        case 'put-skill':
          return clips(write)
        default:
          return unreachable(write)
      }
    },
    keepTelemetry: telemetryStatements(database),
  }
}

/** Deletes what lies before the newest rows of a device. Parameters: device, device, how many stay. */
function cutting(table: 'statuses' | 'evidences'): string {
  return `DELETE FROM ${table} WHERE device = ? AND (life, seq) <=
    (SELECT life, seq FROM ${table} WHERE device = ? ORDER BY life DESC, seq DESC LIMIT 1 OFFSET ?)`
}
