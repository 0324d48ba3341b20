/**
 * Each kind of write about clips and telemetry as SQL.
 * Promise: the history of a device is cut to its limit.
 * Leaves to others: transactions (sqlite.ts).
 */
import type { DatabaseSync } from 'node:sqlite'
import { unreachable } from '../../../core/assert.ts'
import { hubClipLimits } from '../../../core/clip-limits.ts'
import type { ClipWrite } from '../../clips/model.ts'
import type { TelemetryRecord } from '../../telemetry/telemetry.ts'

/** @returns what applies a write, to be called inside a transaction */
export function clipStatements(database: DatabaseSync): (write: ClipWrite) => void {
  const sql = (text: string) => database.prepare(text)
  const putContent = sql(
    `INSERT INTO contents VALUES (?, ?, ?, ?)
     ON CONFLICT (sha256) DO UPDATE SET bytes = excluded.bytes, state = excluded.state, at = excluded.at`,
  )
  const removeContent = sql('DELETE FROM contents WHERE sha256 = ?')
  const putOwn = sql(
    `INSERT INTO own_clips VALUES (?, ?, ?, ?)
     ON CONFLICT (device, clip) DO UPDATE SET sha256 = excluded.sha256, bytes = excluded.bytes`,
  )
  const removeOwn = sql('DELETE FROM own_clips WHERE device = ? AND clip = ?')
  const putSkill = sql('INSERT INTO skills VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body')
  return (write) => {
    switch (write.kind) {
      case 'put-content': {
        const { sha256, bytes, state, atMs } = write.content
        return void putContent.run(sha256, bytes, state, atMs)
      }
      case 'remove-content':
        return void removeContent.run(write.sha256)
      case 'put-own-clip': {
        const { device, clip, sha256, bytes } = write.own
        return void putOwn.run(device, clip, sha256, bytes)
      }
      case 'remove-own-clip':
        return void removeOwn.run(write.owner.device, write.owner.clip)
      case 'put-skill':
        return void putSkill.run(write.skill.id, JSON.stringify(write.skill))
      default:
        return unreachable(write)
    }
  }
}

export function telemetryStatements(database: DatabaseSync): (record: TelemetryRecord) => void {
  const add = database.prepare('INSERT INTO telemetry VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING')
  const putNewest = database.prepare(
    `INSERT INTO telemetry_newest VALUES (?, ?, ?, ?)
     ON CONFLICT (device) DO UPDATE SET number = excluded.number, at = excluded.at, body = excluded.body`,
  )
  const cut = database.prepare('DELETE FROM telemetry WHERE device = ? AND number <= ?')
  return ({ device, number, atMs, telemetry }) => {
    const body = JSON.stringify(telemetry)
    add.run(device, number, atMs, body)
    putNewest.run(device, number, atMs, body)
    cut.run(device, number - hubClipLimits.telemetryKept)
  }
}
