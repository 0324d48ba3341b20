/**
 * Clips and telemetry in the SQLite store: what lasts, what is cut, a database of the version before.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { hubClipLimits } from '../../../core/clip-limits.ts'
import type { Write } from '../../../hub/core/model.ts'
import { openSqliteStore } from '../../../hub/store/adapters/sqlite.ts'
import { schemaSteps } from '../../../hub/store/schema.ts'
import type { TelemetryRecord } from '../../../hub/telemetry/telemetry.ts'
import { memoryStore } from '../../../proof/hub-store.ts'
import { addDevice, digestOf, hubAfter, publication, statusOf } from '../fixtures.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'everboot-store-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const record = (device: string, number: number, bootId = 'b'): TelemetryRecord => ({
  device,
  number,
  atMs: 100 + number,
  telemetry: { v: 1, bootId },
})

const digest = fc.constantFrom(...['1', '2', '3'].map(digestOf))
const owner = fc.record({ device: fc.constantFrom('dev1', 'dev2'), clip: fc.constantFrom('a', 'b') })
const writeArbitrary: fc.Arbitrary<Write> = fc.oneof(
  fc.record({
    kind: fc.constant('put-content' as const),
    content: fc.record({
      sha256: digest,
      bytes: fc.integer({ min: 1, max: 2 ** 40 }),
      state: fc.constantFrom('coming' as const, 'here' as const, 'leaving' as const),
      atMs: fc.nat(),
    }),
  }),
  fc.record({ kind: fc.constant('remove-content' as const), sha256: digest }),
  fc.record({
    kind: fc.constant('put-own-clip' as const),
    own: fc.tuple(owner, digest, fc.nat()).map(([it, sha256, bytes]) => ({ ...it, sha256, bytes })),
  }),
  fc.record({ kind: fc.constant('remove-own-clip' as const), owner }),
  fc.record({
    kind: fc.constant('put-skill' as const),
    skill: fc.tuple(fc.constantFrom('s', 't'), fc.nat()).map(([id, seq]) => {
      const { announcement, clips } = publication(id, seq, [['x', digestOf('1')]])
      const { version, list } = announcement
      return { id, seq, version, list, envelope: 'ZQ==', clips, atMs: seq }
    }),
  }),
)

describe('the SQLite store', () => {
  it('holds of clips and skills what the store in memory holds, whatever was written', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(writeArbitrary, { maxLength: 30 }), async (writes) => {
        const place = mkdtempSync(join(directory, 'one-'))
        const first = openSqliteStore(place)
        const double = memoryStore()
        for (const it of writes) {
          await first.commit([it])
          await double.commit([it])
        }
        await first.close()
        const again = openSqliteStore(place)
        const sorted = (loaded: Awaited<ReturnType<typeof again.load>>) => ({
          skills: [...loaded.skills].sort((a, b) => (a.id < b.id ? -1 : 1)),
          contents: [...loaded.contents].sort((a, b) => (a.sha256 < b.sha256 ? -1 : 1)),
          own: [...loaded.ownClips].sort((a, b) => (a.device + a.clip < b.device + b.clip ? -1 : 1)),
        })
        expect(sorted(await again.load())).toEqual(sorted(await double.load()))
        await again.close()
      }),
      { numRuns: 25 },
    )
  })

  it('holds the newest telemetry of each device and a history in pages, as the store in memory does', async () => {
    const store = openSqliteStore(directory)
    const double = memoryStore()
    for (const records of [
      [record('dev1', 1), record('dev2', 1)],
      [record('dev1', 2)],
      [record('dev1', 5, 'c')],
    ]) {
      await store.keepTelemetry(records)
      await double.keepTelemetry(records)
    }
    const newest = async (it: Pick<typeof store, 'load'>) =>
      [...(await it.load()).telemetry].sort((a, b) => (a.device < b.device ? -1 : 1))
    expect(await newest(store)).toEqual(await newest(double))
    expect((await newest(store)).map((it) => it.number)).toEqual([5, 1])
    for (const [before, limit] of [
      [99, 99],
      [5, 99],
      [5, 1],
      [1, 9],
    ] as const) {
      expect(await store.telemetry('dev1', before, limit)).toEqual(
        await double.telemetry('dev1', before, limit),
      )
    }
    await store.close()
  })

  it('keeps so much telemetry of each device and no more', async () => {
    const store = openSqliteStore(directory)
    const { telemetryKept } = hubClipLimits
    const numbers = Array.from({ length: telemetryKept + 100 }, (_, at) => at + 1)
    await store.keepTelemetry([record('dev2', 1), ...numbers.map((it) => record('dev1', it))])
    const kept = await store.telemetry('dev1', Number.MAX_SAFE_INTEGER, 10_000)
    expect([kept.length, kept[0]?.number, kept.at(-1)?.number]).toEqual([
      telemetryKept,
      telemetryKept + 100,
      101,
    ])
    expect(await store.telemetry('dev2', 99, 9)).toHaveLength(1)
    await store.close()
  })

  it('loses all records of a telemetry write that fails, and nothing else', async () => {
    const store = openSqliteStore(directory)
    await store.keepTelemetry([record('dev1', 1)])
    const broken = { ...record('dev1', 3), device: undefined } as unknown as TelemetryRecord
    await expect(store.keepTelemetry([record('dev1', 2), broken])).rejects.toThrow('EB-DATABASE')
    expect((await store.telemetry('dev1', 99, 9)).map((it) => it.number)).toEqual([1])
    const status: Write = { kind: 'add-status', device: 'dev1', life: 1, status: statusOf(1), atMs: 1 }
    await store.commit([status])
    await store.keepTelemetry([record('dev1', 4)])
    expect(await store.statuses('dev1', 9)).toHaveLength(1)
    expect((await store.telemetry('dev1', 99, 9)).map((it) => it.number)).toEqual([4, 1])
    await store.close()
    await expect(store.keepTelemetry([record('dev1', 5)])).rejects.toThrow('EB-DATABASE')
  })

  it('opens a database of the version before with everything that is in it', async () => {
    const device = hubAfter([addDevice('dev1')]).devices.values()[0]
    const old = new DatabaseSync(join(directory, 'hub.db'))
    old.exec(`PRAGMA journal_mode=WAL; BEGIN; ${schemaSteps[0]}; PRAGMA user_version=1; COMMIT`)
    old.prepare('INSERT INTO devices VALUES (?, ?)').run('dev1', JSON.stringify(device))
    old.close()
    const store = openSqliteStore(directory)
    expect(await store.load()).toMatchObject({ devices: [device], skills: [], contents: [], telemetry: [] })
    await store.keepTelemetry([record('dev1', 1)])
    await store.close()
    const again = openSqliteStore(directory)
    expect((await again.load()).telemetry).toHaveLength(1)
    await again.close()
    const version = new DatabaseSync(join(directory, 'hub.db'))
    expect(version.prepare('PRAGMA user_version').get()).toEqual({ user_version: schemaSteps.length })
    version.close()
  })
})
