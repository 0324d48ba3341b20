/**
 * The SQLite store: what lasts, what is kept once, locks, damage, torn logs.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { EverbootError } from '../../../core/errors.ts'
import { hubLimits } from '../../../core/limits.ts'
import type { Write } from '../../../hub/core/model.ts'
import { reduce } from '../../../hub/core/reduce.ts'
import { openSqliteStore } from '../../../hub/store/adapters/sqlite.ts'
import { memoryStore } from '../../../proof/hub-store.ts'
import { addDevice, hubAfter, register, releaseInfo, rollout, saying, statusOf } from '../fixtures.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'everboot-store-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const codeOf = (work: () => unknown): string => {
  try {
    work()
    return 'nothing was thrown'
  } catch (caught) {
    return caught instanceof EverbootError ? `${caught.fault.code} ${caught.fault.what}` : String(caught)
  }
}
const writesOf = (message: Parameters<typeof reduce>[1], state = hubAfter([])): readonly Write[] =>
  reduce(state, message).effects.flatMap((it) => (it.kind === 'commit' ? it.writes : []))
const addStatus = (seq: number, over = {}): Write => ({
  kind: 'add-status',
  device: 'dev1',
  life: 1,
  status: statusOf(seq, over),
  atMs: 10 + seq,
})

describe('the SQLite store', () => {
  it('gives back after a restart what was committed', async () => {
    const state = hubAfter([
      addDevice('dev1'),
      register(releaseInfo('demo-2-bbb')),
      rollout('demo-2-bbb', ['dev1'], 100),
    ])
    const one = openSqliteStore(directory)
    const put: Write[] = [
      ...state.devices.values().map((device): Write => ({ kind: 'put-device', device })),
      ...state.releases.values().map((release): Write => ({ kind: 'put-release', release })),
      ...state.rollouts.values().map((it): Write => ({ kind: 'put-rollout', rollout: it })),
      { kind: 'retain', topic: 'eb/1/d/dev1/desired', payload: Buffer.from([0, 1, 255]) },
    ]
    await one.commit(put)
    await one.close()
    const two = openSqliteStore(directory)
    const loaded = await two.load()
    expect(loaded.devices).toEqual(state.devices.values())
    expect(loaded.releases).toEqual(state.releases.values())
    expect(loaded.rollouts).toEqual(state.rollouts.values())
    expect([...loaded.retained]).toEqual([['eb/1/d/dev1/desired', new Uint8Array([0, 1, 255])]])
    await two.close()
  })

  it('answers every query as the store in memory does, whatever was written', async () => {
    const store = openSqliteStore(directory)
    const double = memoryStore()
    const messages = [
      addDevice('dev1'),
      addDevice('dev2'),
      register(releaseInfo('demo-2-bbb')),
      rollout('demo-2-bbb', ['dev1', 'dev2'], 100),
      saying('dev1', statusOf(1, { attempt: { seq: 100, release: 'demo-2-bbb' } })),
      saying(
        'dev1',
        statusOf(2, {
          report: {
            seq: 100,
            release: 'demo-2-bbb',
            result: 'failed',
            code: 'EB-HEALTH',
            evidence: { check: 'service' },
          },
        }),
      ),
      saying(
        'dev1',
        statusOf(3, { notice: { code: 'EB-FELL-BACK', what: 'w', evidence: { console: 'c' } } }),
      ),
      saying('dev1', statusOf(2)),
    ]
    let state = hubAfter([])
    for (const message of messages) {
      const writes = writesOf(message, state)
      state = hubAfter([message], state)
      await store.commit(writes)
      await double.commit(writes)
    }
    const wraps: Write = {
      kind: 'put-wraps',
      release: 'demo-2-bbb',
      wraps: [{ device: 'dev1', blob: 'rootfs', key: 'k' }],
    }
    for (const it of [store, double]) await it.commit([wraps, wraps])
    for (const query of [
      (it: typeof double) => it.load(),
      (it: typeof double) => it.wraps('demo-2-bbb', ['dev1', 'dev2']),
      (it: typeof double) => it.wrapCount('demo-2-bbb'),
      (it: typeof double) => it.attemptsOf('r1', '', 1),
      (it: typeof double) => it.attemptsOf('r1', 'dev1', 10),
      (it: typeof double) => it.attemptsOn('dev1', 10),
      (it: typeof double) => it.statuses('dev1', 2),
      (it: typeof double) => it.statuses('dev2', 2),
      (it: typeof double) => it.evidences('dev1', 10),
    ]) {
      expect(await query(store as typeof double)).toEqual(await query(double))
    }
    await store.close()
  })

  it('keeps a status once, however often it is written', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 30 }), async (seqs) => {
        const store = openSqliteStore(mkdtempSync(join(directory, 'once-')))
        for (const seq of seqs) await store.commit([addStatus(seq)])
        const kept = (await store.statuses('dev1', 100)).map((it) => it.status.seq)
        expect(kept).toEqual([...new Set(seqs)].sort((a, b) => b - a))
        await store.close()
      }),
      { numRuns: 15 },
    )
  })

  it('takes all commits of one turn in one transaction, in order', async () => {
    const store = openSqliteStore(directory)
    const started = performance.now()
    const commits: Promise<void>[] = []
    const order: number[] = []
    for (let seq = 1; seq <= 500; seq += 1) {
      commits.push(store.commit([addStatus(seq)]).then(() => void order.push(seq)))
    }
    await Promise.all(commits)
    const tookMs = performance.now() - started
    expect(order).toEqual(Array.from({ length: 500 }, (_, index) => index + 1))
    expect(await store.statuses('dev1', 600)).toHaveLength(500)
    expect(tookMs).toBeLessThan(1_000)
    await store.close()
  })

  it('keeps the newest statuses and evidences of a device, and no more than the limits', async () => {
    const store = openSqliteStore(directory)
    const seqs = Array.from({ length: 2 * hubLimits.statusesKept }, (_, index) => index + 1)
    const notice = { notice: { code: 'EB-FELL-BACK', what: 'w', evidence: { check: 'c' } } }
    await store.commit(seqs.map((seq) => addStatus(seq, seq > 1_000 ? {} : notice)))
    const kept = await store.statuses('dev1', 10_000)
    expect(kept).toHaveLength(hubLimits.statusesKept)
    expect(kept[0]?.status.seq).toBe(2 * hubLimits.statusesKept)
    expect(await store.evidences('dev1', 10_000)).toHaveLength(hubLimits.evidencesKept)
    await store.close()
  })

  it('writes all of a commit or nothing, and takes nothing more after a failure', async () => {
    const store = openSqliteStore(directory)
    await store.commit([addStatus(1)])
    const broken = { kind: 'put-wraps', release: 'x', wraps: [{ device: 'd', blob: 'b', key: undefined }] }
    const outcomes = await Promise.allSettled([
      store.commit([addStatus(2)]),
      store.commit([addStatus(3), broken as unknown as Write]),
    ])
    expect(outcomes.map((it) => it.status)).toEqual(['rejected', 'rejected'])
    await expect(store.commit([addStatus(4)])).rejects.toThrow('EB-DATABASE')
    await store.close()
    const again = openSqliteStore(directory)
    expect((await again.statuses('dev1', 10)).map((it) => it.status.seq)).toEqual([1])
    await again.close()
  })

  it('refuses a second hub on the same directory, and takes it when the first has gone', async () => {
    const one = openSqliteStore(directory)
    expect(codeOf(() => openSqliteStore(directory))).toMatch(/^EB-DATABASE another hub uses/)
    await one.close()
    const two = openSqliteStore(directory)
    await two.close()
  })

  it('is free again after the process that held it was killed', async () => {
    const url = new URL('../../../hub/store/adapters/sqlite.ts', import.meta.url).href
    const program = `import(${JSON.stringify(url)}).then(it => { globalThis.store = it.openSqliteStore(${JSON.stringify(directory)}); console.log('open'); setInterval(() => {}, 1e6) })`
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(child.stdout, 'data')
    const refused = codeOf(() => openSqliteStore(directory))
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(refused).toMatch(/^EB-DATABASE another hub uses/)
    await openSqliteStore(directory).close()
  })

  it('names a database that is damaged or of another version', async () => {
    await openSqliteStore(directory).close()
    const path = join(directory, 'hub.db')
    const database = new DatabaseSync(path)
    database.exec('PRAGMA user_version=99')
    database.close()
    expect(codeOf(() => openSqliteStore(directory))).toMatch(/^EB-DATABASE .*version 99/)
    writeFileSync(path, 'this is no database, though it is long enough to be looked at as one'.repeat(20))
    expect(codeOf(() => openSqliteStore(directory))).toMatch(/^EB-DATABASE /)
  })

  it('reads what a power cut left: the log beside the database, its last frame torn', async () => {
    const store = openSqliteStore(directory)
    await store.commit([addStatus(1)])
    await store.commit([addStatus(2)])
    // What the disk holds at this instant, taken while the hub runs.
    const copy = mkdtempSync(join(directory, 'cut-'))
    for (const name of ['hub.db', 'hub.db-wal']) {
      if (existsSync(join(directory, name))) copyFileSync(join(directory, name), join(copy, name))
    }
    await store.commit([addStatus(3)])
    await store.close()
    truncateSync(join(copy, 'hub.db-wal'), statSync(join(copy, 'hub.db-wal')).size - 100)
    const cut = openSqliteStore(copy)
    const seqs = (await cut.statuses('dev1', 10)).map((it) => it.status.seq)
    expect(seqs).toEqual([1])
    await cut.close()
  })
})
