/**
 * The database of the hub, read beside it, whether it lives or was just killed.
 * Promise: nothing is written; what is seen is committed.
 */
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { hubLimits } from '../../../../core/limits.ts'
import type { Status } from '../../../../core/wire/messages.ts'
import type { Attempt } from '../../../../hub/core/model.ts'
import type { HubAttempt, HubFacts, ReportFacts } from '../facts.ts'

/** @param data the data directory of the hub */
export function readHub(data: string): HubFacts {
  return reading(data, (database) => {
    const rows = database.prepare('SELECT boot, seq, body FROM statuses ORDER BY life, seq').all()
    const statuses = rows.map((row) => ({
      key: `${row['boot']} ${row['seq']}`,
      status: JSON.parse(String(row['body'])) as Status,
    }))
    return {
      attempts: attemptsIn(database),
      reports: statuses.flatMap(({ key, status }) => reportOf(key, status)),
      statuses: statuses.map((it) => it.key),
      fellBackIn: statuses
        .filter(({ status }) => status.notice?.code === 'EB-FELL-BACK')
        .map(({ status }) => status.bootId),
    }
  })
}

/** All attempts that the hub has on its list. */
export function readAttempts(data: string): readonly HubAttempt[] {
  return reading(data, attemptsIn)
}

function attemptsIn(database: DatabaseSync): readonly HubAttempt[] {
  return database
    .prepare('SELECT body FROM attempts ORDER BY made')
    .all()
    .map((row) => {
      const { seq, release, state, code } = JSON.parse(String(row['body'])) as Attempt
      return { seq, release, state, code }
    })
}

function reportOf(key: string, { report }: Status): readonly ReportFacts[] {
  if (report === undefined) return []
  const { seq, release, result, code } = report
  return [{ key, seq, release, result, code: code ?? null }]
}

function reading<T>(data: string, look: (database: DatabaseSync) => T): T {
  const database = new DatabaseSync(join(data, 'hub.db'), { readOnly: true, timeout: hubLimits.busyMs })
  try {
    return look(database)
  } finally {
    database.close()
  }
}
