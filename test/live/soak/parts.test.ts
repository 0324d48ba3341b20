/**
 * The pure parts of the soak: its plan, what it reads from the console, what it hears on the wire.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AttemptWatch } from './attempt-watch.ts'
import { phases, type Sighting, Watcher } from './phases.ts'
import { blowKinds, planner, releasePlans } from './plan.ts'
import { publishes } from './publishes.ts'
import { closingLines, minuteLine, Tally } from './tally.ts'

const rounds = (seed: number, count: number) => {
  const next = planner(seed)
  return Array.from({ length: count }, next)
}

describe('the plan', () => {
  it('is the same for the same seed, and another for another', () => {
    expect(rounds(7, 40)).toEqual(rounds(7, 40))
    expect(rounds(7, 40)).not.toEqual(rounds(8, 40))
  })

  it('meets every phase, every strike and every release within 40 rounds', () => {
    const played = rounds(1, 40)
    const blows = played.flatMap((it) => it.blows)
    const struck = new Set(blows.map((it) => it.phase))
    // Rolling back is short, and comes only to sick systems.
    expect(phases.filter((it) => !struck.has(it))).toEqual(['rollback'])
    expect(new Set(blows.flatMap((it) => it.strikes.map((strike) => strike.what)))).toEqual(
      new Set(blowKinds),
    )
    expect(new Set(played.map((it) => it.version))).toEqual(new Set(releasePlans.map((it) => it.version)))
    expect(blows.some((it) => it.strikes.length === 2)).toBe(true)
    expect(new Set(played.map((it) => it.rot?.where))).toEqual(new Set(['running', 'fallback', undefined]))
  })
})

/** A console as `everboot emulator run` prints it: an update, hit in DOWNLOADING and after the commit. */
const board = (text: string): string => `[board-1] ${text}`
const agent = (fields: Record<string, unknown>): string =>
  board(JSON.stringify({ time: '2026-11-22T07:00:00.000Z', ...fields }))
const update = (from: string, on: string, to: string): string => agent({ event: 'update', from, on, to })
const health = (standing: string): string => agent({ event: 'health', verdict: 'healthy', standing })

describe('the console', () => {
  const lines = [
    board('board: power-on, boot 1'),
    board('board: handover slot=a release=demo-1 version=1 bootId=boot-1'),
    board('init: agent runs as process 9'),
    agent({ event: 'standing', slot: 'a', standing: 'committed' }),
    health('committed'),
    update('IDLE', 'assigned', 'DOWNLOADING'),
    board('init: agent ended (SIGKILL), starts again in 300 ms'),
    board('init: agent runs as process 10'),
    health('committed'),
    update('IDLE', 'assigned', 'DOWNLOADING'),
    update('DOWNLOADING', 'downloaded', 'VERIFYING'),
    update('VERIFYING', 'intact', 'APPLYING'),
    update('APPLYING', 'armed', 'REBOOTING'),
    board('board: reset why="the system asked for: reboot" ranMs=900'),
    board('board: power-on, boot 2'),
    board('board: handover slot=b release=demo-2 version=2 bootId=boot-2'),
    board('init: agent runs as process 8'),
    update('REBOOTING', 'trial', 'REBOOTING'),
    agent({ event: 'standing', slot: 'b', standing: 'trial' }),
    health('trial'),
    update('REBOOTING', 'committed', 'COMPLETE'),
    board('board: reset why="power cut" ranMs=700'),
  ]

  it('shows in which phase an agent was killed and a boot ended', () => {
    const watcher = new Watcher()
    const seen = lines.flatMap((line) => watcher.take(line))
    expect(seen.filter((it) => it.kind === 'agent killed')).toEqual([
      { kind: 'agent killed', phase: 'DOWNLOADING' },
    ])
    expect(seen.filter((it) => it.kind === 'reset')).toEqual([
      { kind: 'reset', why: 'asked', phase: 'armed' },
      { kind: 'reset', why: 'power cut', phase: 'report' },
    ])
    expect(seen.filter((it) => it.kind === 'handover')).toEqual([
      { kind: 'handover', slot: 'a', release: 'demo-1', bootId: 'boot-1' },
      { kind: 'handover', slot: 'b', release: 'demo-2', bootId: 'boot-2' },
    ])
    const watch = new AttemptWatch('b')
    for (const it of seen) watch.saw(it)
    expect(watch.facts()).toEqual({ trialBoots: 1, bootsSinceArmed: 1, watchdogBites: 0 })
  })

  it('shows rest only after the health of this very boot, with no update under way', () => {
    const watcher = new Watcher()
    const resting = lines.map((line) => {
      watcher.take(line)
      return watcher.resting
    })
    expect(resting.flatMap((it, index) => (it ? [lines[index]] : []))).toEqual([
      health('committed'),
      health('committed'),
    ])
    watcher.take(update('COMPLETE', 'reported', 'IDLE'))
    expect(watcher.resting).toBe(false)
  })

  it('shows who ended an agent, what the watchdog did, and that no slot starts', () => {
    const watcher = new Watcher()
    const take = (line: string): readonly Sighting[] => watcher.take(board(line))
    expect(take('init: agent ended (status 5), starts again in 300 ms')).toEqual([
      { kind: 'agent ended', how: 'status 5' },
    ])
    expect(take('board: reset why="the watchdog bites after 10000 ms of silence" ranMs=1')).toEqual([
      { kind: 'reset', why: 'watchdog', phase: 'boot' },
    ])
    expect(take('board: no-slot code=EB-NO-SLOT what="none"')).toEqual([
      { kind: 'no slot', what: 'code=EB-NO-SLOT what="none"' },
    ])
  })

  it('may say anything else', () => {
    const watcher = new Watcher()
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(watcher.take(text)).toEqual([])
        expect(watcher.take(`[board-1] {${text}`).filter((it) => it.kind !== 'phase')).toEqual([])
      }),
    )
    expect(watcher.take(board('board: handover slot=c release=demo-1 bootId=boot-1'))).toEqual([])
  })
})

describe('the ear', () => {
  const packet = (head: number, body: Buffer): Buffer => {
    const digits: number[] = []
    for (let left = body.length; ; left = Math.floor(left / 128)) {
      digits.push((left % 128) + (left >= 128 ? 128 : 0))
      if (left < 128) return Buffer.concat([Buffer.from([head, ...digits]), body])
    }
  }
  const topic = (name: string): Buffer => Buffer.concat([Buffer.from([0, name.length]), Buffer.from(name)])
  const qos0 = (name: string, text: string): Buffer =>
    packet(0x30, Buffer.concat([topic(name), Buffer.from(text)]))
  const qos1 = (name: string, text: string): Buffer =>
    packet(0x32, Buffer.concat([topic(name), Buffer.from([0, 7]), Buffer.from(text)]))

  it('hears every publish, however the bytes are cut, and nothing else', () => {
    const stream = Buffer.concat([
      packet(0x10, Buffer.alloc(300)),
      qos1('eb/1/d/x/status', 'one'),
      packet(0x40, Buffer.from([0, 7])),
      qos0('eb/1/d/x/ack', 'x'.repeat(20_000)),
      packet(0xc0, Buffer.alloc(0)),
      qos1('eb/1/d/x/status', ''),
    ])
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 5_000 }), { minLength: 1 }), (steps) => {
        const heard: string[] = []
        const feed = publishes((name, payload) => heard.push(`${name} ${payload.length}`))
        for (let at = 0, index = 0; at < stream.length; index += 1) {
          const step = steps[index % steps.length] ?? 1
          feed(stream.subarray(at, at + step))
          at += step
        }
        expect(heard).toEqual(['eb/1/d/x/status 3', 'eb/1/d/x/ack 20000', 'eb/1/d/x/status 0'])
      }),
    )
  })

  it('refuses packets that cannot be', () => {
    expect(() => publishes(() => {})(Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f]))).toThrow(RangeError)
    expect(() => publishes(() => {})(Buffer.from([0x30, 0x80, 0x80, 0x80, 0x80]))).toThrow(RangeError)
  })
})

describe('the tally', () => {
  it('counts what was seen and shows it', () => {
    const tally = new Tally()
    tally.saw({ kind: 'agent killed', phase: 'VERIFYING' })
    tally.saw({ kind: 'reset', why: 'reset', phase: 'trial' })
    tally.saw({ kind: 'reset', why: 'asked', phase: 'armed' })
    tally.saw({ kind: 'power-on' })
    tally.struck('kill hub')
    tally.ended('good', { result: 'ok', code: null })
    tally.ended('sick', { result: 'failed', code: 'EB-HEALTH' })
    const numbers = tally.numbers({ statuses: 5, acknowledged: 4, bytes: 2048 })
    expect(numbers.attempts).toMatchObject({ total: 2, ok: 1, failed: 1, codes: { 'EB-HEALTH': 1 } })
    expect(numbers.kills).toMatchObject({ total: 1, phases: { VERIFYING: 1, trial: 0 } })
    expect(numbers.resets).toMatchObject({ causes: { reset: 1, asked: 1 }, phases: { trial: 1, armed: 0 } })
    expect(minuteLine(numbers, 60, 0)).toBe(
      '  1.0 min, 2 attempts (1 ok, 1 failed), 1 agent kills, 1 resets, 0 power cuts, 1 hub kills, 0 links cut, 0 damages, 0 violations',
    )
    const violation = { rule: 'image', what: 'slot b differs', atMs: 1500 }
    const text = closingLines({
      ...{ ...numbers, seed: 7, seconds: 61, interrupted: true },
      ...{ violations: [violation], kept: 'DIR' },
    }).join('\n')
    for (const part of [
      '7, 61 s, interrupted',
      '(VERIFYING 1)',
      '2.0 KiB',
      'image: slot b differs',
      'kept: DIR',
    ])
      expect(text).toContain(part)
  })
})
