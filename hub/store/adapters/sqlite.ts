/**
 * The store on node:sqlite: one file, write-ahead log, `synchronous=full`.
 * Promise: all commits of one turn of the event loop are one transaction with one flush, which makes hundreds
 * of durable acknowledgements a second cheap; a second hub on the same directory is refused; after a failed
 * transaction nothing is taken any more.
 * Leaves to others: what to do then (the hub ends), PostgreSQL.
 */
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { EverbootError, type Fault, fault, raise } from '../../../core/errors.ts'
import { hubLimits } from '../../../core/limits.ts'
import type { Write } from '../../core/model.ts'
import type { TelemetryRecord } from '../../telemetry/telemetry.ts'
import type { Store } from '../port.ts'
import { schemaSteps, schemaVersion } from '../schema.ts'
import { queries } from './sqlite-queries.ts'
import { prepare, type Statements } from './sqlite-statements.ts'

interface Waiting {
  readonly writes: readonly Write[]
  readonly resolve: () => void
  readonly reject: (reason: EverbootError) => void
}

/**
 * @param directory must exist; gets `hub.db` and `hub.lock`
 * @throws EverbootError EB-DATABASE when it is locked, damaged or of another version
 */
export function openSqliteStore(directory: string): Store {
  const lock = takeLock(join(directory, 'hub.lock'))
  const database = openDatabase(join(directory, 'hub.db'), lock)
  const statements = prepare(database)
  let waiting: Waiting[] = []
  let broken: Fault | null = null

  const flush = (): void => {
    const batch = waiting
    waiting = []
    try {
      if (broken === null)
        transaction(
          database,
          statements,
          batch.flatMap((it) => it.writes),
        )
    } catch (caught) {
      broken = faultFrom(caught, 'the transaction failed')
    }
    for (const it of batch) {
      if (broken === null) it.resolve()
      else it.reject(new EverbootError(broken))
    }
  }
  return {
    ...queries(database),
    commit: (writes) =>
      new Promise((resolve, reject) => {
        if (waiting.length === 0) setImmediate(flush)
        waiting.push({ writes, resolve, reject })
      }),
    async keepTelemetry(records) {
      if (broken !== null) throw new EverbootError(broken)
      keepTelemetry(database, statements, records)
    },
    async close() {
      if (waiting.length > 0) flush()
      broken ??= fault('EB-DATABASE', 'the database is closed')
      if (database.isOpen) database.close()
      if (lock.isOpen) lock.close()
    },
  }
}

/** An exclusive transaction that stays open: the system drops it with the process, however it ends. */
function takeLock(path: string): DatabaseSync {
  let lock: DatabaseSync | null = null
  try {
    lock = new DatabaseSync(path, { timeout: hubLimits.busyMs })
    lock.exec('BEGIN EXCLUSIVE')
    return lock
  } catch (cause) {
    lock?.close()
    const busy = (cause as { errcode?: number }).errcode === 5
    const what = busy ? `another hub uses ${path}` : `${path}: ${(cause as Error).message}`
    raise('EB-DATABASE', what, { cause })
  }
}

function openDatabase(path: string, lock: DatabaseSync): DatabaseSync {
  let database: DatabaseSync | null = null
  try {
    database = new DatabaseSync(path, { timeout: hubLimits.busyMs })
    database.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON')
    const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version'] ?? 0)
    if (version > schemaVersion) {
      raise('EB-DATABASE', `${path} has version ${version}, this hub reads ${schemaVersion}`, {
        todo: 'start the hub version that made it',
      })
    }
    const steps = schemaSteps.slice(version).join('')
    if (steps !== '') database.exec(`BEGIN; ${steps} PRAGMA user_version=${schemaVersion}; COMMIT`)
    return database
  } catch (caught) {
    database?.close()
    lock.close()
    if (caught instanceof EverbootError) throw caught
    throw new EverbootError(faultFrom(caught, path), { cause: caught })
  }
}

/** Of several puts of one device in a batch only the last one is written. */
function transaction(database: DatabaseSync, statements: Statements, writes: readonly Write[]): void {
  if (writes.length === 0) return
  const last = new Map<string, Write>()
  for (const it of writes) if (it.kind === 'put-device') last.set(it.device.id, it)
  allOrNothing(database, () => {
    for (const it of writes) {
      if (it.kind !== 'put-device' || last.get(it.device.id) === it) statements.apply(it)
    }
  })
}

/** What fails here is rolled back: whatever was committed stands, and the next commit may succeed. */
function keepTelemetry(
  database: DatabaseSync,
  statements: Statements,
  records: readonly TelemetryRecord[],
): void {
  try {
    allOrNothing(database, () => {
      for (const it of records) statements.keepTelemetry(it)
    })
  } catch (caught) {
    throw new EverbootError(faultFrom(caught, 'telemetry cannot be written'), { cause: caught })
  }
}

function allOrNothing(database: DatabaseSync, work: () => void): void {
  database.exec('BEGIN IMMEDIATE')
  try {
    work()
    database.exec('COMMIT')
  } catch (caught) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw caught
  }
}

function faultFrom(caught: unknown, what: string): Fault {
  return fault('EB-DATABASE', `${what}: ${caught instanceof Error ? caught.message : String(caught)}`)
}
