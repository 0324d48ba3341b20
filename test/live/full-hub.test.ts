/**
 * A hub whose disk is full: it ends rather than say what it cannot keep, and loses nothing it said.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MiB } from '../../core/units.ts'
import { openSqliteStore } from '../../hub/store/adapters/sqlite.ts'
import { connectDevice } from '../hub/broker/clients.ts'
import { statusOf } from '../hub/fixtures.ts'
import { ask, json, newDevice, upload } from '../hub/http-client.ts'
import { type HubHome, hubHome, spawnHub } from '../hub/hub-process.ts'
import { makeRelease } from '../hub/releases.ts'

const reason = process.getuid?.() === 0 ? null : 'mounting a small disk needs root'
if (reason !== null) console.log(`skipped: ${reason}`)

describe.skipIf(reason !== null)('a hub on a full disk', () => {
  let home: HubHome
  beforeAll(() => {
    home = hubHome()
    mkdirSync(home.data)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=6m,mode=0700', 'everboot-test', home.data])
  })
  afterAll(() => {
    execFileSync('umount', ['-l', home.data])
    home.remove()
  })

  it('refuses an upload that does not fit, leaves nothing of it and goes on', async () => {
    const hub = await spawnHub(home)
    const release = await makeRelease(home.keys, '1.0', { bytes: 5 * MiB })
    const answer = await upload(hub.client, release.file)
    expect([answer.status, json(answer).error.code]).toEqual([429, 'EB-LIMIT'])
    expect(readdirSync(join(home.data, 'incoming'))).toEqual([])
    expect((await ask(hub.client, '/v1/hub')).status).toBe(200)
    expect(await hub.stop('SIGTERM')).toEqual([0, null])
  })

  it('ends with EB-DATABASE at the first status that it cannot keep, and has kept every acknowledged one', async () => {
    const hub = await spawnHub(home)
    const device = await connectDevice(hub.client, 'dev1', await newDevice(hub.client, 'dev1'))
    const errors: string[] = []
    hub.child.stderr?.on('data', (it) => errors.push(String(it)))
    const ended = new Promise<number | null>((resolve) => hub.child.once('exit', resolve))
    let running = true
    void ended.then(() => {
      running = false
    })
    // What fills the disk is somebody else's.
    writeFileSync(join(home.data, 'ballast'), Buffer.alloc(4 * MiB))
    const console = 'x'.repeat(20_000)
    for (let seq = 1; running && seq < 2_000; seq += 1) {
      const notice = { code: 'EB-FELL-BACK', what: 'w', evidence: { console } } as const
      device.status(statusOf(seq, { notice })).catch(() => undefined)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    expect(await ended).toBe(5)
    expect(errors.join('')).toMatch(/^EB-DATABASE: .*full/m)
    const acked = device.received
      .filter((it) => it.topic.endsWith('/ack'))
      .map((it) => JSON.parse(it.payload).seq)
    expect(acked.length).toBeGreaterThan(5)
    const copy = join(home.data, '..', 'copy')
    cpSync(home.data, copy, { recursive: true })
    const store = openSqliteStore(copy)
    const kept = (await store.statuses('dev1', 10_000)).map((it) => it.status.seq)
    await store.close()
    for (const seq of acked) expect(kept).toContain(seq)
    await device.end()
  }, 60_000)
})
