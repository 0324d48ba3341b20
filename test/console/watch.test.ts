/** A console over a wire and a clock of the test's own. */
import { beforeEach, describe, expect, it } from 'vitest'
import { parseSteps } from '../../console/script.ts'
import type { Transport, TransportListener } from '../../console/transport.ts'
import { type Outcome, type WatchOptions, watch } from '../../console/watch.ts'
import { EverbootError, fault } from '../../core/errors.ts'
import { consoleLimits } from '../../core/limits.ts'
import type { Clock } from '../../core/ports.ts'

interface Bench {
  readonly transport: Transport
  readonly clock: Clock
  readonly done: string[]
  readonly stop: AbortController
  say(text: string | Uint8Array): void
  hangUp(): void
  pass(ms: number): void
  /** Writes fail from now on. */
  broken: boolean
  /** Writes never end from now on. */
  stuck: boolean
}

function bench(): Bench {
  let listener: TransportListener | null = null
  let nowMs = 1_000
  let timers: { at: number; fire: () => void }[] = []
  const done: string[] = []
  const it: Bench = {
    done,
    stop: new AbortController(),
    broken: false,
    stuck: false,
    say: (text) => listener?.data(typeof text === 'string' ? Buffer.from(text) : text),
    hangUp: () => listener?.ended(fault('EB-CONSOLE-GONE', 'wire went away')),
    pass(ms) {
      nowMs += ms
      const due = timers.filter((timer) => timer.at <= nowMs)
      timers = timers.filter((timer) => timer.at > nowMs)
      for (const { fire } of due) fire()
    },
    clock: {
      monotonicMs: () => nowMs,
      wallMs: () => nowMs,
      sleep: async () => {},
      timer(ms, fire) {
        const timer = { at: nowMs + ms, fire }
        timers.push(timer)
        return () => {
          timers = timers.filter((other) => other !== timer)
        }
      },
    },
    transport: {
      name: 'wire',
      listen: (to) => {
        listener = to
      },
      async write(bytes) {
        if (it.stuck) await new Promise(() => {})
        if (it.broken) throw new EverbootError(fault('EB-CONSOLE-GONE', 'wire takes nothing'))
        done.push(`sent ${Buffer.from(bytes).toString()}`)
      },
      reset: async (line) => void done.push(`reset ${line}`),
      close: async () => {},
    },
  }
  return it
}

let at: Bench
let lines: string[]
beforeEach(() => {
  at = bench()
  lines = []
})

function start(words: readonly string[], change: Partial<WatchOptions> = {}): Promise<Outcome> {
  const given = words.map((it) => ({
    name: it.startsWith('>') ? 'send' : 'expect',
    value: it.replace(/^>/, ''),
  }))
  const sink = {
    bytes: () => {},
    line: (text: string, ms: number) => void lines.push(`${ms - 1_000} ${text}`),
  }
  const ports = { transport: at.transport, clock: at.clock, stop: at.stop.signal, sink }
  return watch(ports, { steps: parseSteps(given), timeoutMs: null, reset: null, ...change })
}
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('watching a console', () => {
  it('ends without a fault once everything was seen and sent', async () => {
    const outcome = start(['login: ', '>root\\r', '# $'])
    at.say('Debian\r\nboard login: ')
    expect(at.done).toEqual([])
    at.pass(consoleLimits.quietMs)
    await turn()
    expect(at.done).toEqual(['sent root\r'])
    at.say('root\r\n# ')
    at.pass(consoleLimits.quietMs)
    expect(await outcome).toEqual({
      fault: null,
      seen: [
        { pattern: 'login: ', line: 'board login: ', afterMs: 100 },
        { pattern: '# $', line: '# ', afterMs: 200 },
      ],
      lastLines: ['Debian', 'board login: root', '# '],
      lines: 3,
      bytes: 29,
    })
  })

  it('says what was not seen when time is over', async () => {
    const outcome = start(['one', 'two'], { timeoutMs: 5_000 })
    at.say('one\n')
    at.pass(5_000)
    const { fault: why, lastLines } = await outcome
    expect(why?.code).toBe('EB-NOT-SEEN')
    expect(why?.what).toBe('wire: "two" (2 of 2) was not seen, and 5 s are over')
    expect(lastLines).toEqual(['one'])
  })

  it('looks at an open line once more when time is over', async () => {
    const outcome = start(['prompt'], { timeoutMs: 50 })
    at.say('the prompt')
    at.pass(50)
    expect(await outcome).toMatchObject({ fault: null, lastLines: ['the prompt'] })
  })

  it('ends by time without a fault when there is no script', async () => {
    const outcome = start([], { timeoutMs: 50 })
    at.say('text')
    at.pass(50)
    expect(await outcome).toMatchObject({ fault: null, lines: 1 })
  })

  it('ends with a fault when the device goes away, after its last words', async () => {
    const outcome = start([])
    at.say('last wor')
    at.say('ds')
    at.hangUp()
    expect((await outcome).fault?.code).toBe('EB-CONSOLE-GONE')
    expect(lines).toEqual(['0 last words'])
  })

  it('is content with a device that goes away once everything was seen', async () => {
    const outcome = start(['last words'])
    at.say('last words')
    at.hangUp()
    expect((await outcome).fault).toBeNull()
  })

  it('ends when it is stopped: well without a script, with a fault inside one', async () => {
    const plain = start([])
    at.stop.abort()
    expect((await plain).fault).toBeNull()
    expect((await start(['never'])).fault?.what).toBe(
      'wire: "never" (1 of 1) was not seen, and it was interrupted',
    )
  })

  it('ends with the fault of a write or of a sink', async () => {
    at.broken = true
    expect((await start(['>x', 'y'])).fault?.what).toBe('wire takes nothing')
    const full = new EverbootError(fault('EB-FILE', 'no room'))
    const sink = {
      bytes: () => {},
      line: () => {
        throw full
      },
    }
    const ports = { transport: at.transport, clock: at.clock, stop: at.stop.signal, sink }
    const outcome = watch(ports, { steps: [], timeoutMs: null, reset: null })
    at.say('line\n')
    expect((await outcome).fault).toEqual(full.fault)
  })

  it('does not count as done while the device has not taken what was sent', async () => {
    at.stuck = true
    const outcome = start(['one', '>two'], { timeoutMs: 5_000 })
    at.say('one\n')
    await turn()
    at.pass(5_000)
    expect((await outcome).fault?.what).toBe('wire took not all that was sent, and 5 s are over')
  })

  it('resets before it sends', async () => {
    const outcome = start(['>x', 'y'], { reset: 'rts' })
    await turn()
    expect(at.done).toEqual(['reset rts', 'sent x'])
    at.say('y\n')
    await outcome
  })

  it('gives each line the time of its first byte', async () => {
    const outcome = start([], { timeoutMs: 1_000 })
    at.say('a')
    at.pass(10)
    at.say('b\nc')
    at.pass(10)
    at.say('d\n')
    at.pass(1_000)
    await outcome
    expect(lines).toEqual(['0 ab', '10 cd'])
  })

  it('keeps a bounded part of what an endless device prints', async () => {
    const outcome = start(['never'], { timeoutMs: 1_000 })
    const junk = Buffer.alloc(1 << 20, 0xe2)
    for (let i = 0; i < 4; i += 1) at.say(junk)
    for (let i = 0; i < 1_000; i += 1) at.say('line\n')
    at.pass(1_000)
    const { lastLines, bytes } = await outcome
    expect(lastLines).toHaveLength(consoleLimits.lastLines)
    expect(bytes).toBe(4 * (1 << 20) + 5_000)
    expect(Math.max(...lines.map((it) => it.length))).toBeLessThan(consoleLimits.lineCharsMax + 10)
  })
})
