/**
 * The hub core over a store in memory: what is said only after the commit, and crashes at any commit.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Fault } from '../../../core/errors.ts'
import type { LinkMessage, LogEvent } from '../../../core/ports.ts'
import type { Digest } from '../../../core/units.ts'
import { decodeAck, decodeDesired, encodeMessage } from '../../../core/wire/messages.ts'
import { parseDeviceTopic } from '../../../core/wire/topics.ts'
import { createHubCore, type HubCore } from '../../../hub/core/core.ts'
import { emptyTables, type MemoryStore, memoryStore, type Tables } from '../../../proof/hub-store.ts'
import {
  addDevice,
  digestOf,
  presenceOf,
  publication,
  register,
  releaseInfo,
  rollout,
  statusOf,
} from '../fixtures.ts'

interface World {
  readonly store: MemoryStore
  readonly core: HubCore
  readonly sent: LinkMessage[]
  readonly cut: string[]
  readonly events: LogEvent[]
  readonly fatal: Fault[]
  readonly dropped: Digest[]
}

async function world(tables: Tables = emptyTables()): Promise<World> {
  const store = memoryStore(tables)
  const sent: LinkMessage[] = []
  const cut: string[] = []
  const events: LogEvent[] = []
  const fatal: Fault[] = []
  const dropped: Digest[] = []
  let now = 1_000
  const core = createHubCore(
    {
      store,
      clock: { wallMs: () => ++now },
      events: { emit: (it) => void events.push(it) },
      outlet: { publish: async (it) => void sent.push(it), cut: (it) => void cut.push(it) },
      fatal: (it) => void fatal.push(it),
      dropContent: (it) => void dropped.push(it),
    },
    await store.load(),
  )
  return { store, core, sent, cut, events, fatal, dropped }
}

const acksIn = (sent: readonly LinkMessage[]) =>
  sent.flatMap((it) => {
    const topic = parseDeviceTopic(it.topic)
    const ack = topic?.kind === 'ack' ? decodeAck(it.payload) : null
    return topic !== null && ack?.ok ? [`${topic.deviceId} ${ack.value.bootId} ${ack.value.seq}`] : []
  })

const settle = () => new Promise((resolve) => setImmediate(resolve))

describe('the hub core', () => {
  it('sends the acknowledgement of a status only after its commit', async () => {
    const { store, core, sent } = await world()
    await core.handle(addDevice('dev1'))
    store.hold(true)
    const taken = core.receive('dev1', 'status', encodeMessage(statusOf(1)))
    await settle()
    expect(core.state().devices.get('dev1')?.reported?.seq).toBe(1)
    expect(sent).toEqual([])
    store.release()
    await taken
    expect(acksIn(sent)).toEqual(['dev1 boot-1 1'])
    expect(store.tables.statuses.has('dev1 boot-1 1')).toBe(true)
  })

  it('publishes a wish, retained, only after rollout and attempt are committed', async () => {
    const { store, core, sent } = await world()
    await core.handle(addDevice('dev1'))
    await core.handle(register(releaseInfo('demo-2-bbb')))
    store.hold(true)
    const made = core.handle(rollout('demo-2-bbb', ['dev1'], 5_000))
    await settle()
    expect(sent).toEqual([])
    store.release()
    expect(await made).toEqual({ ok: true, value: { id: 'r1', changed: true } })
    expect(sent).toHaveLength(1)
    expect(sent[0]).toMatchObject({ topic: 'eb/1/d/dev1/desired', retain: true, qos: 1 })
    const desired = decodeDesired(sent[0]?.payload ?? new Uint8Array(0))
    expect(desired).toMatchObject({ ok: true, value: { seq: 5_000, release: { id: 'demo-2-bbb' } } })
    expect(store.tables.attempts.get('r1 dev1')).toMatchObject({ seq: 5_000, state: 'pending' })
  })

  it('ends when a commit fails, and says nothing more', async () => {
    const { store, core, sent, fatal } = await world()
    await core.handle(addDevice('dev1'))
    store.fail()
    await expect(core.receive('dev1', 'status', encodeMessage(statusOf(1)))).rejects.toThrow('disk')
    await expect(core.receive('dev1', 'status', encodeMessage(statusOf(2)))).rejects.toThrow('disk')
    expect(fatal).toHaveLength(1)
    expect(sent).toEqual([])
  })

  it('calls for its end once, however many commits were under way when one failed', async () => {
    const { store, core, sent, fatal } = await world()
    await core.handle(addDevice('dev1'))
    store.fail()
    const all = [1, 2, 3].map((seq) => core.receive('dev1', 'status', encodeMessage(statusOf(seq))))
    for (const it of await Promise.allSettled(all)) expect(it.status).toBe('rejected')
    expect(fatal).toHaveLength(1)
    expect(sent).toEqual([])
  })

  it('has nothing to commit for a refused message and goes on after it', async () => {
    const { store, core } = await world()
    store.fail()
    const answer = await core.receive('stranger', 'status', encodeMessage(statusOf(1)))
    expect(answer).toMatchObject({ ok: false, error: { code: 'EB-NOT-FOUND' } })
  })

  it('takes telemetry without a commit, writes the newest of each device when told to, and knows it after a restart', async () => {
    const one = await world()
    await one.core.handle(addDevice('dev1'))
    await one.core.handle(addDevice('dev2'))
    const commits = one.store.log.length
    one.store.hold(true)
    for (const [id, bootId] of [
      ['dev1', 'b1'],
      ['dev2', 'b2'],
      ['dev1', 'b3'],
    ] as const) {
      const answer = await one.core.receive(id, 'telemetry', Buffer.from(JSON.stringify({ v: 1, bootId })))
      expect(answer).toEqual({ ok: true, value: { id, changed: true } })
    }
    expect([one.store.log.length, one.sent.length, one.store.tables.telemetry.size]).toEqual([commits, 0, 0])
    await one.core.writeTelemetry()
    expect((await one.store.telemetry('dev1', 99, 9)).map((it) => [it.number, it.telemetry.bootId])).toEqual([
      [2, 'b3'],
    ])
    const two = await world(one.store.tables)
    expect(two.core.state().telemetry.get('dev1')).toMatchObject({ number: 2, telemetry: { bootId: 'b3' } })
    await two.core.receive('dev1', 'telemetry', Buffer.from(JSON.stringify({ v: 1, bootId: 'b4' })))
    expect(two.core.state().telemetry.get('dev1')).toMatchObject({ number: 3 })
    const stranger = await two.core.receive('dev9', 'telemetry', Buffer.from('{"v":1,"bootId":"b"}'))
    expect(stranger).toMatchObject({ ok: false, error: { code: 'EB-NOT-FOUND' } })
  })

  it('goes on when telemetry cannot be written, and says how much was lost', async () => {
    const { store, core, events, fatal } = await world()
    await core.handle(addDevice('dev1'))
    const full = { ...store, keepTelemetry: () => Promise.reject(new Error('disk full')) }
    const ports = { store: full, clock: { wallMs: () => 1 }, fatal: (it: Fault) => void fatal.push(it) }
    const outlet = { publish: async () => undefined, cut: () => undefined }
    const failing = createHubCore(
      { ...ports, outlet, events: { emit: (it) => void events.push(it) } },
      await store.load(),
    )
    await failing.receive('dev1', 'telemetry', Buffer.from('{"v":1,"bootId":"b"}'))
    await failing.writeTelemetry()
    expect(events.filter((it) => it.event === 'telemetry-lost')).toEqual([
      { event: 'telemetry-lost', records: 1, what: 'Error: disk full' },
    ])
    expect(await failing.receive('dev1', 'status', encodeMessage(statusOf(1)))).toMatchObject({ ok: true })
    expect(fatal).toEqual([])
  })

  it('publishes a skill, retained, only after the commit, again after a restart, and drops contents only then', async () => {
    const one = await world()
    const [old, fresh] = [digestOf('1'), digestOf('2')]
    await one.core.handle({ kind: 'content-here', sha256: digestOf('f'), bytes: 9, owner: null, atMs: 1 })
    await one.core.handle({ kind: 'content-here', sha256: digestOf('e'), bytes: 9, owner: null, atMs: 1 })
    for (const sha256 of [old, fresh]) {
      await one.core.handle({ kind: 'content-here', sha256, bytes: 5, owner: null, atMs: 1 })
    }
    await one.core.handle({
      kind: 'publish-skill',
      publication: publication('s', 1, [['a', old]], digestOf('f')),
      atMs: 2,
    })
    expect(one.sent).toHaveLength(1)
    expect(one.sent[0]).toMatchObject({ topic: 'eb/1/skills/s', retain: true, qos: 1 })
    one.store.hold(true)
    const next = publication('s', 2, [['a', fresh]], digestOf('e'))
    const replaced = one.core.handle({ kind: 'publish-skill', publication: next, atMs: 3 })
    await settle()
    expect([one.sent.length, one.dropped]).toEqual([1, []])
    one.store.release()
    await replaced
    expect(one.dropped).toEqual([old, digestOf('f')])
    expect(Buffer.from(one.sent[1]?.payload ?? [])).toEqual(Buffer.from(next.envelope))
    const two = await world(one.store.tables)
    await two.core.republish()
    expect(two.sent).toEqual(one.sent.slice(1))
  })

  it('refuses what is no message, without a commit and without an acknowledgement', async () => {
    const { store, core, sent, events } = await world()
    await core.handle(addDevice('dev1'))
    const before = store.log.length
    for (const [kind, payload] of [
      ['status', '{}'],
      ['status', 'not json'],
      ['presence', '{"v":1}'],
      ['telemetry', 'anything'],
      ['desired', '{}'],
    ] as const) {
      const answer = await core.receive('dev1', kind, Buffer.from(payload))
      expect(answer).toMatchObject({ ok: false, error: { code: 'EB-MESSAGE' } })
    }
    expect(store.log.length).toBe(before)
    expect(sent).toEqual([])
    expect(events.filter((it) => it.event === 'message-refused')).toHaveLength(5)
  })

  it('knows after a restart everything it acknowledged, and publishes every wish again', async () => {
    const one = await world()
    await one.core.handle(addDevice('dev1'))
    await one.core.handle(register(releaseInfo('demo-2-bbb')))
    await one.core.handle(rollout('demo-2-bbb', ['dev1'], 5_000))
    await one.core.receive('dev1', 'status', encodeMessage(statusOf(3)))
    await one.core.receive('dev1', 'presence', encodeMessage(presenceOf('boot-1', 4)))
    const two = await world(one.store.tables)
    expect(two.core.state().devices.get('dev1')).toMatchObject({
      reported: { seq: 3 },
      desired: { seq: 5_000 },
      presence: { online: null, connection: 4 },
    })
    await two.core.republish()
    expect(two.sent).toEqual(one.sent.filter((it) => it.topic.endsWith('/desired')))
  })

  it('cuts the session of a device whose token is renewed', async () => {
    const { core, cut } = await world()
    await core.handle(addDevice('dev1'))
    expect(cut).toEqual([])
    await core.handle({
      kind: 'add-device',
      device: 'dev1',
      tokenSha256: 'f'.repeat(64),
      renew: true,
      atMs: 9,
    })
    expect(cut).toEqual(['dev1'])
  })

  it('loses nothing acknowledged and applies nothing twice, whenever it is cut off', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.constantFrom('dev1', 'dev2'), fc.integer({ min: 1, max: 12 })), {
          maxLength: 40,
        }),
        fc.array(fc.nat({ max: 6 }), { minLength: 1, maxLength: 6 }),
        async (statuses, cuts) => {
          const tables = emptyTables()
          const setUp = await world(tables)
          for (const id of ['dev1', 'dev2']) await setUp.core.handle(addDevice(id))
          const acked = new Set<string>()
          const sent: (readonly [string, number])[] = [...statuses]
          for (const cut of [...cuts, 1_000]) {
            // One run of the hub: some commits get through, then the power fails with the rest in flight.
            const run = await world(tables)
            run.store.hold(true)
            for (const [id, seq] of sent) void run.core.receive(id, 'status', encodeMessage(statusOf(seq)))
            for (let done = 0; done < cut && run.store.release(); done += 1) await settle()
            for (const it of acksIn(run.sent)) acked.add(it)
            for (const it of acked) expect(tables.statuses.has(it)).toBe(true)
          }
          const distinct = new Set(sent.map(([id, seq]) => `${id} boot-1 ${seq}`))
          expect(new Set(tables.statuses.keys())).toEqual(distinct)
          expect(acked).toEqual(distinct)
        },
      ),
      { numRuns: 60 },
    )
  })
})
