/**
 * The words of sd_notify as they arrive at a datagram socket, and what becomes of a manager that is not there.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { LogEvent } from '../../../core/ports.ts'
import { systemdManager } from '../../../device/adapters/systemd-notify.ts'
import { type Workshop, workshop } from './real.ts'

let shop: Workshop
let listener: ChildProcess | null = null
let log: LogEvent[]
beforeEach(() => {
  shop = workshop()
  log = []
})
afterEach(() => {
  listener?.kill('SIGKILL')
  shop.close()
})
const events = { emit: (event: LogEvent) => void log.push(event) }

const none = existsSync('/usr/bin/systemd-notify') ? null : 'needs systemd-notify'

describe.skipIf(none !== null)(`systemd as the manager${none === null ? '' : ` (${none})`}`, () => {
  it('gets the words, once each, and the programs of the agent do not know its address', async () => {
    listener = spawn('socat', [
      '-u',
      `UNIX-RECV:${shop.path('notify')}`,
      `OPEN:${shop.path('heard')},creat,append`,
    ])
    while (!existsSync(shop.path('notify'))) await new Promise((resolve) => setTimeout(resolve, 20))
    const environment = {
      PATH: process.env['PATH'],
      NOTIFY_SOCKET: shop.path('notify'),
      WATCHDOG_USEC: '60000000',
      WATCHDOG_PID: `${process.pid}`,
    }
    // socat does not know the barrier by which systemd says that it has read a word.
    writeFileSync(shop.path('notify.sh'), '#!/bin/sh\nexec systemd-notify --no-block "$@"\n', { mode: 0o755 })
    const manager = systemdManager(environment, events, shop.path('notify.sh'))
    expect(manager?.watchdogMs).toBe(60_000)
    expect(Object.keys(environment)).toEqual(['PATH'])
    await manager?.tell(['READY=1', 'STATUS=IDLE; a b'])
    const from = performance.now()
    for (let count = 0; count < 10; count += 1) await manager?.tell(['WATCHDOG=1'])
    process.stdout.write(`a word to systemd takes ${((performance.now() - from) / 10).toFixed(1)} ms\n`)
    expect(log).toEqual([])
    const heard = readFileSync(shop.path('heard'), 'utf8')
    expect(heard).toContain('READY=1')
    expect(heard).toContain('STATUS=IDLE; a b')
    expect(heard.match(/WATCHDOG=1/g)).toHaveLength(10)
  })
})

describe('a manager', () => {
  it('that did not start the agent is none', () => {
    expect(systemdManager({}, events)).toBeNull()
    expect(systemdManager({ NOTIFY_SOCKET: '' }, events)).toBeNull()
  })

  it.each([
    [{ WATCHDOG_USEC: '3000000' }, 3_000],
    [{ WATCHDOG_USEC: '3000000', WATCHDOG_PID: '1' }, null],
    [{ WATCHDOG_USEC: 'x' }, null],
    [{}, null],
  ])('that says %j watches over %s ms', (change, watchdogMs) => {
    expect(systemdManager({ NOTIFY_SOCKET: '/none', ...change }, events)?.watchdogMs).toBe(watchdogMs)
  })

  it('that cannot be told is logged once, and holds nothing up', async () => {
    for (const program of ['/none/systemd-notify', 'false']) {
      log = []
      const manager = systemdManager({ ...process.env, NOTIFY_SOCKET: '/none' }, events, program)
      await manager?.tell(['READY=1'])
      await manager?.tell(['WATCHDOG=1'])
      expect(log, program).toHaveLength(1)
      expect(log[0]).toMatchObject({
        event: 'service manager not told',
        what: expect.stringContaining(program),
      })
    }
  })
})
