/**
 * The device's side of the MQTT contract: subscriptions, presence, commands, and links that do not do what
 * they should.
 */
import { describe, expect, it } from 'vitest'
import { fault } from '../../../core/errors.ts'
import { wireLimits } from '../../../core/limits.ts'
import { decodePresence } from '../../../core/wire/messages.ts'
import { createHubLink } from '../../../device/report/hub-link.ts'
import { type Fake, fakeBoard } from './fake-board.ts'

const lost = fault('EB-HUB-UNREACHABLE', 'planted')

async function opened() {
  const fake = await fakeBoard()
  const heard: string[] = []
  const link = createHubLink(fake.board, {
    up: () => void heard.push('up'),
    down: () => void heard.push('down'),
    acknowledged: (ack) => void heard.push(`ack ${ack.seq}`),
    desired: (desired) => void heard.push(`desired ${desired.seq}`),
    refresh: () => void heard.push('refresh'),
    reboot: () => void heard.push('reboot'),
  })
  link.open()
  return { ...fake, heard, hub: link }
}

const rest = (fake: Fake): Promise<void> => fake.time.pass(0)
const presences = (fake: Fake) =>
  fake.link.published
    .filter((it) => it.topic.endsWith('/presence'))
    .map((it) => {
      const decoded = decodePresence(it.payload)
      return decoded.ok ? [decoded.value.online, decoded.value.connection] : []
    })
const text = (document: unknown): Uint8Array => Buffer.from(JSON.stringify(document))

describe('a connection', () => {
  it('subscribes to the topics of the device alone, then says that it is there, retained', async () => {
    const fake = await opened()
    fake.link.connect()
    await rest(fake)
    expect(fake.link.subscribed).toEqual([
      ['eb/1/d/board-1/desired', 'eb/1/d/board-1/ack', 'eb/1/d/board-1/cmd'],
    ])
    expect(fake.link.published[0]).toMatchObject({ topic: 'eb/1/d/board-1/presence', qos: 1, retain: true })
    expect(presences(fake)).toEqual([[true, 1]])
    expect(fake.heard).toEqual(['up'])
    expect(fake.hub.connected).toBe(true)
  })

  it('has a will of its own number each time, and a higher one after a restart', async () => {
    const fake = await opened()
    const numbers: number[] = []
    for (let times = 0; times < 3; times += 1) {
      fake.link.connect()
      await rest(fake)
      const will = decodePresence(fake.link.wills.at(-1)?.payload ?? new Uint8Array(0))
      expect(will.ok && will.value.online).toBe(false)
      if (will.ok) numbers.push(will.value.connection)
      fake.link.disconnect(lost)
    }
    expect(numbers).toEqual([1, 2, 3])
    await fake.board.journal.save((it) => ({ ...it, connection: it.connection + 1 }))
    fake.link.connect()
    const will = decodePresence(fake.link.wills.at(-1)?.payload ?? new Uint8Array(0))
    expect(will.ok && will.value.connection).toBeGreaterThan(1_000_000)
  })

  it('on which the broker refuses the subscription is tried again while it stands', async () => {
    const fake = await opened()
    fake.link.answer = 'no'
    fake.link.connect()
    await fake.time.pass(60_000)
    const tries = fake.link.subscribed.length
    expect(tries).toBeGreaterThan(2)
    expect(tries).toBeLessThan(70)
    expect(fake.hub.connected).toBe(false)
    fake.link.answer = 'yes'
    await fake.time.pass(wireLimits.reconnectCeilingMs)
    expect(fake.heard).toEqual(['up'])
    expect(fake.hub.connected).toBe(true)
    expect(fake.time.timers()).toBe(0)
  })

  it('that breaks before it is greeted is not called connected', async () => {
    const fake = await opened()
    fake.link.connect()
    fake.link.disconnect(lost)
    await rest(fake)
    expect(fake.hub.connected).toBe(false)
    expect(fake.heard).toEqual(['down'])
    fake.link.answer = 'no'
    fake.link.connect()
    await rest(fake)
    fake.link.disconnect(lost)
    const subscribed = fake.link.subscribed.length
    await fake.time.pass(10 * 60_000)
    expect(fake.link.subscribed, 'tries on a connection that is gone').toHaveLength(subscribed)
  })

  it('says goodbye when it is closed, but does not wait for ever to be heard', async () => {
    const fake = await opened()
    fake.link.connect()
    await rest(fake)
    fake.link.answer = 'never'
    let closed = false
    void fake.hub.close().then(() => {
      closed = true
    })
    await fake.time.until(() => closed, 60_000)
    expect(closed).toBe(true)
    expect(fake.time.nowMs()).toBe(wireLimits.lastWordMs)
    expect(presences(fake)).toEqual([
      [true, 1],
      [false, 1],
    ])
  })
})

describe('a message', () => {
  const desired = {
    v: 1,
    seq: 7,
    release: { id: 'r', manifest: { path: '/m', bytes: 1, sha256: 'a'.repeat(64) }, keys: {} },
  }

  it('on its topic leads to what it is for', async () => {
    const fake = await opened()
    const { listener } = fake.link
    const later = fake.time.clock.wallMs() + 1000
    listener?.message('eb/1/d/board-1/desired', text(desired))
    listener?.message('eb/1/d/board-1/ack', text({ v: 1, bootId: 'b', seq: 3 }))
    listener?.message('eb/1/d/board-1/cmd', text({ v: 1, id: 'c', command: 'refresh', expiresAtMs: later }))
    listener?.message('eb/1/d/board-1/cmd', text({ v: 1, id: 'c', command: 'reboot', expiresAtMs: later }))
    expect(fake.heard).toEqual(['desired 7', 'ack 3', 'refresh', 'reboot'])
  })

  it('that is old, malformed, empty, or of another device or topic leads to nothing', async () => {
    const fake = await opened()
    const { listener } = fake.link
    const say = (topic: string, payload: Uint8Array) => listener?.message(topic, payload)
    say('eb/1/d/board-1/cmd', text({ v: 1, id: 'c', command: 'reboot', expiresAtMs: 1 }))
    say('eb/1/d/board-1/cmd', text({ v: 1, id: 'c', command: 'exec', expiresAtMs: 9e15 }))
    say('eb/1/d/board-2/desired', text(desired))
    say('eb/1/d/board-1/status', text(desired))
    say('eb/1/d/board-1/desired/x', text(desired))
    say('eb/2/d/board-1/desired', text(desired))
    say('/'.repeat(10_000), text(desired))
    say('eb/1/d/board-1/desired', new Uint8Array(0))
    say('eb/1/d/board-1/desired', Buffer.from([0xff, 0xfe]))
    say('eb/1/d/board-1/desired', text({ ...desired, seq: 0 }))
    say('eb/1/d/board-1/desired', text({ ...desired, release: { ...desired.release, id: '../x' } }))
    say('eb/1/d/board-1/ack', Buffer.from('['.repeat(100_000)))
    expect(fake.heard).toEqual([])
  })
})
